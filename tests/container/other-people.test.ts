import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { GatewayProxy } from '../../container/gateway/proxy.ts';
import { commitAt } from '../../container/git/host-branch.ts';
import { inWorktree, type WorkspacePlan } from '../../container/git/workspace-plan.ts';
import { sessionPaths } from '../../container/paths.ts';
import { takeUpOutside } from '../../container/save/branch-catch-up.ts';
import type { BranchMemory } from '../../container/save/branch-news.ts';
import { leftBehind } from '../../container/save/left-behind.ts';
import { serve } from '../unit/gateway/web-server.ts';
import { eventually, run, type Stage, setStage } from './stage.ts';

const execute = promisify(execFile);
const BRANCH = 'cyrus/shop-1';

let stage: Stage;
let turn = 0;
let session = '';
let bare = '';

beforeAll(async () => {
  stage = await setStage({ config: { shutdownMs: 500 } });
});
afterAll(async () => await stage.close());

/** A repository and a session of its own for each story. */
async function begin(
  name: string,
  files: Record<string, string> = { 'f.txt': 'line1\nline2\nline3\n' },
  before = ':',
  more: { readOnly?: boolean } = {},
): Promise<void> {
  const author = { name: 'Ada', email: 'ada@acme.example' };
  await stage.host.ensureRepository(`acme/${name}`, {
    branch: 'main',
    commits: [{ message: 'first', author, at: 1_790_000_000, files }],
  });
  bare = (await stage.host.directory(`acme/${name}`)) ?? '';
  await execute('bash', ['-euc', before, 'bash', bare]);
  session = name;
  stage.gateway.awaitNewStream();
  turn = 0;
  await stage.start(name, { repository: { fullName: `acme/${name}`, pushed: null, ...more } });
}

/** One turn of Claude's. @returns what was saved */
async function claude(...commands: string[]) {
  turn += 1;
  const mine = turn;
  await stage.prompt(session, run(...commands), mine);
  return await stage.event('saved', (saved) => saved.turn === mine, 60_000);
}

/** The prompts in which Claude read these words. */
async function claudeWasTold(words: string): Promise<string[]> {
  // The transcript is written a moment after the turn.
  const transcripts = join(stage.sessionDir(session), 'home', '.claude', 'projects');
  return await eventually(async () => {
    const { stdout } = await execute('grep', ['-rh', words, transcripts]).catch(() => ({ stdout: '' }));
    const prompts = stdout.split('\n').filter((line) => line.includes('"type":"user"'));
    return prompts.length > 0 ? prompts : null;
  }, 'the words in the transcript');
}

/** What a person does in a clone of their own. */
async function person(script: string): Promise<string> {
  const clone = await mkdtemp(join(stage.root, '..', 'person-'));
  const { stdout } = await execute(
    'bash',
    [
      '-euc',
      `git clone -q "$1" . ; git config user.name P; git config user.email p@example.com; git checkout -q ${BRANCH} 2>/dev/null || true; ${script}`,
      'bash',
      bare,
    ],
    { cwd: clone },
  );
  await rm(clone, { recursive: true, force: true });
  return stdout.trim();
}

/** The same, as a command that runs in the middle of Claude's turn. */
function outside(script: string): string {
  const all = `rm -rf /tmp/p-$$; git clone -q -b ${BRANCH} ${bare} /tmp/p-$$; cd /tmp/p-$$; git config user.name P; git config user.email p@example.com; ${script}; rm -rf /tmp/p-$$`;
  return `env -i PATH="$PATH" HOME=/nonexistent bash -euc '${all}'`;
}

/** The plan of a session's working copy, as the server has it. */
function planOf(worktree: string, gatewayUrl = stage.gateway.url, proxyUrl = ''): WorkspacePlan {
  const paths = sessionPaths(stage.root, session);
  const remote = {
    url: `${gatewayUrl}/git/acme/${session}.git`,
    gatewayUrl,
    token: stage.gateway.token,
    author: { name: 'Cyrus', email: 'cyrus@cyrus.test' },
    excludesFile: paths.excludes,
    proxyUrl,
    hooksFolder: paths.hooks,
  };
  return {
    mirror: '',
    worktree,
    fullName: `acme/${session}`,
    identity: null,
    baseBranch: 'main',
    branch: BRANCH,
    remote,
    bundlePath: paths.bundle,
    signal: new AbortController().signal,
  };
}

