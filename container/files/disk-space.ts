/** How much space the server's disk has left: a session that fills it up would fail in ways that name something else. */
import { statfs } from 'node:fs/promises';
import { Refusal } from '../http.ts';

/** A session is not begun with less than this: a clone and a build would not fit. In bytes. */
const LEAST_FREE = 256 * 1024 * 1024;
const MIB = 1024 * 1024;

export interface DiskSpace {
  freeMiB: number;
  totalMiB: number;
}

/** Space of the disk that a folder is on, as far as this process may use it; null if the file system does not say. */
export async function diskOf(folder: string): Promise<DiskSpace | null> {
  try {
    const { bavail, blocks, bsize } = await statfs(folder);
    return { freeMiB: Math.floor((bavail * bsize) / MIB), totalMiB: Math.floor((blocks * bsize) / MIB) };
  } catch {
    // The folder itself is missing or unreadable: what is done in it says so better.
    return null;
  }
}

/**
 * @param least bytes that have to be free
 * @throws Refusal 507 if less is
 */
export async function refuseFullDisk(folder: string, least: number = LEAST_FREE): Promise<void> {
  const space = await diskOf(folder);
  if (space === null || space.freeMiB * MIB >= least) return;
  throw new Refusal(
    507,
    'disk-full',
    `${space.freeMiB} of ${space.totalMiB} MiB are free, and a session needs ${Math.ceil(least / MIB)}.`,
  );
}

/** Whether something failed because the disk, or the user's share of it, is full. Git and other programs say it in their output. */
export function isDiskFull(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const isCode = 'code' in error && /^(ENOSPC|EDQUOT)$/.test(String(error.code));
  return isCode || /No space left on device|Disk quota exceeded/.test(error.message) || isDiskFull(error.cause);
}
