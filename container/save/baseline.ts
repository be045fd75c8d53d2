/**
 * The worktree as Claude got it: what the setup scripts had changed or made by then. What is still the same at the end of a
 * turn is not Claude's work. Kept as a file, so that a restart of the server finds it.
 */
import { createHash } from 'node:crypto';
import { lstat, readFile, readlink, rename, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { parseJson } from '../../src/lib/parse-json.ts';
import { createReadStream } from '../files/inside.ts';
import { git } from '../git/git.ts';
import { inWorktree, type WorkspacePlan } from '../git/workspace-plan.ts';

const baselineSchema = z.array(z.tuple([z.string(), z.string()]));
/** A print of each file's content, by its path (one character a byte); `gone` for a file that was removed. */
export type Baseline = ReadonlyMap<string, string>;

const MAX_LISTING_BYTES = 1024 ** 3;
/** What a setup script makes by the thousand without ignoring it is told apart by size and time alone. */
const MAX_HASHED_BYTES = 64 * 1024 * 1024;
/** Secrets by their name: what a setup script writes into them is never committed, not even by Claude's `git add`. */
const SECRET_NAME = /(^|\/)\.env(\.[^/]*)?$/;

/** What git finds changed or new now, with a print of each. */
export async function takeBaseline(plan: WorkspacePlan): Promise<Baseline> {
  const chunks: Buffer[] = [];
  await git(['status', '--porcelain', '-z', '--untracked-files=all', '--no-renames', '--ignore-submodules=all'], {
    ...inWorktree(plan),
    maxBytes: MAX_LISTING_BYTES,
    timeoutMs: 5 * 60_000,
    onData: (chunk) => chunks.push(chunk),
  });
  const baseline = new Map<string, string>();
  for (const entry of Buffer.concat(chunks).toString('latin1').split('\0')) {
    if (entry.length <= 3) continue;
    const path = entry.slice(3);
    baseline.set(path, await printOf(plan.worktree, path));
  }
  return baseline;
}

/**
 * Of a worktree that held work before the setup ran again: what the setup wrote, as far as that can be told.
 * @param since when the setup began, ms since the epoch
 */
export async function writtenSince(plan: WorkspacePlan, before: Baseline, since: number): Promise<Baseline> {
  const after = await takeBaseline(plan);
  const written = new Map<string, string>();
  for (const [path, print] of after) {
    const found = await lstat(fileAt(plan.worktree, path)).catch(() => null);
    // A file system keeps times to some milliseconds at best.
    if (before.get(path) !== print || (found !== null && found.ctimeMs >= since - 10)) written.set(path, print);
  }
  return written;
}

/** Paths of the baseline that look like secrets and are not tracked, as lines for an excludes file. */
export function secretsOf(baseline: Baseline): string[] {
  return [...baseline.keys()]
    .filter((path) => SECRET_NAME.test(path))
    .map(
      (path) =>
        `/${Buffer.from(path, 'latin1')
          .toString('utf8')
          .replace(/[\\*?[\]!#]/g, '\\$&')}`,
    );
}

/** Whether a path is as it was when Claude got the worktree. A secret of the setup's counts as unchanged whatever is in it. */
export async function isUnchangedSince(baseline: Baseline, worktree: string, path: string): Promise<boolean> {
  const before = baseline.get(path);
  if (before === undefined) return false;
  return SECRET_NAME.test(path) || before === (await printOf(worktree, path));
}

/** @returns an empty one if there is none, or none that can be read */
export async function readBaseline(file: string): Promise<Baseline> {
  const text = await readFile(file, 'utf8').catch(() => '[]');
  const parsed = baselineSchema.safeParse(parseJson(text));
  return new Map(parsed.success ? parsed.data : []);
}

export async function writeBaseline(file: string, baseline: Baseline): Promise<void> {
  await writeFile(`${file}.new`, JSON.stringify([...baseline]), { mode: 0o600 });
  await rename(`${file}.new`, file);
}

function fileAt(worktree: string, path: string): Buffer {
  return Buffer.concat([Buffer.from(`${worktree}/`), Buffer.from(path.replace(/\/$/, ''), 'latin1')]);
}

async function printOf(worktree: string, path: string): Promise<string> {
  const file = fileAt(worktree, path);
  const found = await lstat(file).catch(() => null);
  if (!found) return 'gone';
  if (found.isSymbolicLink()) return `link ${(await readlink(file)).toString()}`;
  if (!found.isFile()) return `other ${found.mode}`;
  if (found.size > MAX_HASHED_BYTES) return `file ${found.mode} ${found.size} ${found.mtimeMs}`;
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  } catch {
    return 'unreadable';
  }
  return `file ${found.mode & 0o111} ${hash.digest('hex')}`;
}