function without(headers: Headers, names: string[]): Headers {
  const kept = new Headers(headers);
  for (const name of names) kept.delete(name);
  return kept;
}

const subjects = async (branch = BRANCH) =>
  (await stage.host.log(`acme/${session}`, branch)).map(({ subject }) => subject);

describe('other people work on the same branch', () => {
  test('a person’s commit stays on the branch, also if Claude has fetched it and committed beside it', async () => {
    await begin('lease');
    await claude('echo one > a.txt; git add .; git commit -qm C1');
    await person("git commit -q --allow-empty -m 'Person’s commit' && git push -q");
    const saved = await claude('git fetch -q origin; echo two > b.txt; git add .; git commit -qm C2');
    expect(saved.pushed).toBe(true);
    expect(await subjects()).toEqual(expect.arrayContaining(['C1', 'C2', 'Person’s commit']));
  });

  test('what a person pushes while Claude works is merged at the end of the turn', async () => {
    await begin('during');
    await claude('echo one > a.txt; git add .; git commit -qm C1');
    const push = outside('git commit -q --allow-empty -m During; git push -q');
    const saved = await claude(push, 'echo two > b.txt; git add .; git commit -qm C2');
    expect(saved).toMatchObject({ pushed: true });
    expect(await subjects()).toEqual(expect.arrayContaining(['C1', 'C2', 'During']));
  });

  test('a branch that was squash-merged and deleted begins again from the base, and nothing the base has comes back', async () => {
    await begin('merged');
    await claude('sed -i s/line2/LINE-TWO/ f.txt; git commit -qam C1');
    await person(
      `git checkout -q main; git merge -q --squash origin/${BRANCH}; git commit -qm 'Squash (#1)'; sed -i s/LINE-TWO/line-two-final/ f.txt; git commit -qam tweak; git push -q origin main; git push -q origin :${BRANCH}`,
    );
    const saved = await claude('echo more > g.txt; git add .; git commit -qm C2');
    expect(saved).toMatchObject({ pushed: true, commits: [{ subject: 'C2' }] });
    expect(saved.files.map(({ path }) => path)).toEqual(['g.txt']);
    expect(await subjects()).toEqual(['C2', 'tweak', 'Squash (#1)', expect.any(String)]);
  });

  test('if Claude works beside its branch, what the base has as a squash does not come back either', async () => {
    await begin('merged-beside');
    await claude('echo one > a.txt; git add .; git commit -qm C1');
    const merge = outside(
      `git checkout -q main; git merge -q --squash origin/${BRANCH}; git commit -qm Squash; git push -q origin main; git push -q origin :${BRANCH}`,
    );
    const saved = await claude('git checkout -q --detach; echo two > b.txt; git add .; git commit -qm C2', merge);
    expect(saved).toMatchObject({ pushed: true, commits: [{ subject: 'C2' }] });
    expect(saved.problem).toBeUndefined();
    expect(await subjects()).toEqual(['C2', 'Squash', 'first']);
  });

  test('a push of the session’s own that ends while the host answers is not taken for a deletion by others', async () => {
    await begin('own-push');
    await stage.event('ready');
    const cwd = stage.worktree(session);
    await execute('bash', ['-euc', 'echo one > a.txt; git add .; git commit -qm C1'], { cwd });
    const memory: BranchMemory = { tip: null };
    let head = '';
    let asked = 0;
    // The host has said already that there is no such branch when the push comes, and its answer arrives after it.
    const slow = await serve(async (request) => {
      const { pathname, search } = new URL(request.url);
      const body = request.method === 'POST' ? await request.arrayBuffer() : undefined;
      const answer = await fetch(`${stage.gateway.url}${pathname}${search}`, {
        method: request.method,
        headers: without(request.headers, ['host', 'connection', 'content-length', 'transfer-encoding']),
        ...(body && { body }),
      });
      const text = await answer.arrayBuffer();
      if (!pathname.endsWith('/info/refs')) asked += 1;
      if (asked === 1 && memory.tip === null) {
        await execute('git', ['push', '-q', bare, `HEAD:refs/heads/${BRANCH}`], { cwd });
        memory.tip = head;
      }
      const headers = without(answer.headers, [
        'connection',
        'content-encoding',
        'content-length',
        'transfer-encoding',
      ]);
      return new Response(text, { status: answer.status, headers });
    });
    const way = await GatewayProxy.open(() => ({ url: slow.url, token: stage.gateway.token }), null);
    const plan = planOf(cwd, slow.url, way.url);
    try {
      head = (await commitAt(inWorktree(plan), 'HEAD')) ?? '';
      expect(await takeUpOutside(plan, memory)).toEqual({
        tips: { base: expect.any(String), branch: head },
        news: [],
        blocked: null,
      });
      expect(memory).toEqual({ tip: head, base: expect.stringMatching(/^main [\da-f]{40}$/) });
      expect(await commitAt(inWorktree(plan), 'HEAD')).toBe(head);
    } finally {
      way.close();
      await slow.close();
    }
  });

  test('a branch that was squash-merged and still exists continues from the base', async () => {
    await begin('standing');
    await claude('sed -i s/line2/LINE-TWO/ f.txt; git commit -qam C1');
    await person(
      `git checkout -q main; git merge -q --squash origin/${BRANCH}; git commit -qm 'Squash (#1)'; sed -i s/LINE-TWO/line-two-final/ f.txt; git commit -qam tweak; git push -q origin main`,
    );
    const saved = await claude('echo more > g.txt; git add .; git commit -qm C2');
    expect(saved).toMatchObject({ pushed: true, commits: [{ subject: 'C2' }] });
    expect(await subjects()).toEqual(['C2', 'tweak', 'Squash (#1)', expect.any(String)]);
  });

  test('history that a person rewrote is followed if nothing is missing there, and told', async () => {
    await begin('rewritten');
    await claude('echo one > a.txt; git add .; git commit -qm C1');
    await person("git commit -q --amend -m 'C1, as P likes it'; git push -qf");
    const saved = await claude('echo two > b.txt; git add .; git commit -qm C2');
    expect(saved.pushed).toBe(true);
    expect(await subjects()).toEqual(['C2', 'C1, as P likes it', expect.any(String)]);
    const told = stage.eventsOf('notice').map(({ text }) => text);
    expect(told.join('\n')).toMatch(/rewritten on the git host/);
  });

  test('history rewritten under work that was not pushed is never overwritten: the work is named as not pushed', async () => {
    await begin('never-force');
    await claude('echo one > a.txt; git add .; git commit -qm C1');
    const rewrite = outside('git commit -q --amend -m Rewritten; git push -qf');
    const saved = await claude(rewrite, 'echo two > b.txt; git add .; git commit -qm C2');
    expect(saved.pushed).toBe(false);
    expect(saved.problem).toMatch(/rewritten on the git host.*"C2"/s);
    expect(await subjects()).toEqual(['Rewritten', expect.any(String)]);
  });

  test('that a pull request was closed is told to Claude before its next prompt, once', async () => {
    await begin('closed');
    await claude('echo one > a.txt; git add .; git commit -qm C1');
    const head = (await stage.host.log('acme/closed', BRANCH))[0]?.sha ?? '';
    const pullRequest = { number: 12, state: 'closed' as const, head, base: 'main' };
    await stage.start(session, { repository: { fullName: 'acme/closed', pushed: null, pullRequest } });
    await claude('true');
    await claude('true');
    expect(await claudeWasTold('Pull request #12 of this branch was closed without')).toHaveLength(1);
  });

  test('work that was pushed after the pull request had been merged is not taken for merged', async () => {
    await begin('merged-before');
    await claude('echo one > a.txt; git add .; git commit -qm C1');
    const merged = (await stage.host.log('acme/merged-before', BRANCH))[0]?.sha ?? '';
    await claude('echo two > b.txt; git add .; git commit -qm C2');
    await person(
      'git checkout -q main; git merge -q --squash origin/cyrus/shop-1~1; git commit -qm Squash; git push -q',
    );
    const pullRequest = { number: 12, state: 'merged' as const, head: merged, base: 'main' };
    await stage.start(session, { repository: { fullName: 'acme/merged-before', pushed: null, pullRequest } });
    await claude('git log --oneline > /dev/null');
    expect(await subjects()).toContain('C2');
  });

  test('commits that cannot be merged stay on the host; Claude is told before its turn ends', async () => {
    await begin('conflict');
    await claude('echo one > a.txt; git add .; git commit -qm C1');
    const push = outside('echo theirs > a.txt; git commit -qam Theirs; git push -q');
    const saved = await claude(push, 'echo mine > a.txt; git commit -qam Mine');
    expect(saved.pushed).toBe(false);
    expect(saved.problem).toContain('conflicts in a.txt');
    expect(await subjects()).toEqual(['Theirs', 'C1', expect.any(String)]);
    expect(JSON.stringify(stage.lines('user'))).toContain('Fix what you can');
  });

  test('commits beside the branch that cannot be merged into it are named once, with what is in the way', async () => {
    await begin('beside');
    await claude('echo mine > shared.txt; git add .; git commit -qm C1');
    const saved = await claude(
      'git checkout -q --detach HEAD~1; echo other > shared.txt; git add .; git commit -qm C2',
    );
    expect(saved.problem?.match(/could not be merged into/g)).toHaveLength(1);
    expect(saved.problem).toMatch(/"C2".* on a detached commit could not be merged into .*: conflicts in shared\.txt/);
  });

  test('work is saved from HEAD, whatever Claude called the branch', async () => {
    await begin('renamed');
    const saved = await claude(
      'git branch -m fix/better-name; echo 1 > a.txt; git add .; git commit -qm Fix; echo 2 > left.txt',
    );
    expect(saved).toMatchObject({ pushed: true, newCommits: 2 });
    expect(saved.problem).toBeUndefined();
    await claude('git checkout -q --detach; echo 3 > b.txt; git add .; git commit -qm Detached');
    await claude(
      'git branch -D fix/better-name; git checkout -q -b other; echo 4 > c.txt; git add .; git commit -qm Other',
    );
    expect(await subjects()).toEqual(expect.arrayContaining(['Fix', 'Detached', 'Other']));
    const looked = await claude('git checkout -q origin/main');
    expect(looked.pushed).toBe(true);
    expect(await subjects()).toEqual(expect.arrayContaining(['Fix', 'Detached', 'Other']));
    await claude('git checkout -q -b beside origin/main; echo 5 > d.txt; git add .; git commit -qm Beside');
    expect(await subjects()).toEqual(expect.arrayContaining(['Fix', 'Detached', 'Other', 'Beside']));
  });

  test('one file that git cannot take costs that file, and is named', async () => {
    await begin('bad-file', { '.gitattributes': '*.rc text working-tree-encoding=UTF-16\n', 'README.md': 'hi\n' });
    const saved = await claude('echo plain > res.rc; echo important > work.txt');
    expect(saved.pushed).toBe(true);
    expect(saved.files.map(({ path }) => path)).toEqual(['work.txt']);
    expect(saved.problem).toMatch(/res\.rc was not committed: git cannot store it .*BOM/);
  });

  test('a repository inside of the repository is left out and named', async () => {
    await begin('gitlink');
    const saved = await claude(
      'mkdir -p ref/lib; cd ref/lib; git init -q; echo x > x.txt; git add .; git commit -qm inner; cd ../..; echo y > y.txt',
    );
    expect(saved.files.map(({ path }) => path)).toEqual(['y.txt']);
    expect(saved.problem).toMatch(/ref\/lib\/ was not committed: it is a git repository of its own/);
  });

  test('what the setup scripts made is no work of Claude’s, and a .env of theirs is never committed', async () => {
    await begin('leftovers', {
      'package-lock.json': '{"name":"x","lockfileVersion":2}\n',
      'cyrus-setup.sh':
        'echo "{\\"name\\":\\"x\\",\\"lockfileVersion\\":3}" > package-lock.json\necho SECRET=1 > .env\n',
    });
    const looked = await claude('ls');
    expect(looked).toMatchObject({ commits: [], files: [] });
    const worked = await claude('echo SECRET=2 >> .env; echo new > new.txt; git add -A; git status --short');
    expect(worked.files.map(({ path }) => path)).not.toContain('.env');
    expect(worked.files.map(({ path }) => path)).toContain('new.txt');
  });

  test('a .env of the setup scripts is kept out of Claude’s own commits also after the server was restarted', async () => {
    await begin('restarted', { 'f.txt': 'one\n', 'cyrus-setup.sh': 'echo SECRET=1 > .env\n' });
    await claude('ls');
    await stage.restart();
    await stage.start(session, { generation: 2, repository: { fullName: 'acme/restarted', pushed: null } });
    const saved = await claude('echo new > new.txt; git add -A; git commit -qm New');
    expect(saved.files.map(({ path }) => path)).toEqual(['new.txt']);
  });

  test('what a setup script has git ignore by a file of its own is ignored, and nothing more', async () => {
    await begin('own-ignores', {
      'f.txt': 'one\n',
      '.gitignore': '*.log\n!keep.log\n',
      'sub/.gitignore': '!in.log\n',
      'tracked.log': 'one\n',
      'cyrus-setup.sh':
        'echo "*.local" > .git/mine; git config core.excludesFile "$PWD/.git/mine"; echo "excluded.txt" >> .git/info/exclude\n',
    });
    const all = 'x.local a.log keep.log sub/in.log tracked.log excluded.txt y.txt';
    const saved = await claude(`for f in ${all}; do echo two > $f; done`);
    expect(saved.files.map(({ path }) => path)).toEqual(['keep.log', 'sub/in.log', 'tracked.log', 'y.txt']);
  });

  test('a file outside of a sparse checkout is work like any other', async () => {
    await begin('sparse', { 'a/x.txt': 'x\n', 'b/y.txt': 'y\n' });
    const saved = await claude('git sparse-checkout set a; mkdir -p b; echo new > b/new.txt; echo new > a/new.txt');
    expect(saved.files.map(({ path }) => path)).toEqual(['a/new.txt', 'b/new.txt']);
    expect(saved.problem).toBeUndefined();
  });

  test('a folder that became a link, a file that became a folder, odd names and modes are all kept', async () => {
    await begin('kinds', { 'src/x.txt': 'x\n', a: 'a\n', 'b/c.txt': 'c\n', 'f.txt': 'f\n' });
    const odd =
      "printf x > $'new\\nline'; printf x > ./--all; printf x > $'no\\xfftext'; printf x > ':(top)m'; printf x > '*'";
    const saved = await claude(
      `mv src lib; ln -s lib src; rm a; mkdir a; echo q > a/q; rm -r b; echo b > b; chmod +x f.txt; ${odd}`,
    );
    expect(saved).toMatchObject({ pushed: true });
    expect(saved.problem).toBeUndefined();
    const listed = await execute('git', ['-C', bare, 'ls-tree', '-r', '-z', BRANCH]);
    const entries = listed.stdout.split('\0').map((entry) => entry.replace(/^(\d+) .*?\t/s, '$1 '));
    expect(entries.filter(Boolean).sort()).toEqual(
      [
        ...['100644 *', '100644 --all', '100644 :(top)m', '100644 a/q', '100644 b', '100644 lib/x.txt'],
        ...['100644 new\nline', '100644 no\ufffdtext', '100755 f.txt', '120000 src'],
      ].sort(),
    );
  });

  test('commits on another branch and stashed changes are named, once; a branch kept before a rebase is not', async () => {
    await begin('behind');
    const saved = await claude(
      `git checkout -q -b other; echo 1 > a.txt; git add .; git commit -qm OnOther; git checkout -q ${BRANCH}`,
      'echo stashed >> f.txt; git stash -q',
    );
    expect(saved).toMatchObject({ pushed: false, files: [] });
    expect(saved.problem).toMatch(/On the local branch other there is a commit .*"OnOther".*\nChanges are stashed/s);
    expect(await claudeWasTold('On the local branch other')).toHaveLength(1);
    const later = await claude(
      'git stash pop -q; git commit -qam Popped; git branch backup; git commit -q --amend -m Same',
    );
    expect(later.problem).toBeUndefined();
    await person(
      'git checkout -q main; echo t > t.txt; git add .; git commit -qm Theirs; git push -q origin HEAD:refs/changes/1',
    );
    expect((await claude('git fetch -q origin refs/changes/1:looked-at')).problem).toBeUndefined();
    expect(later.commits.map(({ subject }) => subject)).toEqual(['Same']);
  });

  test('what is left behind is named to people also if somebody else pushes at the very moment', async () => {
    // When left.txt arrives, which the save commits, the branch has just got another commit.
    const hook = `#!/bin/sh
while read -r old new ref; do
  [ -e raced ] || git ls-tree -r --name-only "$new" | grep -q left.txt || continue
  [ -e raced ] && continue
  touch raced
  unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES
  theirs=$(git -c user.name=P -c user.email=p@example.com commit-tree -m Theirs -p "$old" "$old^{tree}")
  git update-ref "$ref" "$theirs"
done
exit 0
`;
    await begin(
      'race',
      { 'f.txt': 'one\n' },
      `mkdir -p "$1/hooks"; cat > "$1/hooks/pre-receive" <<'END'\n${hook}END\nchmod +x "$1/hooks/pre-receive"`,
    );
    await claude('echo one > a.txt; git add .; git commit -qm C1');
    const saved = await claude(
      `git checkout -q -b other; echo 1 > b.txt; git add .; git commit -qm OnOther; git checkout -q ${BRANCH}`,
      'echo left > left.txt',
    );
    expect(await subjects()).toEqual(expect.arrayContaining(['C1', 'Theirs']));
    expect(saved).toMatchObject({ pushed: true });
    expect(saved.problem).toContain('On the local branch other there is a commit');
    expect((await claude('true')).problem).toBeUndefined();
  });

  test('what cannot be looked through in time for the push is told as such, and does not hold it up', async () => {
    await begin('slow');
    await claude('git checkout -q -b other; git commit -q --allow-empty -m OnOther; git checkout -q -');
    const cwd = stage.worktree(session);
    const { stdout } = await execute('git', ['rev-parse', 'HEAD'], { cwd });
    const [only, ...others] = await leftBehind(planOf(cwd), stdout.trim(), 0);
    expect(only?.sentence).toContain('more local branches or stashes in the clone than Cyrus can look through');
    expect(others).toEqual([]);
  });

  test('a commit of Claude’s in somebody else’s name is Claude’s to amend', async () => {
    await begin('other-name');
    const as = 'git -c user.name=X -c user.email=x@acme.example commit -q';
    await claude(`echo 1 > a.txt; git add .; ${as} -m C1`);
    const saved = await claude(`echo 2 > a.txt; ${as} -a --amend -m C1-amended`);
    expect(saved).toMatchObject({ pushed: true });
    expect(await subjects()).toEqual(['C1-amended', 'first']);
  });

  test('commits that somebody took off the base are named, so that the branch does not bring them back', async () => {
    await begin('base-rewritten');
    await person(
      'git checkout -q main; echo s > secret.txt; git add .; git commit -qm Secret; git push -q origin main',
    );
    session = 'base-rewritten-2';
    stage.gateway.awaitNewStream();
    turn = 0;
    await stage.start(session, { repository: { fullName: 'acme/base-rewritten', pushed: null } });
    await claude('echo 1 > a.txt; git add .; git commit -qm C1');
    await person(
      'git checkout -q main; git reset -q --hard HEAD~1; git commit -q --allow-empty -m Other; git push -qf origin main',
    );
    await claude('true');
    const told = await claudeWasTold('The history of main was rewritten');
    expect(told).toHaveLength(1);
    expect(told[0]).toContain('Secret');
    expect(told[0]).toContain('git revert');
    const saved = await claude('git revert --no-edit HEAD~1');
    expect(saved.files.map(({ path }) => path)).toEqual(['a.txt']);
    expect(saved.pushed).toBe(true);
  });

  test('a branch that shares no history with the base is named as that', async () => {
    await begin('unrelated');
    const saved = await claude('rm -rf .git; git init -q; echo 1 > a.txt; git add .; git commit -qm Fresh');
    expect(saved.problem).toContain('has no history in common with main');
  });

  test('files that the repository stores with other line endings are not Claude’s change', async () => {
    await begin('endings');
    await person(
      "printf 'a\\r\\nb\\r\\n' > crlf.txt; git add .; git commit -qm crlf; printf '* text=auto\\n' > .gitattributes; git add .gitattributes; git commit -qm attributes; git push -q origin HEAD:main",
    );
    session = 'endings-2';
    stage.gateway.awaitNewStream();
    turn = 0;
    await stage.start('endings-2', { repository: { fullName: 'acme/endings', branch: 'cyrus/shop-2', pushed: null } });
    const looked = await claude('ls');
    expect(looked).toMatchObject({ commits: [], files: [] });
  });
});

