import { existsSync, mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { claimUsers, isSessionUser, USERS } from '../../container/walls/user-range.ts';

let folder: string;
let registry: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cyrus-users-'));
  registry = join(folder, 'registry', 'users');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function serverAt(name: string): string {
  const root = join(folder, name);
  mkdirSync(root);
  return root;
}

describe('two sandbox servers on one machine', () => {
  test('never give their sessions the same users, and keep theirs when they start again', () => {
    const [one, two] = [serverAt('one'), serverAt('two')];
    const first = claimUsers(one, registry);
    const second = claimUsers(two, registry);
    expect(Math.abs(first - second)).toBeGreaterThanOrEqual(USERS);
    expect([claimUsers(two, registry), claimUsers(one, registry)]).toEqual([second, first]);
    for (const id of [first, first + USERS - 1, second, second + USERS - 1]) expect(isSessionUser(id)).toBe(true);
    expect([0, 1000, 65_534, 69_999, 100_000].some(isSessionUser)).toBe(false);
  });

  test('are told which others have all users, and take over those of a server that was deleted', () => {
    const roots = ['one', 'two', 'three'].map(serverAt);
    for (const root of roots) claimUsers(root, registry);
    const fourth = serverAt('four');
    expect(() => claimUsers(fourth, registry)).toThrow(roots[1]);
    rmSync(join(folder, 'two'), { recursive: true });
    const claimed = claimUsers(fourth, registry);
    expect(readlinkSync(join(registry, String(claimed)))).toBe(fourth);
    expect(readdirSync(registry)).toHaveLength(3);
  });

  test('note that if their sessions cannot read it', () => {
    claimUsers(serverAt('one'), registry);
    expect(existsSync(registry)).toBe(true);
    expect(statSync(registry).mode & 0o077).toBe(0);
  });
});
