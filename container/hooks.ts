/**
 * Where git looks for hooks in a session: a folder of the session's own. The repository's hooks are off, but what installs
 * them (husky, lefthook, simple-git-hooks) finds a folder it can write to.
 */
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Programs that run a repository's hooks are told by these not to. */
export const HOOKS_OFF: Record<string, string> = { HUSKY: '0', LEFTHOOK: '0', SKIP_SIMPLE_GIT_HOOKS: '1' };

/** Makes the folder, with the one hook that a session has. */
export async function makeHooks(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
  const script = join(import.meta.dirname, 'commit-message.ts');
  const file = join(folder, 'commit-msg');
  await writeFile(file, `#!/bin/sh\nexec ${quoted(process.execPath)} ${quoted(script)} "$1"\n`, { mode: 0o700 });
  await chmod(file, 0o700);
}
