/**
 * Which users a server may give to its sessions. Two servers on one machine, each with a root of its own, must not give out the same
 * ones: the end of a session ends what runs as its user. So each root has a range. A symbolic link notes it for the
 * whole machine: its name is the range's first id, its target the root. Making a link is one step, so of two servers that start at once one has it.
 */
import { existsSync, mkdirSync, readlinkSync, symlinkSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';

/** Of one server: as many sessions can be on it. */
export const USERS = 10_000;
/** Below are the machine's own users, above (from 100,000 on) those that useradd keeps for containers of its users (subuid(5)). */
const FIRST_IDS = [70_000, 80_000, 90_000] as const;
const REGISTRY = '/var/lib/cyrus-sandbox/users';

/** Whether a user id is one of those that sessions of any server are given. */
export function isSessionUser(uid: number): boolean {
  return FIRST_IDS.some((first) => uid >= first && uid < first + USERS);
}

/** Where the claims lie: for the server's user alone, as it names folders of other servers. */
const FOR_THE_SERVER = 0o700;

/**
 * The range of a server: the one that it had, else the first that no server has whose root is still there.
 * @param root of the server
 * @param registry where the claims are noted
 * @returns its first user id
 * @throws where the other servers of the machine have them all, or nothing can be noted
 */
export function claimUsers(root: string, registry: string = REGISTRY): number {
  mkdirSync(registry, { recursive: true, mode: FOR_THE_SERVER });
  const claims = FIRST_IDS.map((first) => ({ first, link: join(registry, String(first)) }));
  const own = claims.find(({ link }) => holderOf(link) === root);
  if (own) return own.first;
  for (const { first, link } of claims) {
    const holder = holderOf(link);
    if (holder !== null && existsSync(holder)) continue;
    if (holder !== null) unlinkSync(link);
    if (isMade(root, link)) return first;
  }
  const others = claims.map(({ link }) => holderOf(link)).join(', ');
  throw new Error(
    `the users for sessions belong to other sandbox servers of this machine (${others}); of one that is no more, delete the folder or its link in ${registry}`,
  );
}

function isMade(root: string, link: string): boolean {
  try {
    symlinkSync(root, link);
    return true;
  } catch (error) {
    // Another server was faster.
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

/** @returns the root of the server that has it; null if none has */
function holderOf(link: string): string | null {
  try {
    return readlinkSync(link);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}
