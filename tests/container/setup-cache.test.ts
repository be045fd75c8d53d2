import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { runGit } from '../../dev/git/git-command.ts';
import { type Stage, setStage } from './stage.ts';

let stage: Stage;
afterEach(() => stage?.close());

const ada = { name: 'Ada', email: 'ada@acme.example' };
const acme = { repository: { fullName: 'acme/setup' } };
const INSTALL = `# cyrus-cache: node_modules vendor/bundle
echo installing
mkdir -p node_modules/left-pad vendor/bundle
echo 'module.exports = 1' > node_modules/left-pad/index.js
chmod +x node_modules/left-pad/index.js
ln -s left-pad node_modules/pad
`;

async function stageWith(files: Record<string, string>): Promise<void> {
  stage = await setStage({ config: { shutdownMs: 500 } });
  const commits = [{ message: 'Begin', author: ada, at: 1_780_000_000, files: { '.gitignore': 'vendor\n', ...files } }];
  await stage.host.ensureRepository('acme/setup', { branch: 'main', commits });
}

/** Starts a session and waits until it is ready. @returns what its setup steps said at their end */
async function prepare(id: string, more: Parameters<Stage['start']>[1] = {}): Promise<string[]> {
  stage.gateway.awaitNewStream();
  const repository = { ...acme.repository, branch: `cyrus/${id}`, ...more.repository };
  await stage.start(id, { ...more, repository });
  await stage.event('ready');
  const steps = stage.eventsOf('step').filter(({ step, status }) => step === 'setup' && status === 'done');
  return steps.map(({ detail }) => detail ?? '');
}

function kept(): string[] {
  return [...stage.gateway.cache.keys()].filter((key) => key.startsWith('setup-') && !key.includes('/'));
}