test('on a git host whose own history is cut off the work is done as on any other, life after life', async () => {
  const cut = `git clone -q "$1" "$1.w"; cd "$1.w"; git config user.name P; git config user.email p@example.com
for k in 1 2 3 4; do git commit -q --allow-empty -m "c$k"; done; git push -q; cd /; rm -rf "$1.w"
git clone -q --bare --depth 2 "file://$1" "$1.cut"; find "$1" -mindepth 1 -delete; cp -a "$1.cut/." "$1"; rm -rf "$1.cut"`;
  await begin('cut-off', { 'f.txt': 'one\n' }, cut);
  const saved = await claude('echo one > a.txt; git add .; git commit -qm C1');
  expect(saved).toMatchObject({ pushed: true, newCommits: 1, commits: [{ subject: 'C1' }] });
  expect(saved.problem).toBeUndefined();
  await stage.vanish(session);
  stage.gateway.awaitNewStream();
  turn = 0;
  await stage.start(session, {
    generation: 2,
    repository: { fullName: `acme/${session}`, pushed: saved.head },
  });
  const later = await claude('git log --oneline | wc -l; echo two > b.txt; git add .; git commit -qm C2');
  expect(later).toMatchObject({ pushed: true });
  expect((await subjects()).slice(0, 3)).toEqual(['C2', 'C1', 'c4']);
});

