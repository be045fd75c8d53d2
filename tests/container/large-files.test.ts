/** Files that a repository keeps in Git LFS, from checkout to push: with git-lfs in the sandbox, and without. */
import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { eventually, run, type Stage, setStage } from './stage.ts';

const execute = promisify(execFile);
const BRANCH = 'cyrus/shop-1';
const ATTRIBUTES = '*.bin filter=lfs diff=lfs merge=lfs -text\n';
const hasGitLfs = spawnSync('git', ['lfs', 'version']).status === 0;

// Whole turns of Claude's, on a machine that may be busy.
vi.setConfig({ testTimeout: 300_000 });

let stage: Stage;
let bare: string;
let turn: number;

const oidOf = (content: string) => createHash('sha256').update(content).digest('hex');
const pointerTo = (content: string) =>
  `version https://git-lfs.github.com/spec/v1\noid sha256:${oidOf(content)}\nsize ${Buffer.byteLength(content)}\n`;

/** Puts an object into the host's storage. */
async function onHost(content: string): Promise<void> {
  const oid = oidOf(content);
  const folder = join(bare, 'lfs', 'objects', oid.slice(0, 2), oid.slice(2, 4));
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, oid), content);
}

async function isOnHost(content: string): Promise<boolean> {
  const oid = oidOf(content);
  return access(join(bare, 'lfs', 'objects', oid.slice(0, 2), oid.slice(2, 4), oid)).then(
    () => true,
    () => false,
  );
}

/** The repository, its objects on the host, and a session. */
async function begin(files: Record<string, string>, objects: string[] = []): Promise<void> {
  const author = { name: 'Ada', email: 'ada@acme.example' };
  const commits = [{ message: 'first', author, at: 1_790_000_000, files: { '.gitattributes': ATTRIBUTES, ...files } }];
  await stage.host.ensureRepository('acme/large', { branch: 'main', commits });
  bare = (await stage.host.directory('acme/large')) ?? '';
  for (const content of objects) await onHost(content);
  turn = 0;
  await stage.start('l-1', { repository: { fullName: 'acme/large', pushed: null } });
  await stage.event('ready');
}

async function claude(...commands: string[]) {
  turn += 1;
  const mine = turn;
  await stage.prompt('l-1', run(...commands), mine);
  return await stage.event('saved', (saved) => saved.turn === mine, 120_000);
}

const inWorktree = (path: string) => readFile(join(stage.worktree('l-1'), path), 'utf8');
const onBranch = (path: string) => stage.host.readFile('acme/large', BRANCH, path);
const told = () => stage.eventsOf('notice').map(({ text }) => text);

beforeEach(async () => {
  stage = await setStage();
});
afterEach(async () => await stage.close());

/** Everything that is on the PATH but git-lfs. */
async function pathWithoutGitLfs(folder: string): Promise<void> {
  for (const directory of (process.env.PATH ?? '').split(':')) {
    for (const name of await readdir(directory).catch(() => [])) {
      if (name !== 'git-lfs') await symlink(join(directory, name), join(folder, name)).catch(() => {});
    }
  }
}

describe.each([
  ['with git-lfs in the sandbox', true],
  ['without git-lfs in the sandbox', false],
])('%s', (_name, installed) => {
  const isTried = !installed || hasGitLfs;
  const before = process.env.PATH;
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cyrus-path-'));
    if (installed) return;
    // A session's own user looks its programs up there as well.
    await chmod(folder, 0o755);
    await pathWithoutGitLfs(folder);
    process.env.PATH = folder;
  });
  afterAll(async () => {
    process.env.PATH = before;
    await rm(folder, { recursive: true, force: true });
  });

  test.runIf(isTried)('what Claude leaves or commits is pushed as pointers, their objects before them', async () => {
    const [old, one, two, three] = ['old content', 'one'.repeat(500), 'two'.repeat(50_000), 'three'];
    await begin({ 'old.bin': pointerTo(old), 'kept.bin': pointerTo(old) }, [old]);
    const saved = await claude(
      `cat old.bin > seen.txt; printf ${three} > old.bin; git mv kept.bin moved.bin`,
      `node -e 'require("fs").writeFileSync("committed.bin", "one".repeat(500))'; git add committed.bin; git commit -qm Mine`,
      `node -e 'require("fs").writeFileSync("left.bin", "two".repeat(50000))'; touch empty.bin`,
    );
    expect(saved.problem).toBeUndefined();
    expect(saved.pushed).toBe(true);
    expect(await onBranch('seen.txt')).toBe(old);
    expect(await onBranch('committed.bin')).toBe(pointerTo(one));
    expect(await onBranch('left.bin')).toBe(pointerTo(two));
    expect(await onBranch('old.bin')).toBe(pointerTo(three));
    expect(await onBranch('moved.bin')).toBe(pointerTo(old));
    expect(await onBranch('empty.bin')).toBe('');
    for (const content of [one, two, three]) expect(await isOnHost(content)).toBe(true);
    // The host takes no pointer whose object it does not have, so that the objects came first.
    expect(await inWorktree('left.bin')).toBe(two);
  });

  test.runIf(isTried)('a push of Claude’s own and a checkout of another branch work as in any clone', async () => {
    const other = 'on the other branch';
    await begin({ 'a.bin': pointerTo('a') }, ['a', other]);
    const saved = await claude(
      `printf mine > mine.bin; git add .; git commit -qm Mine; git push -q origin HEAD && echo pushed > pushed.txt; git status --porcelain -uno > status.txt`,
      `git checkout -q -b aside; git checkout -q ${BRANCH}; cat a.bin > a.txt`,
    );
    expect(saved.pushed).toBe(true);
    expect(await onBranch('status.txt')).toBe('');
    // Without git-lfs the host refuses it, and the end of the turn pushes.
    if (installed) expect(await onBranch('pushed.txt')).toBe('pushed\n');
    expect(await onBranch('a.txt')).toBe('a');
    expect(await onBranch('mine.bin')).toBe(pointerTo('mine'));
    expect(await isOnHost('mine')).toBe(true);
  });
});

