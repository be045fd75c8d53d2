/**
 * Addresses at which a sandbox moves one object of Git LFS. The git host answers a batch with addresses and headers of its
 * storage, which are credentials; the sandbox gets them sealed, good for one session's life, object and operation, for a while.
 */
import * as z from 'zod';
import { isLoopback } from '../../lib/loopback.ts';
import { isPublicName } from '../../protocol/settings/egress.ts';
import { decryptText, encryptText } from '../../store/encryption.ts';
import type { Claims } from '../token.ts';

/** Largest object in bytes: what GitHub takes on every plan (docs.github.com: "About Git Large File Storage"). */
export const MAX_LFS_BYTES = 2 * 1024 ** 3;
/** Longest time for which an address is good, in ms; shorter where the host's own ends before. */
const MAX_TTL_MS = 3_600_000;

export type LfsOperation = 'download' | 'upload' | 'verify';

/** What an address is good for. */
export interface LfsTarget {
  operation: LfsOperation;
  /** SHA-256 of the content, 64 hex digits. */
  oid: string;
  /** Bytes. */
  size: number;
}

/** Where the host keeps the object, and what it wants to see there. */
export interface LfsAction {
  href: string;
  header: Record<string, string>;
}

/** The master key, and the one before while a rotation lasts. */
export interface SealKeys {
  encryptionKey: string;
  oldEncryptionKey?: string | null;
}

const sealedSchema = z.object({
  href: z.string(),
  header: z.record(z.string(), z.string()),
  /** Milliseconds since the epoch. */
  until: z.number(),
});

const PATH = /^objects\/([0-9a-f]{64})\/(download|upload|verify)\/(\d{1,16})\/([\w.-]+)$/;

/**
 * Seals what the host answered.
 * @param ttlMs how long the host's own address is good; null: not told
 * @param now ms since the epoch
 * @returns the path below `info/lfs/`, and for how many seconds it is good
 */
export async function sealAddress(
  keys: SealKeys,
  claims: Claims,
  target: LfsTarget,
  action: LfsAction,
  ttlMs: number | null,
  now: number,
): Promise<{ path: string; expiresIn: number }> {
  const ttl = Math.max(0, Math.min(ttlMs ?? MAX_TTL_MS, MAX_TTL_MS));
  const plain = JSON.stringify({ ...action, until: now + ttl });
  const seal = await encryptText(keys.encryptionKey, 'lfs-address', contextOf(claims, target), plain);
  const path = `objects/${target.oid}/${target.operation}/${target.size}/${seal}`;
  return { path, expiresIn: Math.floor(ttl / 1000) };
}

/** What a path below `info/lfs/` says it is good for; null for any other. Nothing of it is believed yet. */
export function readAddress(path: string): (LfsTarget & { seal: string }) | null {
  const [, oid, operation, size, seal] = PATH.exec(path) ?? [];
  if (oid === undefined || operation === undefined || size === undefined || seal === undefined) return null;
  return { oid, operation: operation as LfsOperation, size: Number(size), seal };
}

/**
 * Opens an address.
 * @param now ms since the epoch
 * @returns null for one of another session, life, object, size or operation
 * @throws DecryptionError if it was altered
 */
export async function openAddress(
  keys: SealKeys,
  claims: Claims,
  { seal, ...target }: LfsTarget & { seal: string },
  now: number,
): Promise<LfsAction | 'expired'> {
  const all = keys.oldEncryptionKey ? [keys.encryptionKey, keys.oldEncryptionKey] : keys.encryptionKey;
  const plain = await decryptText(all, 'lfs-address', contextOf(claims, target), seal);
  const { until, ...action } = sealedSchema.parse(JSON.parse(plain));
  return until > now ? action : 'expired';
}

function contextOf({ s, w, r, g }: Claims, { operation, oid, size }: LfsTarget): string[] {
  return [s, w, r, String(g), operation, oid, String(size)];
}

/**
 * Whether the gateway goes where a git host sends it: to the host itself, to hosts with a public name by https, and from a
 * host on this machine to others on it. Never to another address of a private network.
 */
export function isStorageAddress(href: string, cloneUrl: string): boolean {
  if (!URL.canParse(href)) return false;
  const url = new URL(href);
  const host = new URL(cloneUrl);
  if (url.username !== '' || url.password !== '') return false;
  if (url.origin === host.origin) return true;
  if (url.protocol === 'https:') return isPublicName(url.hostname);
  return url.protocol === 'http:' && isLoopback(url.hostname) && isLoopback(host.hostname);
}