describe('what the git host refuses', () => {
  const secrets = [
    'error: GH013: Repository rule violations found for refs/heads/cyrus/shop-1.',
    '- GITHUB PUSH PROTECTION',
    'Resolve the following violations before pushing again',
    '- Push cannot contain secrets',
    ...Array.from({ length: 9 }, (_, n) => `—— Amazon AWS Secret Access Key —— path: config/ssl-${n}.conf:${n}`),
    'The last line of what was found.',
  ];

  test.each<[what: string, pattern: string, words: string[]]>([
    ['a secret that push protection found', 'ssl-', secrets],
    [
      'a hook that speaks like git',
      'news',
      ['stale info: fetch first, says the linter', 'Timeout: the SSL check timed out'],
    ],
  ])(
    'is told to Claude before its turn ends, in the host’s words, and put right then is pushed: %s',
    async (_what, pattern, words) => {
      const said = words.map((line) => `echo '${line}' >&2`).join('; ');
      const hook = `#!/bin/sh\nwhile read -r old new ref; do git ls-tree -r --name-only "$new" | grep -q '${pattern}' || continue; ${said}; exit 1; done; exit 0\n`;
      await begin(
        `refused-${pattern}`,
        { 'f.txt': 'one\n' },
        `mkdir -p "$1/hooks"; cat > "$1/hooks/pre-receive" <<'END'\n${hook}END\nchmod +x "$1/hooks/pre-receive"`,
      );
      const refused = await claude(`echo x > ${pattern}1.txt; git add .; git commit -qm 'With it'`);
      expect(refused.pushed).toBe(false);
      for (const line of words) expect(refused.problem).toContain(line);
      expect(refused.problem).not.toContain('somebody else has just changed it');
      const told = await claudeWasTold('Fix what you can');
      expect(told).toHaveLength(1);
      expect(told[0]).toContain(words.at(-1));
      const saved = await claude(`git rm -q ${pattern}1.txt; git commit -qm 'Without it'`);
      expect(saved).toMatchObject({ pushed: true });
    },
  );
});

