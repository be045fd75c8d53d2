/** Under `pullRequest.workflows: hold`, with a real git on both sides of the gateway. */
import { randomUUID } from 'node:crypto';
import { cp, mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { forwardToGit } from '../../../src/gateway/git/git.ts';
import type { Claims } from '../../../src/gateway/token.ts';
import type { HeldPush } from '../../../src/protocol/held-push.ts';
import { fitsPart, isWorkflowName, workflowPathSchema } from '../../../src/protocol/settings/workflow-paths.ts';
import { spyOnLog } from '../../support/log-spy.ts';
import { type GitBackend, startGitBackend } from './git-backend.ts';
import { runGit } from './real-git.ts';
import { serve, type WebServer } from './web-server.ts';

const claims: Claims = { s: 'a'.repeat(64), w: 'workspace', r: 'acme/shop', b: 'cyrus/eng-1', g: 1 };
spyOnLog();

describe('pushes of what runs on the git host', { timeout: 60_000 }, () => {
  let root: string;
  let host: GitBackend;
  let gateway: WebServer;
  let work: string;
  let bare: string;
  let own: Map<string, readonly string[]>;
  let allowed: Set<string>;
  let paths: string[];
  let shown: HeldPush[];

  const git = (...args: string[]) => runGit(args, work, root);

  async function write(path: string, text: string): Promise<void> {
    await mkdir(dirname(join(work, path)), { recursive: true });
    await writeFile(join(work, path), text);
  }

  async function commit(message: string): Promise<void> {
    await git('add', '-A');
    expect((await git('commit', '--quiet', '--allow-empty', '-m', message)).code).toBe(0);
  }

  /** As the sandbox server pushes once it was told that the gateway cannot read deltas. */
  const push = (...more: string[]) =>
    git(
      '-c',
      'pack.window=0',
      '-c',
      'pack.depth=0',
      'push',
      '--no-thin',
      ...more,
      'origin',
      'HEAD:refs/heads/cyrus/eng-1',
    );
  const onHost = async () => (await git('-C', bare, 'rev-parse', 'refs/heads/cyrus/eng-1')).output.trim();
  const head = async () => (await git('rev-parse', 'HEAD')).output.trim();

  async function expectHeld(...names: string[]): Promise<string> {
    const { code, output } = await push('--force');
    expect(output).toMatch(/\[held [0-9a-f]{64}: /);
    expect(code).toBe(1);
    for (const name of names) expect(output).toContain(JSON.stringify(name));
    return /\[held ([0-9a-f]{64}): /.exec(output)?.[1] ?? '';
  }

  async function expectPushed(): Promise<void> {
    expect(await push('--force')).toMatchObject({ code: 0 });
    expect(await onHost()).toBe(await head());
  }

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'cyrus-hold-'));
    host = await startGitBackend(root, 'cyrus:password');
    const remote = { cloneUrl: `${host.url}/acme/shop.git`, credential: { username: 'cyrus', password: 'password' } };
    const commits = {
      all: async () => own,
      branch: async () => claims.b,
      confirm: async () => {},
      add: async (pushed: ReadonlyMap<string, readonly string[]>) => {
        for (const [id, parents] of pushed) own.set(id, parents);
      },
    };
    gateway = await serve((request) =>
      forwardToGit(request, new URL(request.url).pathname.slice(5), claims, remote, fetch, undefined, commits, null, {
        bases: async () => ['main'],
        paths,
        isAllowed: async (fingerprint) => allowed.has(fingerprint),
        onHeld: async (push) => {
          shown.push(push);
          return null;
        },
      }),
    );
    // Each test begins with a copy of these.
    bare = join(root, 'first/host');
    work = join(root, 'first/work');
    await mkdir(work, { recursive: true });
    await git('init', '--template=', '--quiet', '--bare', '--initial-branch=main', bare);
    await git('-C', bare, 'config', 'http.receivepack', 'true');
    await git('-C', bare, 'config', 'uploadpack.allowFilter', 'true');
    await git('init', '--template=', '--quiet', '--initial-branch=main', '.');
    await write('README', 'shop\n');
    await write('.github/workflows/ci.yml', 'on: push\n');
    await write('scripts/ci/run.sh', 'npm test\n');
    await write('scripts/other.sh', 'ls\n');
    await write('package.json', '{}\n');
    for (let index = 0; index < 40; index++) await write(`src/file-${index}.txt`, `${index}\n`);
    await commit('Start');
    await git('push', '--quiet', bare, 'main');
    await git('-C', bare, 'repack', '-adq');
    await git('repack', '-adq');
    await git('remote', 'add', 'origin', `${gateway.url}/git/acme/shop.git`);
    await git('checkout', '--quiet', '-b', 'cyrus/eng-1');
  });
  afterAll(async () => {
    await gateway.close();
    await host.close();
    await rm(root, { recursive: true, force: true });
  });

  beforeEach(async () => {
    own = new Map();
    allowed = new Set();
    shown = [];
    paths = [];
    bare = join(root, 'acme/shop.git');
    await rm(join(root, 'acme'), { recursive: true, force: true });
    await cp(join(root, 'first/host'), bare, { recursive: true });
    work = join(root, 'work', randomUUID());
    await cp(join(root, 'first/work'), work, { recursive: true });
  });

  it('people are shown a diff that the gateway itself made of what is pushed: changed, new, gone, linked and not text', async () => {
    await write('.github/workflows/ci.yml', 'on: push\nrun: env\n');
    await write('.github/workflows/new/deep.yml', 'one\ntwo');
    await write('.github/picture.png', 'a\0b');
    await symlink('../scripts/other.sh', join(work, '.github/link.sh'));
    await write('scripts/ci/run.sh', 'npm test\ncurl evil\n');
    await rm(join(work, 'package.json'));
    paths = ['scripts/ci/**', 'package.json'];
    await commit('Change');
    const fingerprint = await expectHeld('.github', 'package.json', 'scripts/ci');
    expect(shown.map((push) => push.fingerprint)).toEqual([fingerprint]);
    expect(shown[0]?.diff.replaceAll(/[0-9a-f]{40}/g, 'ID')).toBe(
      [
        ...['--- /dev/null', '+++ b/.github/link.sh', '(nothing becomes a link)', '@@ -0,0 +1,1 @@'],
        ...['+../scripts/other.sh', '\\ No newline at end of file'],
        ...['--- /dev/null', '+++ b/.github/picture.png', '(no text: nothing becomes ID)'],
        ...['--- a/.github/workflows/ci.yml', '+++ b/.github/workflows/ci.yml'],
        ...['@@ -1,1 +1,2 @@', ' on: push', '+run: env'],
        ...['--- /dev/null', '+++ b/.github/workflows/new/deep.yml', '@@ -0,0 +1,2 @@'],
        ...['+one', '+two', '\\ No newline at end of file'],
        ...['--- a/package.json', '+++ /dev/null', '@@ -1,1 +0,0 @@', '-{}'],
        ...['--- a/scripts/ci/run.sh', '+++ b/scripts/ci/run.sh', '@@ -1,1 +1,2 @@', ' npm test', '+curl evil'],
      ].join('\n'),
    );
  });

  it('what was allowed is held again as soon as its contents are others than those that were shown', async () => {
    await write('.github/workflows/ci.yml', 'on: push\nrun: test\n');
    await commit('Change');
    allowed.add(await expectHeld('.github'));
    await expectPushed();
    await write('.github/workflows/ci.yml', 'on: push\nrun: env\n');
    await git('commit', '--quiet', '--all', '--amend', '--no-edit');
    await expectHeld('.github');
    expect(shown.map(({ diff }) => diff.includes('+run: env'))).toEqual([false, true]);
  });

  it('a diff that is longer than people read is not shown, and nobody is asked', async () => {
    await write('.github/workflows/ci.yml', 'run: something\n'.repeat(4_000));
    await commit('Change');
    const { code, output } = await push();
    expect(code).toBe(1);
    expect(output).toContain('more files, or stranger names, than a person can judge at once');
    expect(shown).toEqual([]);
  });

  it('what does not touch them is pushed, also by a plain git push', async () => {
    await write('src/file-1.txt', 'changed\n');
    await commit('Change');
    await expectPushed();
    await commit('Nothing in it');
    expect(await git('push', 'origin', 'HEAD:refs/heads/cyrus/eng-1')).toMatchObject({ code: 0 });
    await git('revert', '--no-edit', 'HEAD~1');
    await expectPushed();
  });

  it('a changed workflow is pushed once a person has allowed exactly these contents, and a later change asks again', async () => {
    await write('.github/workflows/ci.yml', 'on: push\nrun: env\n');
    await commit('Steal');
    allowed.add(await expectHeld('.github'));
    await expectPushed();
    await write('src/file-1.txt', 'more\n');
    await commit('More');
    await expectPushed();
    await write('.github/workflows/ci.yml', 'on: push\nrun: curl\n');
    await commit('Other');
    await expectHeld('.github');
  });

  const tricks: [string, string, () => Promise<void>][] = [
    ['a new workflow', '.github', () => write('.github/workflows/x.yml', 'on: push\n')],
    ['one of another service', '.gitlab-ci.yml', () => write('.gitlab-ci.yml', 'a: b\n')],
    ['another case', '.GitHub', () => write('.GitHub/workflows/x.yml', 'on: push\n')],
    ['a Jenkinsfile by another ending', 'Jenkinsfile.release', () => write('Jenkinsfile.release', 'x\n')],
    [
      'a workflow that is renamed',
      '.github',
      () => rename(join(work, '.github/workflows/ci.yml'), join(work, '.github/workflows/b.yml')),
    ],
    ['a folder that is moved to its place', '.circleci', () => rename(join(work, 'scripts'), join(work, '.circleci'))],
    ['a workflow that is removed', '.github', () => rm(join(work, '.github'), { recursive: true })],
    [
      'a link in its place',
      '.github',
      async () => {
        await rm(join(work, '.github'), { recursive: true });
        await symlink('src', join(work, '.github'));
      },
    ],
    ['a mode', '.github', async () => void (await git('update-index', '--chmod=+x', '.github/workflows/ci.yml'))],
    [
      'a submodule',
      '.github',
      async () => {
        await rm(join(work, '.github'), { recursive: true });
        await git('rm', '-rq', '--cached', '.github');
        await git('update-index', '--add', '--cacheinfo', `160000,${await head()},.github`);
      },
    ],
  ];
  it.each(tricks)('%s is held', async (_what, name, change) => {
    await change();
    if (_what === 'a mode' || _what === 'a submodule') await git('commit', '--quiet', '-m', 'Trick');
    else await commit('Trick');
    await expectHeld(name);
  });

  it('a change that a later commit undoes is no change', async () => {
    await write('.github/workflows/ci.yml', 'on: push\nrun: env\n');
    await commit('Do');
    await git('revert', '--no-edit', 'HEAD');
    await expectPushed();
  });

  it("the base's own changes come in by a merge, and a branch stays good when the base has moved on", async () => {
    await write('src/file-1.txt', 'mine\n');
    await commit('Mine');
    await git('checkout', '--quiet', 'main');
    await write('.github/workflows/ci.yml', 'on: pull_request\n');
    await commit('By people');
    await git('push', '--quiet', bare, 'main');
    await git('checkout', '--quiet', 'cyrus/eng-1');
    await expectPushed();
    await git('merge', '--quiet', '--no-edit', 'main');
    await expectPushed();
  });

  it('the workflows of another branch are held, whether they are merged or the branch itself is pushed', async () => {
    await git('checkout', '--quiet', '-b', 'evil', 'main');
    await write('.github/workflows/ci.yml', 'on: evil\n');
    await commit('Evil');
    await git('push', '--quiet', bare, 'evil');
    await expectHeld('.github');
    await git('checkout', '--quiet', 'cyrus/eng-1');
    await git('merge', '--quiet', '--no-edit', '--no-ff', 'evil');
    await expectHeld('.github');
  });

  it('what people pushed to the branch themselves may stay there', async () => {
    await write('src/file-1.txt', 'mine\n');
    await commit('Mine');
    await expectPushed();
    await write('.github/workflows/ci.yml', 'on: person\n');
    await commit('Person');
    await git('push', '--quiet', bare, 'HEAD:cyrus/eng-1');
    await git('fetch', '--quiet', 'origin');
    await write('src/file-2.txt', 'mine\n');
    await commit('Mine again');
    await expectPushed();
  });

  it('paths that an admin names are held too, and nothing beside them', async () => {
    paths = ['package.json', 'scripts/ci/**', 'src/*-7.txt'];
    await write('scripts/other.sh', 'pwd\n');
    await write('src/file-8.txt', 'x\n');
    await commit('Beside');
    await expectPushed();
    await write('scripts/ci/run.sh', 'curl evil\n');
    await commit('Script');
    await expectHeld('scripts/ci');
    await write('package.json', '{"a":1}\n');
    await write('src/file-7.txt', 'x\n');
    await commit('More');
    await expectHeld('package.json', 'scripts/ci', 'src/file-7.txt');
    await git('reset', '--quiet', '--hard', 'HEAD~2');
    await rm(join(work, 'scripts/ci'), { recursive: true });
    await symlink('../src', join(work, 'scripts/ci'));
    await commit('Link');
    await expectHeld('scripts/ci');
  });

  it('what cannot be read is refused with a message that says how to push it, and nothing is pushed', async () => {
    await write('.github/workflows/ci.yml', 'on: push\nrun: env\n');
    await commit('Steal');
    const { code, output } = await git('push', 'origin', 'HEAD:refs/heads/cyrus/eng-1');
    expect(code).toBe(1);
    expect(output).toMatch(/pack\.depth=0 push --no-thin|\[held /);
    expect((await git('-C', bare, 'rev-parse', '--verify', 'refs/heads/cyrus/eng-1')).code).not.toBe(0);
  });

  it('a host without partial clones is asked in the same way', async () => {
    await git('-C', bare, 'config', 'uploadpack.allowFilter', 'false');
    await write('src/file-1.txt', 'x\n');
    await commit('Fine');
    await expectPushed();
    await write('.github/x.yml', 'x\n');
    await commit('Not');
    await expectHeld('.github');
  });
});

describe('paths that an admin names', () => {
  it.each(['package.json', 'scripts/ci/**', 'scripts/*.sh', '.config/*/ci-*.y*ml'])(
    'an admin can name %s as a workflow path',
    (path) => {
      expect(workflowPathSchema.safeParse(path).success).toBe(true);
    },
  );
  it.each(['/etc', '', '../x', 'a//b', '**', '**/x', 'a/**/b', 'a\\b', 'a\nb'])(
    '%j is refused as a workflow path',
    (path) => {
      expect(workflowPathSchema.safeParse(path).success).toBe(false);
    },
  );
  it('stars stand for what is within a name, without regard to case', () => {
    expect(fitsPart('Build-CI.sh', 'build-*.SH')).toBe(true);
    expect(fitsPart('ab', 'a*b*b')).toBe(false);
    expect(fitsPart('abcb', 'a*b*b')).toBe(true);
    expect(fitsPart('b', 'a')).toBe(false);
    expect(isWorkflowName('JENKINSFILE')).toBe(true);
    expect(isWorkflowName('src')).toBe(false);
  });
});
