/** A program in front of the server's git that fails or hangs where a test wants it to. */
import { execFileSync } from 'node:child_process';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Puts a shell script before each git that the test's process starts; what the script does not end or replace is git's own work.
 * @param script gets a folder for files of its own
 * @param test runs while it is in place
 */
export async function withFakeGit(
  script: (folder: string) => string,
  test: (folder: string) => Promise<void>,
): Promise<void> {
  const path = process.env.PATH;
  const folder = await mkdtemp(join(tmpdir(), 'cyrus-fake-git-'));
  const real = execFileSync('which', ['git'], { encoding: 'utf8' }).trim();
  await writeFile(join(folder, 'git'), `#!/bin/sh\n${script(folder)}\nexec '${real}' "$@"\n`);
  await chmod(join(folder, 'git'), 0o755);
  process.env.PATH = `${folder}:${path}`;
  try {
    await test(folder);
  } finally {
    process.env.PATH = path;
    await rm(folder, { recursive: true, force: true });
  }
}