test('content is in the place of pointers before a setup script runs, and a question changes nothing', async () => {
  const content = 'the model';
  await begin({ 'model.bin': pointerTo(content), 'cyrus-setup.sh': 'cat model.bin\n' }, [content]);
  expect(
    stage
      .eventsOf('setup-output')
      .map(({ text }) => text)
      .join(''),
  ).toContain(content);
  const saved = await claude(
    'cat model.bin; touch model.bin; (git status --porcelain; echo end) > "$CYRUS_SHARE/status.txt"',
  );
  expect(saved).toMatchObject({ files: [], newCommits: 0 });
  expect(stage.gateway.shared.map(({ content: shown }) => shown.toString())).toEqual(['end\n']);
});

test('what nobody has, and what is beyond the limit, stays a pointer; Claude and people are told', async () => {
  await stage.close();
  stage = await setStage({ config: { lfsBytes: 100 } });
  const large = 'x'.repeat(101);
  await begin({ 'gone.bin': pointerTo('gone'), 'small.bin': pointerTo('small'), 'large.bin': pointerTo(large) }, [
    'small',
    large,
  ]);
  expect(await inWorktree('small.bin')).toBe('small');
  expect(await inWorktree('gone.bin')).toBe(pointerTo('gone'));
  expect(await inWorktree('large.bin')).toBe(pointerTo(large));
  expect(told().join('\n')).toMatch(/gone\.bin in Git LFS could not be fetched: Object does not exist on the server/);
  expect(told().join('\n')).toMatch(/large\.bin in Git LFS \(1 MiB\) was not fetched/);
  const saved = await claude('echo y > y.txt; head -c 2000 /dev/zero > gone.bin');
  expect(saved).toMatchObject({ pushed: true });
  // What replaced it is in Git LFS, and what stayed is as it was.
  expect(await onBranch('gone.bin')).toMatch(/^version .*\noid sha256:[0-9a-f]{64}\nsize 2000\n$/);
  expect(await onBranch('large.bin')).toBe(pointerTo(large));
});

describe('a repository that would lead elsewhere', () => {
  let trap: Server;
  const caught: string[] = [];

  beforeEach(async () => {
    caught.length = 0;
    trap = createServer((request, response) => {
      caught.push(`${request.method} ${request.url}`);
      response.writeHead(500).end();
    });
    await new Promise<void>((listening) => trap.listen(0, '127.0.0.1', listening));
  });
  afterEach(() => {
    trap.closeAllConnections();
    trap.close();
  });

  test('by .lfsconfig, settings, filters, transfer agents or rewritten addresses gets no request and runs nothing', async () => {
    const url = `http://127.0.0.1:${(trap.address() as AddressInfo).port}`;
    await begin(
      {
        'a.bin': pointerTo('a'),
        '.lfsconfig': `[lfs]\n\turl = ${url}/lfs\n\tpushurl = ${url}/lfs\n[remote "origin"]\n\tlfsurl = ${url}/lfs\n`,
      },
      ['a'],
    );
    expect(await inWorktree('a.bin')).toBe('a');
    const saved = await claude(
      `git config lfs.url ${url}/lfs; git config lfs.pushurl ${url}/lfs; git config remote.origin.lfsurl ${url}/lfs; git config lfs.storage /nonexistent`,
      `git config filter.lfs.clean 'touch clean-ran; cat'; git config filter.lfs.smudge 'touch smudge-ran; cat'; git config filter.lfs.process ''; git config filter.lfs.required false`,
      `git config lfs.standalonetransferagent evil; git config lfs.customtransfer.evil.path /bin/false; git config lfs.extension.evil.clean 'touch extension-ran; cat'; git config lfs.extension.evil.priority 0`,
      'printf new > new.bin',
    );
    expect(saved).toMatchObject({ pushed: true });
    expect(await onBranch('new.bin')).toBe(pointerTo('new'));
    expect(await isOnHost('new')).toBe(true);
    expect(caught).toEqual([]);
    const there = await readdir(stage.worktree('l-1'));
    expect(there.filter((name) => name.endsWith('-ran'))).toEqual([]);
  });
});