describe('what cyrus-setup.sh made', () => {
  test('is kept where the script names it, and spares the next session the script', async () => {
    await stageWith({ 'cyrus-setup.sh': INSTALL, 'package-lock.json': '{}' });
    expect(await prepare('one')).toEqual(['cyrus-setup.sh succeeded']);
    expect(kept()).toHaveLength(1);
    const [restored] = await prepare('two');
    expect(restored).toMatch(
      /^cyrus-setup\.sh: node_modules, vendor\/bundle from the cache, made on \d{4}-\d\d-\d\d at /,
    );
    expect(stage.eventsOf('setup-output')).toEqual([]);
    const file = join(stage.worktree('two'), 'node_modules/pad/index.js');
    expect(readFileSync(file, 'utf8')).toBe('module.exports = 1\n');
    expect(existsSync(join(stage.worktree('two'), 'vendor/bundle'))).toBe(true);
    expect(existsSync(join(stage.sessionDir('two'), 'cache'))).toBe(false);
  });

  test('is made again when a lock file, the script or an admin’s script changes', async () => {
    await stageWith({ 'cyrus-setup.sh': INSTALL, 'package-lock.json': '{}' });
    await prepare('one');
    const before = { setupScripts: [{ of: 'workspace' as const, script: 'echo tools' }] };
    expect(await prepare('two', before)).toEqual([
      'the workspace’s setup script succeeded',
      'cyrus-setup.sh succeeded',
    ]);
    expect(kept()).toHaveLength(2);
  });

  test('is kept for every package of a monorepo by a pattern, and made again when any package’s lock file changes', async () => {
    const packages = Array.from({ length: 14 }, (_, n) => `packages/p${n}`);
    const script = `# cyrus-cache: packages/*/node_modules node_modules\nmkdir -p node_modules/x\necho 1 > node_modules/x/i.js\n${packages.map((name) => `mkdir -p ${name}/node_modules/y && echo 1 > ${name}/node_modules/y/i.js`).join('\n')}\n`;
    const files = Object.fromEntries(packages.map((name) => [`${name}/package-lock.json`, '{}']));
    await stageWith({ 'cyrus-setup.sh': script, '.gitignore': 'node_modules\n', ...files });
    await prepare('one');
    expect(kept()).toHaveLength(1);
    expect((await prepare('two'))[0]).toContain('from the cache');
    for (const name of packages)
      expect(existsSync(join(stage.worktree('two'), name, 'node_modules/y/i.js'))).toBe(true);
    const cwd = (await stage.host.directory('acme/setup')) ?? '';
    const clone = join(stage.root, '..', 'person');
    await runGit(['clone', '-q', cwd, clone]);
    writeFileSync(join(clone, 'packages/p3/package-lock.json'), '{"changed":1}');
    await runGit(['-C', clone, '-c', 'user.name=A', '-c', 'user.email=a@x', 'commit', '-qam', 'Lock']);
    await runGit(['-C', clone, 'push', '-q', 'origin', 'HEAD:main']);
    expect(await prepare('three')).toEqual(['cyrus-setup.sh succeeded']);
  });

  test('is not kept if the script also makes what it does not name: it would be missing', async () => {
    await stageWith({ 'cyrus-setup.sh': `${INSTALL}echo generated > generated.js\n` });
    await prepare('one');
    expect(kept()).toEqual([]);
    expect(
      stage
        .eventsOf('notice')
        .map(({ text }) => text)
        .join(),
    ).toContain('generated.js');
  });

  test('is not kept if it changes what another script has made, which would be as that left it', async () => {
    await stageWith({ 'cyrus-setup.sh': `${INSTALL}echo more >> config/made.txt\n`, '.gitignore': 'vendor\nconfig\n' });
    const before = {
      setupScripts: [{ of: 'workspace' as const, script: 'mkdir -p config; echo one > config/made.txt' }],
    };
    await prepare('one', before);
    expect(kept()).toEqual([]);
    expect(JSON.stringify(stage.eventsOf('notice'))).toContain('config');
  });

  test('is kept for the names of several lines, and if none of them is made, people are told', async () => {
    const script = INSTALL.replace('node_modules vendor/bundle', 'node_modules\n# cyrus-cache: vendor/bundle');
    await stageWith({ 'cyrus-setup.sh': script });
    await prepare('one');
    expect((await prepare('two'))[0], JSON.stringify(stage.eventsOf('notice'))).toContain(
      'node_modules, vendor/bundle from the cache',
    );
    await stage.close();
    await stageWith({ 'cyrus-setup.sh': '# cyrus-cache: packages/{a,b}/node_modules\ntrue\n' });
    await prepare('one');
    await stage.event('notice', ({ text }) => text.includes('created no directory of that name'));
  });

  test('is not kept of a branch that holds more than its base', async () => {
    await stageWith({ 'cyrus-setup.sh': INSTALL });
    const cwd = (await stage.host.directory('acme/setup')) ?? '';
    const who = { GIT_AUTHOR_NAME: 'A', GIT_AUTHOR_EMAIL: 'a@x', GIT_COMMITTER_NAME: 'A', GIT_COMMITTER_EMAIL: 'a@x' };
    const commit = await runGit(['commit-tree', '-p', 'main', '-m', 'More', 'main^{tree}'], { cwd, env: who });
    await runGit(['update-ref', 'refs/heads/cyrus/one', commit.trim()], { cwd });
    expect(await prepare('one')).toEqual(['cyrus-setup.sh succeeded']);
    expect(kept()).toEqual([]);
  });

  test.each([
    ['that git tracks', '# cyrus-cache: src\nmkdir -p src\n'],
    ['outside of the repository', '# cyrus-cache: ../other /tmp .git\nmkdir -p ../other\n'],
    ['of a script that fails', '# cyrus-cache: node_modules\nmkdir node_modules\nexit 1\n'],
    ['that the script does not name', 'mkdir node_modules\n'],
  ])('is not kept: a directory %s', async (_, script) => {
    await stageWith({ 'cyrus-setup.sh': script, 'src/index.js': '1\n' });
    await prepare('one');
    expect(kept()).toEqual([]);
  });

  test('and cannot be unpacked any more is not used, and the script is run', async () => {
    await stageWith({ 'cyrus-setup.sh': INSTALL });
    await prepare('one');
    const [entry = ''] = kept();
    const manifest = JSON.parse(stage.gateway.cache.get(entry)?.toString('utf8') ?? '');
    stage.gateway.cache.set(`${entry}/${manifest.version}/0`, Buffer.from('nonsense'));
    expect(await prepare('two')).toEqual(['cyrus-setup.sh succeeded']);
    expect(existsSync(join(stage.worktree('two'), 'node_modules/pad/index.js'))).toBe(true);
  });
});

test('a setup script with carriage returns is run like any other', async () => {
  await stageWith({ 'cyrus-setup.sh': 'if true; then\r\n  echo done > made.txt\r\nfi\r\nexit 3\r\n' });
  expect(await prepare('one')).toEqual(['cyrus-setup.sh failed with exit code 3']);
  expect(readFileSync(join(stage.worktree('one'), 'made.txt'), 'utf8')).toBe('done\n');
});

test('the workspace’s setup script runs first, then the repository’s, then cyrus-setup.sh, each in the worktree', async () => {
  await stageWith({ 'cyrus-setup.sh': 'echo "$(cat order) own"\n' });
  const setupScripts = [
    { of: 'workspace' as const, script: 'echo workspace > order' },
    { of: 'repository' as const, script: 'echo "$(cat order) repository" > order; exit 2' },
  ];
  expect(await prepare('one', { setupScripts })).toEqual([
    'the workspace’s setup script succeeded',
    'the repository’s setup script failed with exit code 2',
    'cyrus-setup.sh succeeded',
  ]);
  expect(stage.eventsOf('setup-output').map(({ text }) => text.trim())).toEqual(['workspace repository own']);
  const instructions = readFileSync(join(stage.sessionDir('one'), 'instructions.md'), 'utf8');
  expect(instructions).toContain('the repository’s setup script failed with exit code 2');
});
