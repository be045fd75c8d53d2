import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run, type Stage, setStage } from './stage.ts';

const BRANCH = 'cyrus/shop-1';
const author = { name: 'Ada', email: 'ada@acme.example' };
const commits = { message: 'feat: round the cart (ENG-7)', trailers: [] as string[], issue: 'ENG-7', hooks: true };

let stage: Stage;
let turn = 0;

beforeAll(async () => {
  stage = await setStage();
});
afterAll(async () => await stage.close());

async function begin(name: string, files: Record<string, string>, more: Partial<typeof commits> = {}): Promise<void> {
  await stage.host.ensureRepository(`acme/${name}`, {
    branch: 'main',
    commits: [{ message: 'first', author, at: 1_790_000_000, files }],
  });
  stage.gateway.awaitNewStream();
  turn = 0;
  await stage.start(name, {
    repository: { fullName: `acme/${name}`, pushed: null },
    commits: { ...commits, ...more },
  });
}

async function claude(name: string, ...commands: string[]) {
  turn += 1;
  const mine = turn;
  await stage.prompt(name, run(...commands), mine);
  return await stage.event('saved', (saved) => saved.turn === mine, 60_000);
}

const log = (name: string) => stage.host.log(`acme/${name}`, BRANCH);

describe('the repository’s conventions for commits', () => {
  test('its message, sign-off and co-author are on what Cyrus commits and on what Claude commits', async () => {
    const trailers = ['Co-authored-by: Bo <bo@acme.example>', 'Signed-off-by: Cyrus <cyrus@cyrus.test>'];
    await begin('messages', { 'f.txt': 'x\n' }, { trailers, hooks: false });
    await claude('messages', 'echo 1 > a.txt; git add a.txt; git commit -qm "fix: a thing"', 'echo 2 > b.txt');
    const [left, mine] = await log('messages');
    expect(left?.subject).toBe('feat: round the cart (ENG-7)');
    expect(mine?.subject).toBe('fix: a thing');
    for (const commit of [left, mine]) expect(commit?.body.trim().split('\n').slice(-2)).toEqual(trailers);
  }, 180_000);

  test('hooks run for Cyrus’s own commits if that is set, and a failing one is told to Claude before the turn ends', async () => {
    const check =
      '#!/bin/sh\\nif grep -rq FORBIDDEN --include=*.txt .; then echo "no FORBIDDEN in files, please"; exit 1; fi\\n';
    await begin('husky', { '.husky/pre-commit': 'check-it\n', '.gitignore': 'node_modules\n' });
    const install = `mkdir -p node_modules/.bin; printf '%b' '${check}' > node_modules/.bin/check-it; chmod +x node_modules/.bin/check-it`;
    const saved = await claude('husky', install, 'echo FORBIDDEN > a.txt; git add a.txt; git commit -qm mine');
    expect(JSON.stringify(stage.lines('user'))).toContain('no FORBIDDEN in files, please');
    expect(JSON.stringify(stage.lines('user'))).toContain('pre-commit hook refused it');
    expect(saved.problem).toMatch(/made without the repository’s hooks.*pre-commit hook refused it: no FORBIDDEN/s);
    expect(saved.pushed).toBe(true);
    expect((await log('husky')).map(({ subject }) => subject)).toEqual(['feat: round the cart (ENG-7)', 'first']);
  }, 180_000);

  test('a hook may change what is committed, and the message', async () => {
    const hook = '#!/bin/sh\necho formatted > a.txt; git add a.txt\n';
    await begin('formats', {
      '.githooks/pre-commit': hook,
      '.githooks/prepare-commit-msg': '#!/bin/sh\necho "made by a hook" > "$1"\n',
    });
    const saved = await claude(
      'formats',
      'chmod +x .githooks/*; git config core.hooksPath .githooks; echo raw > a.txt',
    );
    expect(saved.problem).toBeUndefined();
    expect((await log('formats'))[0]?.subject).toBe('made by a hook');
  }, 180_000);
});

describe('a hook of the repository runs', () => {
  const execute = promisify(execFile);
  const program = join(import.meta.dirname, '../../container/hooks/repository-hooks.ts');
  const refusal = 'echo refused >&2; exit 1';

  async function pre(files: Record<string, string>, ...setup: string[][]): Promise<{ code: number; said: string }> {
    const folder = await mkdtemp(join(tmpdir(), 'cyrus-hooks-'));
    try {
      await execute('git', ['init', '-q', folder]);
      for (const [name, text] of Object.entries(files)) {
        await mkdir(dirname(join(folder, name)), { recursive: true });
        await writeFile(join(folder, name), text, { mode: 0o755 });
      }
      for (const args of setup) await execute('git', args, { cwd: folder });
      const env = { ...process.env, HUSKY: '0', LEFTHOOK: '0', SKIP_SIMPLE_GIT_HOOKS: '1' };
      return await execute(process.execPath, [program, 'pre-commit'], { cwd: folder, env }).then(
        ({ stderr }) => ({ code: 0, said: stderr }),
        (error: { code: number; stderr: string }) => ({ code: error.code, said: error.stderr }),
      );
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  const tool = (name: string) => ({ [`node_modules/.bin/${name}`]: `#!/bin/sh\n${refusal}\n` });
  test.each([
    ['of husky', { '.husky/pre-commit': 'check-it\n', ...tool('check-it') }],
    ['of husky before version 9', { '.husky/pre-commit': `. "$(dirname -- "$0")/_/husky.sh"\n${refusal}\n` }],
    ['of simple-git-hooks', { 'package.json': '{"simple-git-hooks":{"pre-commit":"check-it"}}', ...tool('check-it') }],
    ['of lefthook', { '.lefthook.yaml': 'pre-commit: {}\n', ...tool('lefthook') }],
    ['that a setup script installed', { '.git/hooks/pre-commit': `#!/bin/sh\n${refusal}\n` }],
  ])('%s', async (_, files) => {
    expect(await pre(files)).toEqual({ code: 1, said: 'refused\n' });
  });

  test('from the folder that the repository’s configuration names', async () => {
    const files = { '.githooks/pre-commit': `#!/bin/sh\n${refusal}\n` };
    expect((await pre(files, ['config', 'core.hooksPath', '.githooks'])).code).toBe(1);
  });

  test('the commit hooks are not run if there are none, and one whose tool is not installed is named', async () => {
    expect(await pre({ 'package.json': '{}' })).toEqual({ code: 0, said: '' });
    expect(await pre({ 'lefthook.yml': '' })).toEqual({
      code: 0,
      said: expect.stringContaining('lefthook, which is not installed'),
    });
  });
});
