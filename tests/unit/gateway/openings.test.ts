import { expect, it } from 'vitest';
import { type Ask, closedFor, RIGHTS, type Stage, type Standing } from '../../../src/gateway/openings.ts';
import { askOf } from '../../../src/routes/gateway/asks.ts';

const standing: Standing = { stage: 'turn', isFresh: true, mayWake: false, isJustOver: false, baseBranch: 'main' };
const STAGES: Stage[] = ['turn', 'ending', 'late-save', 'rest', 'alarm', 'withdrawn', 'other-life', 'unknown'];
/** Every address with what is asked of it, and what it opens in each stage, in their order; `l`: to roles that only look as well. */
const HEX = '1'.repeat(64);
const TABLE: [string, string, Ask, string][] = [
  ['POST', '/events', 'report', 'llllll--'],
  ['PUT', '/checkpoint/worktree-1', 'checkpoint', 'lllll---'],
  ['GET', '/checkpoint/1/worktree-1', 'restore', 'llll----'],
  ['PUT', `/patch/${'a'.repeat(40)}`, 'patch', 'lllll---'],
  ['PUT', `/shared/${HEX}?name=x`, 'share', 'lll-----'],
  ['GET', `/cache/base-${HEX}`, 'read-cache', 'l-------'],
  ['GET', `/cache/setup-${HEX}/${'a'.repeat(32)}/0`, 'read-cache', 'l-------'],
  ['PUT', `/cache/base-${HEX}`, 'keep-bundle', 'xxx-----'],
  ['PUT', `/cache/base-${HEX}/${'a'.repeat(32)}/0`, 'keep-bundle', 'xxx-----'],
  ['PUT', `/cache/setup-${HEX}`, 'keep-setup', 'x-------'],
  ['PUT', `/cache/setup-${HEX}/${'a'.repeat(32)}/0`, 'keep-setup', 'x-------'],
  ['DELETE', `/cache/setup-${HEX}`, 'keep-setup', 'x-------'],
  ['POST', '/anthropic/v1/messages?beta=true', 'claude', 'l-------'],
  ['POST', '/anthropic/v1/messages/count_tokens', 'claude', 'l-------'],
  ['HEAD', '/anthropic/api/hello', 'claude', 'l-------'],
  ['GET', '/git/acme/shop.git/info/refs?service=git-upload-pack', 'read-git', 'lllll---'],
  ['POST', '/git/acme/shop.git/git-upload-pack', 'read-git', 'lllll---'],
  ['POST', '/git/acme/shop.git/info/lfs/objects/batch', 'read-git', 'lllll---'],
  ['GET', `/git/acme/shop.git/info/lfs/objects/${HEX}/download/1/v1`, 'read-git', 'lllll---'],
  ['PUT', `/git/acme/shop.git/info/lfs/objects/${HEX}/upload/1/v1`, 'push', 'xxx-----'],
  ['GET', '/git/acme/shop.git/info/refs?service=git-receive-pack', 'ask-push', 'lll-----'],
  ['POST', '/git/acme/shop.git/git-receive-pack', 'push', 'xxx-----'],
  ['GET', '/modules/aaaa/info/refs?service=git-upload-pack', 'read-git', 'lllll---'],
  ['POST', '/mcp/linear', 'tools', 'l-------'],
  ['GET', '/what-comes-later', 'report', 'llllll--'],
];

it.each(TABLE)('%s %s is open in the stages of the table, to the roles of the table, and to nobody else', (...row) => {
  const [method, address, ask, open] = row;
  const { pathname, search } = new URL(address, 'http://gateway');
  expect(askOf(method, pathname, search)).toBe(ask);
  for (const [at, stage] of STAGES.entries()) {
    const opens = (rights: typeof RIGHTS | []) => closedFor(ask, { ...standing, stage }, rights) === null;
    expect([stage, opens(RIGHTS), opens([])]).toEqual([stage, open[at] !== '-', open[at] === 'l']);
  }
});

it('the gateway opens Claude’s API between turns only while something runs that may wake Claude', () => {
  for (const stage of ['rest', 'late-save'] as const) {
    expect(closedFor('claude', { ...standing, stage, mayWake: true }, RIGHTS)).toBeNull();
    expect(closedFor('tools', { ...standing, stage, mayWake: true }, RIGHTS)).not.toBeNull();
  }
  for (const stage of ['ending', 'alarm', 'withdrawn', 'other-life', 'unknown'] as const) {
    expect(closedFor('claude', { ...standing, stage, mayWake: true }, RIGHTS), stage).not.toBeNull();
  }
});

it('the gateway takes what a setup script made only in a sandbox in which Claude was not started yet', () => {
  expect(closedFor('keep-setup', { ...standing, isFresh: false }, RIGHTS)?.error).toBe('too_late');
});

it('the gateway lets a bundle be brought up to date for a while after a turn', () => {
  const rest: Standing = { ...standing, stage: 'rest' };
  expect(closedFor('keep-bundle', { ...rest, isJustOver: true }, RIGHTS)).toBeNull();
  expect(closedFor('keep-bundle', { ...rest, isJustOver: true }, [])?.error).toBe('read_only');
  expect(closedFor('keep-setup', { ...rest, isJustOver: true }, RIGHTS)).not.toBeNull();
});

it('the gateway says of everything that it refuses why, in a sentence', () => {
  for (const stage of STAGES) {
    for (const [, , ask] of TABLE) {
      const closed = closedFor(ask, { ...standing, stage }, []);
      if (closed) expect(closed.message.length, `${stage} ${ask}`).toBeGreaterThan(20);
    }
  }
});
