/**
 * The repository's own commit hooks, where its settings want them run: found where a clone would have them, or as the tool that
 * installs them would run them, because nobody may have run its installer here.
 *
 * As a program (`node repository-hooks.ts <hook> [arguments]`, in the worktree) it runs one hook and ends with its exit code.
 */
import { execFile, spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { access, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, delimiter, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { HOOKS_OFF } from './hooks.ts';

/** Hooks of a commit, in the order in which git runs them (git-scm.com/docs/githooks). */
export const COMMIT_HOOKS = ['pre-commit', 'prepare-commit-msg', 'commit-msg', 'post-commit'] as const;
export type CommitHook = (typeof COMMIT_HOOKS)[number];

interface Command {
  program: string;
  args: string[];
}

const run = promisify(execFile);

/** What runs a hook in a worktree; null if the repository has none, `missing` where its tool is not installed. */
export async function hookCommand(worktree: string, hook: CommitHook): Promise<Command | { missing: string } | null> {
  const configured = await gitSaid(worktree, ['config', '--local', 'core.hooksPath']);
  const own = await gitSaid(worktree, ['rev-parse', '--git-dir']);
  const folders = [...(configured === '' ? [] : [configured]), ...(own === '' ? [] : [join(own, 'hooks')])];
  for (const folder of folders) {
    const program = resolve(worktree, folder, hook);
    if (await may(program, constants.X_OK)) return { program, args: [] };
  }
  const husky = join(worktree, '.husky', hook);
  if (await may(husky, constants.R_OK)) return { program: 'sh', args: ['-e', await withoutOldHusky(husky)] };
  if (await anyOf(worktree, LEFTHOOK_FILES)) {
    const program = await installed(worktree, 'lefthook');
    return program === null ? { missing: 'lefthook' } : { program, args: ['run', hook] };
  }
  const simple = await simpleGitHook(worktree, hook);
  if (simple !== null) return { program: 'sh', args: ['-c', `${simple} "$@"`, hook] };
  if (await may(join(worktree, '.pre-commit-config.yaml'), constants.R_OK)) {
    const program = await installed(worktree, 'pre-commit');
    if (program === null) return { missing: 'pre-commit' };
    return {
      program,
      args: ['hook-impl', '--hook-type', hook, '--hook-dir', worktree, '--skip-on-missing-config', '--'],
    };
  }
  return null;
}

const LEFTHOOK_FILES = ['', '.'].flatMap((dot) =>
  ['yml', 'yaml', 'toml', 'json'].map((end) => `${dot}lefthook.${end}`),
);

/** Earlier versions of husky load a file of its installer first, which only leaves the hook where it is switched off. */
async function withoutOldHusky(path: string): Promise<string> {
  const text = await readFile(path, 'utf8');
  const isLoading = (line: string) => /^(?:\.|source)\s/.test(line.trimStart()) && line.includes('husky.sh');
  const plain = text
    .split('\n')
    .map((line) => (isLoading(line) ? '' : line))
    .join('\n');
  if (plain === text) return path;
  // A folder that nobody else can have made: others may write into the one for temporary files.
  const copy = join(await mkdtemp(join(tmpdir(), 'cyrus-hook-')), basename(path));
  await writeFile(copy, plain, { mode: 0o600 });
  return copy;
}

async function simpleGitHook(worktree: string, hook: CommitHook): Promise<string | null> {
  for (const [file, at] of [
    ['.simple-git-hooks.json', null],
    ['simple-git-hooks.json', null],
    ['package.json', 'simple-git-hooks'],
  ] as const) {
    try {
      const read = JSON.parse(await readFile(join(worktree, file), 'utf8')) as Record<string, unknown>;
      const hooks = (at === null ? read : read[at]) as Record<string, unknown> | undefined;
      const command = hooks?.[hook];
      if (typeof command === 'string' && command.trim() !== '') return command;
    } catch {
      // There is no such file, or it is not JSON.
    }
  }
  return null;
}

async function installed(worktree: string, name: string): Promise<string | null> {
  for (const folder of [join(worktree, 'node_modules', '.bin'), ...(process.env.PATH ?? '').split(delimiter)]) {
    const path = join(folder, name);
    if (folder !== '' && (await may(path, constants.X_OK))) return path;
  }
  return null;
}

async function anyOf(worktree: string, names: string[]): Promise<boolean> {
  for (const name of names) if (await may(join(worktree, name), constants.R_OK)) return true;
  return false;
}

async function may(path: string, mode: number): Promise<boolean> {
  return await access(path, mode).then(
    () => true,
    () => false,
  );
}

async function gitSaid(worktree: string, args: string[]): Promise<string> {
  return await run('git', args, { cwd: worktree }).then(
    ({ stdout }) => stdout.trim(),
    () => '',
  );
}

async function main(hook: CommitHook, args: string[]): Promise<number> {
  const worktree = process.cwd();
  const command = await hookCommand(worktree, hook);
  if (command === null) return 0;
  if ('missing' in command) {
    console.error(`The repository runs its ${hook} hook with ${command.missing}, which is not installed here.`);
    return 0;
  }
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    PATH: [join(worktree, 'node_modules', '.bin'), process.env.PATH ?? ''].join(delimiter),
  };
  for (const name of Object.keys(HOOKS_OFF)) delete env[name];
  const child = spawn(command.program, [...command.args, ...args], { cwd: worktree, env, stdio: 'inherit' });
  return await new Promise((done) => {
    child.on('error', (error) => {
      console.error(`The ${hook} hook cannot be run: ${error.message}`);
      done(1);
    });
    child.on('close', (code) => done(code ?? 1));
  });
}

const [, script, hook, ...args] = process.argv;
if (script?.endsWith('repository-hooks.ts') && COMMIT_HOOKS.some((one) => one === hook)) {
  process.exitCode = await main(hook as CommitHook, args);
}