describe('the repository’s conventions', () => {
  test('its hooks are off, and what installs them works all the same; a message closes nothing', async () => {
    await begin('hooks');
    const hooks = '"$(git rev-parse --git-path hooks)"';
    const saved = await claude(
      `printf '#!/bin/sh\\n[ "$HUSKY" = 0 ] && exit 0\\nexit 1\\n' > ${hooks}/pre-commit && chmod +x ${hooks}/pre-commit && echo installed > done.txt`,
      'git config core.hooksPath .husky; mkdir -p .husky; printf "#!/bin/sh\\nexit 1\\n" > .husky/pre-commit; chmod +x .husky/pre-commit',
      'git add done.txt; git commit -qm "Fixes #12 and ENG-9 by @ada" -m "Co-authored-by: Ada <ada@acme.example>"',
    );
    expect(saved.pushed).toBe(true);
    const commits = await stage.host.log('acme/hooks', BRANCH);
    const mine = commits.find(({ body }) => body.includes('Co-authored-by'));
    expect(mine?.body).toContain('Co-authored-by: Ada <ada@acme.example>');
    expect(mine?.subject).not.toMatch(/Fixes|#12|@ada/);
    expect(mine?.subject.replaceAll('\u2060', '')).toBe('Fixes #12 and ENG-9 by @ada');
  });
});

describe('a credential that may not push', () => {
  const service = 'git-receive-pack';
  const text = 'Cyrus: the git host forbids this for the credential stored for acme/x: Write access not granted\n';
  /** The host’s answer to what a push begins with, after which everything else continues. */
  async function beginRefused(name: string, status: number, readOnly = false): Promise<string[]> {
    const asked: string[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    if (readOnly) resolve();
    stage.gateway.refuseGit = { status, text, service };
    stage.gateway.beforeGit = async (path) => {
      if (!path.includes(service)) return promise;
      asked.push(path);
      resolve();
    };
    await begin(name, undefined, ':', { readOnly });
    await stage.event('ready');
    return asked;
  }
  afterEach(() => {
    stage.gateway.refuseGit = null;
    stage.gateway.beforeGit = null;
  });

  test('is known at the start: people and Claude are told that nothing can be pushed, and what an admin does', async () => {
    expect(await beginRefused('readable', 403)).toHaveLength(1);
    const told = await stage.event('notice', (event) =>
      event.text.startsWith('Nothing can be pushed to acme/readable'),
    );
    expect(told.text).toContain('Write access not granted');
    expect(told.text).toContain('A Cyrus admin has to store a credential with write access');
    await claude('git status');
    expect(await claudeWasTold('Nothing can be pushed to acme/readable')).toHaveLength(1);
  });

  test('is not assumed because the host fails for a while, and not asked about if nothing is to be pushed', async () => {
    expect(await beginRefused('away', 503)).toHaveLength(1);
    expect(stage.eventsOf('notice')).toEqual([]);
    expect(await beginRefused('looked-at', 403, true)).toHaveLength(0);
    expect(stage.eventsOf('notice')).toEqual([]);
  });

  test('delays no start if the host is slow to say so', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    stage.gateway.refuseGit = { status: 403, text, service };
    stage.gateway.beforeGit = (path) => (path.includes(service) ? promise : Promise.resolve());
    await begin('slow');
    await stage.event('ready');
    expect(stage.eventsOf('notice')).toEqual([]);
    resolve();
    await stage.event('notice', (event) => event.text.startsWith('Nothing can be pushed to acme/slow'));
  });
});

describe('names that are taken on the git host', () => {
  test('a branch of the same name that somebody else made is left alone: another name is taken, and told', async () => {
    await begin('taken', { 'f.txt': 'line1\n' }, `git -C "$1" branch ${BRANCH} main`);
    const saved = await claude('echo 1 > a.txt; git add .; git commit -qm Mine');
    expect(saved).toMatchObject({ pushed: true, branch: `${BRANCH}-2` });
    expect(await subjects()).toEqual(['first']);
    expect(await subjects(`${BRANCH}-2`)).toEqual(['Mine', 'first']);
    expect(stage.eventsOf('ready')[0]?.branch).toBe(`${BRANCH}-2`);
    expect(JSON.stringify(stage.eventsOf('notice'))).toContain('that this session did not create');
  });

  test('a branch that is in the way of the name’s folder is found at the start, and a name that works is taken', async () => {
    await begin('folder', { 'f.txt': 'line1\n' }, 'git -C "$1" branch cyrus main');
    const saved = await claude('echo 1 > a.txt; git add .; git commit -qm Mine');
    expect(saved).toMatchObject({ pushed: true, branch: 'cyrus-shop-1' });
  });

  test('the base follows what an admin corrects, also while the sandbox lives', async () => {
    await begin('renamed-base');
    await claude('echo 1 > a.txt; git add .; git commit -qm Mine');
    await person(
      'git push -q origin origin/main:refs/heads/trunk; git push -q origin :main || git -C "$1" branch -D main',
    );
    await stage.start('renamed-base', {
      repository: { fullName: 'acme/renamed-base', baseBranch: 'trunk', pushed: null },
    });
    const saved = await claude(
      'git rev-parse --abbrev-ref origin/HEAD > /tmp/origin-head-$$ ; echo 2 > b.txt; git add .; git commit -qm More',
    );
    expect(saved).toMatchObject({ pushed: true, newCommits: 1 });
    expect(saved.commits.map(({ subject }) => subject)).toEqual(['More', 'Mine']);
  });
});
