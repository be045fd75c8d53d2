/** What a session may have put into its folders for the server to stumble over. */
import { execFileSync } from 'node:child_process';
import {
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { takeGivenFile } from '../../container/files/incoming-files.ts';
import {
  belongsTo,
  belongsToNobody,
  copyFile,
  createReadStream,
  mkdir,
  onlyBelow,
  readText,
  rename,
  rm,
  withBlob,
  writeFile,
} from '../../container/files/inside.ts';
import { openToken, sealToken, UNKNOWN_TOKEN } from '../../container/gateway/sealed-token.ts';
import { SessionUsers } from '../../container/walls/session-users.ts';

/** As many bytes as any file here has. */
const SMALL = 10_000;
let root: string;
let own: string;
let others: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'cyrus-inside-'));
  own = join(root, 'sessions', 'one', 'worktree');
  others = join(root, 'sessions', 'two');
  for (const folder of [own, others]) mkdirSync(folder, { recursive: true });
  writeFileSync(join(others, 'secret.txt'), 'secret');
  onlyBelow(root);
  belongsTo(own, { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 });
});
afterEach(() => {
  belongsToNobody(own);
  onlyBelow(null);
  rmSync(root, { recursive: true, force: true });
});

describe.skipIf(process.platform !== 'linux')('in a session’s folder the server', () => {
  test('reads and writes files as ever', async () => {
    await mkdir(join(own, 'a/b'), { recursive: true });
    await writeFile(join(own, 'a/b/c.txt'), 'one');
    await writeFile(join(own, 'a/b/c.txt'), 'two');
    await copyFile(join(own, 'a/b/c.txt'), join(own, 'copy.txt'));
    await rename(join(own, 'copy.txt'), join(own, 'a/moved.txt'));
    let streamed = '';
    for await (const chunk of createReadStream(join(own, 'a/moved.txt'), 'utf8')) streamed += String(chunk);
    const blob = await withBlob(join(own, 'a/moved.txt'), (content) => content.text());
    expect([await readText(join(own, 'a/b/c.txt'), SMALL), streamed, blob]).toEqual(['two', 'two', 'two']);
    await expect(readText(join(own, 'none'), SMALL)).rejects.toMatchObject({ code: 'ENOENT' });
    await rm(join(own, 'a'), { recursive: true, force: true });
    await rm(join(own, 'none'), { force: true });
    expect(existsSync(join(own, 'a'))).toBe(false);
  });

  test('follows no link, neither at the end of a path nor on the way', async () => {
    symlinkSync(others, join(own, 'folder'));
    symlinkSync(join(others, 'secret.txt'), join(own, 'file.txt'));
    for (const path of ['folder/secret.txt', 'file.txt'])
      await expect(readText(join(own, path), SMALL)).rejects.toThrow();
    await expect(writeFile(join(own, 'folder/new.txt'), 'x')).rejects.toThrow();
    await expect(mkdir(join(own, 'folder/new/x'), { recursive: true })).rejects.toThrow();
    await expect(rename(join(own, 'file.txt'), join(own, 'folder/moved'))).rejects.toThrow();
    await rm(join(own, 'folder'), { recursive: true });
    expect(lstatSync(others).isDirectory()).toBe(true);
    // A file takes the place of the link, and what it led to stays.
    await writeFile(join(own, 'file.txt'), 'mine');
    expect([readFileSync(join(others, 'secret.txt'), 'utf8'), readFileSync(join(own, 'file.txt'), 'utf8')]).toEqual([
      'secret',
      'mine',
    ]);
  });

  test('waits for no pipe, and reads no device', async () => {
    execFileSync('sh', ['-c', 'mkfifo "$0"', join(own, 'pipe')]);
    await expect(readText(join(own, 'pipe'), SMALL)).rejects.toThrow('not a regular file');
  });

  test('goes nowhere else, whatever git says of where the repository is', async () => {
    await expect(readText('/etc/passwd', SMALL)).rejects.toThrow('does not belong to this server');
    await expect(copyFile(`${root}/../etc/passwd`, join(own, 'x'))).rejects.toThrow();
    await expect(readText(`${own}/../../two/secret.txt`, SMALL)).rejects.toThrow();
  });
});

test('each session has a user of its own, which no other gets as long as there are files of it', () => {
  const users = new SessionUsers(root, 70_000);
  const [one, two] = [users.of('one'), users.of('two')];
  expect(one).not.toBe(two);
  const again = new SessionUsers(root, 70_000);
  expect([again.of('one'), again.of('two')]).toEqual([one, two]);
  again.free('one');
  expect(again.of('three')).not.toBe(two);
  // Another server's by now.
  const moved = new SessionUsers(root, 80_000).of('two');
  expect(moved).toBeGreaterThanOrEqual(80_000);
  writeFileSync(join(root, 'users.json'), 'broken');
  expect(() => new SessionUsers(root, 70_000)).toThrow();
});

test('a token on the disk opens with the server’s secret alone, for its session alone', () => {
  const sealed = sealToken('token', 'secret-of-the-server', 'one');
  expect(sealed).not.toContain('token');
  expect(openToken(sealed, 'secret-of-the-server', 'one')).toBe('token');
  expect(openToken(sealed, 'secret-of-another-one', 'one')).toBe(UNKNOWN_TOKEN);
  expect(openToken(sealed, 'secret-of-the-server', 'two')).toBe(UNKNOWN_TOKEN);
  expect(sealToken('token', null, 'one')).toBe(UNKNOWN_TOKEN);
  // As an earlier version left it.
  expect(openToken('token', 'secret-of-the-server', 'one')).toBe('token');
});

test.skipIf(process.getuid?.() !== 0)(
  'a file that people give is read by the user of the session, whenever it comes',
  async () => {
    const files = join(own, 'given');
    mkdirSync(files, { mode: 0o750 });
    chownSync(files, 0, 70_001);
    const request = Object.assign(Readable.from([Buffer.from('picture')]), {
      headers: {},
    }) as unknown as IncomingMessage;
    const { path } = await takeGivenFile(files, 'picture.png', request);
    expect(lstatSync(path).gid).toBe(70_001);
  },
);
