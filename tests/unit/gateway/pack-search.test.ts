import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { inflate } from '../../../src/gateway/git/inflate.ts';
import { searchPack } from '../../../src/gateway/git/pack-search.ts';
import { SecretSearch } from '../../../src/gateway/secrets/secret-search.ts';
import { bodyReader } from '../../../src/lib/body-reader.ts';

const SECRET = 'svc_0123456789abcdef0123456789abcdef01234567';
const search = new SecretSearch([{ kind: 'decoy', name: 'DEPLOY_API_KEY', text: SECRET }]);
const folder = mkdtempSync(join(tmpdir(), 'pack-search-'));
const git = (input: string | null, ...args: string[]) =>
  execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@b', ...args], {
    cwd: folder,
    maxBuffer: 64 * 1024 ** 2,
    ...(input !== null && { input }),
  });
git(null, 'init', '-q', '-b', 'main');
const long = Array.from({ length: 3_000 }, (_, at) => `line ${at} ${(at * 2_654_435_761) % 4_294_967_296}`).join('\n');
afterAll(() => rmSync(folder, { recursive: true }));

/** Commits these files. */
function commit(message: string, files: Record<string, string>): string {
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  git(null, 'add', '-A');
  git(null, 'commit', '-q', '--allow-empty', '-m', message);
  return git(null, 'rev-parse', 'HEAD').toString().trim();
}

/** What a push would send. @param from what the host has */
function pack(from: string | null, ...options: string[]): Buffer {
  const revisions = ['HEAD', ...(from === null ? [] : [`^${from}`])].join('\n');
  return git(`${revisions}\n`, 'pack-objects', '--stdout', '--revs', '-q', ...options);
}

function look(bytes: Uint8Array, size = 64 * 1024) {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      const piece = pieces.shift();
      if (piece) controller.enqueue(new Uint8Array(piece));
      else controller.close();
    },
  });
  return searchPack(new Uint8Array(0), 0, bodyReader(stream), 40, search);
}

describe('a push is looked through for secrets before the git host has it', () => {
  const base = commit('Begin', { 'long.txt': long });

  it('and nothing is found if there is nothing', async () => {
    const tip = commit('Honest work', { 'long.txt': `${long}\nand more`, 'b.txt': 'b' });
    expect(await look(pack(null, '--delta-base-offset'))).toMatchObject({ found: null, isWhole: true });
    expect(await look(pack(base))).toMatchObject({ found: null });
    expect(tip).toMatch(/^[0-9a-f]{40}$/);
  });

  it.each<[string, string, Record<string, string>]>([
    ['the message of a commit', `Release\n\nToken: ${SECRET}`, {}],
    ['a file', 'Add', { 'token.txt': SECRET }],
    ['a large file, in base64', 'Add', { 'token.b64': `${long}${btoa(`xy${SECRET}`)}${long}` }],
    ['the name of a file', 'Add', { [SECRET]: '' }],
    [
      'what is changed of a file that the host has',
      'Change',
      { 'long.txt': `${long.slice(0, 9_000)}${SECRET}${long.slice(9_000)}` },
    ],
  ])('in %s, also of a commit whose change was taken back', async (_where, message, files) => {
    const before = git(null, 'rev-parse', 'HEAD').toString().trim();
    commit(message, files);
    git(null, 'rm', '-rq', '--cached', '.');
    commit('Take it back', { 'kept.txt': String(Math.random()), 'long.txt': long });
    for (const options of [
      [],
      ['--thin'],
      ['--delta-base-offset'],
      ['--thin', '--delta-base-offset'],
      ['--window=0'],
    ]) {
      expect((await look(pack(before, ...options))).found).toMatchObject({ kind: 'decoy' });
      expect((await look(pack(before, ...options), 977)).found).toMatchObject({ kind: 'decoy' });
    }
    git(null, 'reset', '-q', '--hard', before);
    git(null, 'clean', '-qfd');
  });

  it('and what cannot be read is said: a pack cut off, one that is none, one that unpacks to too much', async () => {
    const whole = pack(null);
    expect((await look(whole.subarray(0, whole.length / 2))).isWhole).toBe(false);
    expect((await look(Buffer.from('no pack'))).isWhole).toBe(false);
    const bomb = deflateSync(Buffer.alloc(20 * 1024 ** 2));
    const head = Buffer.from('5041434b0000000200000001', 'hex');
    // Type 3 (a file), and 20 MiB as the size.
    const size = 20 * 1024 ** 2;
    const sized = [0x80 | (3 << 4) | (size & 15), 0x80 | ((size >> 4) & 127), 0x80 | ((size >> 11) & 127), size >> 18];
    expect(await look(Buffer.concat([head, Buffer.from(sized), bomb]))).toMatchObject({ found: null, isWhole: false });
  });
});

describe('a zlib stream is unpacked as zlib does', () => {
  it.each([0, 1, 3, 6, 9])('at level %s, and its end is told', (level) => {
    for (const text of [
      '',
      'a',
      'abc'.repeat(10_000),
      long,
      Array.from({ length: 70_000 }, (_, at) => String.fromCharCode((at * at) % 256)).join(''),
    ]) {
      const content = Buffer.from(text, 'latin1');
      const packed = deflateSync(content, { level });
      const { content: out, end } = inflate(
        Buffer.concat([Buffer.from('xx'), packed, Buffer.from('rest')]),
        2,
        content.length,
      );
      expect(Buffer.from(out).equals(content)).toBe(true);
      expect(end).toBe(2 + packed.length);
      for (const cut of [1, 2, 5, packed.length >> 1, packed.length - 1]) {
        if (cut < packed.length) expect(() => inflate(packed.subarray(0, cut), 0, content.length)).toThrow();
      }
    }
  });
});
