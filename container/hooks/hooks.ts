/**
 * Where git looks for hooks in a session: a folder of the session's own. The repository's hooks are off unless its settings want
 * them, but what installs them (husky, lefthook, simple-git-hooks) finds a folder it can write to.
 */
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { StartSession } from '../../src/protocol/sandbox/start.ts';

/** Programs that run a repository's hooks are told by these not to. */
export const HOOKS_OFF: Record<string, string> = { HUSKY: '0', LEFTHOOK: '0', SKIP_SIMPLE_GIT_HOOKS: '1' };

/** Hooks that a session's own folder may have; those of a commit. */
const NAMES = ['pre-commit', 'prepare-commit-msg', 'commit-msg', 'post-commit'];

/** Objects of Git LFS go to the host before the pointers that Claude pushes by itself; git-lfs may come with a setup script. */
const PRE_PUSH = '#!/bin/sh\ncommand -v git-lfs >/dev/null 2>&1 || exit 0\nexec git lfs pre-push "$@"\n';

/** Makes the folder: the hook that keeps messages harmless and signs them, and the way to the repository's own where they are wanted. */
export async function makeHooks(folder: string, commits: StartSession['commits']): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o750 });
  const settings = join(folder, 'commits.json');
  const { issue = null, trailers = [], hooks = false } = commits ?? {};
  await writeFile(settings, JSON.stringify({ issue, trailers }), { mode: 0o640 });
  await writeFile(join(folder, 'pre-push'), PRE_PUSH, { mode: 0o750 });
  const node = quoted(process.execPath);
  const repositoryHook = `${node} ${quoted(join(import.meta.dirname, 'repository-hooks.ts'))}`;
  const ownMessage = `exec ${node} ${quoted(join(import.meta.dirname, 'commit-message.ts'))} "$1" ${quoted(settings)}`;
  for (const name of NAMES) {
    const lines = [
      ...(hooks ? [`${repositoryHook} ${name} "$@" || exit 1`] : []),
      ...(name === 'commit-msg' ? [ownMessage] : []),
    ];
    const file = join(folder, name);
    if (lines.length === 0) {
      await rm(file, { force: true });
      continue;
    }
    await writeFile(file, `#!/bin/sh\n${lines.join('\n')}\n`, { mode: 0o750 });
    await chmod(file, 0o750);
  }
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