test('objects that are not on the host yet survive the loss of the sandbox, those of earlier commits too', async () => {
  await begin({ 'a.txt': 'a\n' });
  stage.gateway.refuseGit = { status: 403, text: 'Cyrus: not now' };
  const saved = await claude(
    'printf first > a.bin; git add .; git commit -qm First; printf second > a.bin; git commit -qam Second; printf third > b.bin',
  );
  expect(saved.pushed).toBe(false);
  const isKept = () => (stage.gateway.checkpoint?.eventSeq ?? 0) >= saved.seq && stage.gateway.checkpoint;
  const restore = await eventually(isKept, 'a checkpoint of all of it', 60_000);
  await stage.vanish('l-1');
  stage.gateway.refuseGit = null;
  stage.gateway.awaitNewStream();
  await stage.start('l-1', { generation: 2, restore, repository: { fullName: 'acme/large', pushed: null } });
  await stage.event('ready');
  expect(await inWorktree('a.bin')).toBe('second');
  const again = await claude('echo more > more.txt');
  expect(again.problem).toBeUndefined();
  expect(again.pushed).toBe(true);
  for (const content of ['first', 'second', 'third']) expect(await isOnHost(content)).toBe(true);
  expect(await onBranch('b.bin')).toBe(pointerTo('third'));
});

test('a pointer to content that nobody has is not pushed, and Claude is told while it can put that right', async () => {
  await begin({ 'a.txt': 'a\n' });
  const pointer = pointerTo('never there').replaceAll('\n', '\\n');
  const saved = await claude(`printf '${pointer}' > a.bin; git add .; git commit -qm Pointer`);
  expect(saved.pushed).toBe(false);
  expect(saved.problem).toMatch(/a\.bin is committed as a pointer of Git LFS to content that is neither here nor on/);
  const mended = await claude('printf "never there" > a.bin; git status');
  expect(mended.pushed).toBe(true);
  expect(await isOnHost('never there')).toBe(true);
});

test('a commit that replaces a pointer by content is not pushed, and Claude is told how to mend it', async () => {
  await begin({ 'a.bin': pointerTo('a') }, ['a']);
  const content = 'x'.repeat(2_000);
  const raw = 'git -c filter.lfs.process= -c filter.lfs.clean= -c filter.lfs.required=false';
  const saved = await claude(`printf ${content} > a.bin; ${raw} add a.bin; ${raw} commit -qm Raw`);
  expect(saved.pushed).toBe(false);
  expect(saved.problem).toMatch(/a\.bin is kept in Git LFS, and a commit replaces its pointer with the content itself/);
  const mended = await claude('git rm -q --cached a.bin; git add a.bin; git commit -q --amend -m Pointer');
  expect(mended.pushed).toBe(true);
  expect(await onBranch('a.bin')).toBe(pointerTo(content));
});

test('a file that somebody has locked is not pushed over, and Claude is told whose it is while it can undo that', async () => {
  await begin({ 'a.bin': pointerTo('a'), 'b.bin': pointerTo('b') }, ['a', 'b']);
  for (const [path, owner] of [
    ['other.bin', 'Bob'],
    ['a.bin', 'Ada\nExample'],
  ] as const)
    stage.host.lockFile('acme/large', path, owner);
  const saved = await claude('printf mine > a.bin; git commit -qam Mine; printf also > b.bin; git commit -qam Also');
  expect(saved.pushed).toBe(false);
  expect(saved.problem).toContain('files in Git LFS that it changes: a.bin (by Ada Example). Undo');
  expect(await isOnHost('mine')).toBe(false);
  const mended = await claude('git checkout -q HEAD~2 -- a.bin; git commit -qm Undo');
  expect(mended.pushed).toBe(true);
  expect(await onBranch('b.bin')).toBe(pointerTo('also'));
});

test('what other people push comes with its content', async () => {
  await begin({ 'a.txt': 'a\n' });
  await claude('echo 1 > 1.txt');
  const clone = await mkdtemp(join(stage.root, '..', 'person-'));
  const script = `git clone -q -b ${BRANCH} "$1" .; printf '${pointerTo('theirs').replaceAll('\n', '\\n')}' > theirs.bin
    git -c filter.lfs.process= -c filter.lfs.clean= -c filter.lfs.required=false add .
    git -c user.name=P -c user.email=p@example.com commit -qm Theirs; git push -q origin HEAD`;
  await onHost('theirs');
  await execute('bash', ['-euc', script, 'bash', bare], {
    cwd: clone,
    env: { PATH: process.env.PATH, HOME: clone, GIT_CONFIG_NOSYSTEM: '1' },
  });
  await rm(clone, { recursive: true, force: true });
  const saved = await claude('cat theirs.bin > copy.txt');
  expect(saved.pushed).toBe(true);
  expect(await onBranch('copy.txt')).toBe('theirs');
});
