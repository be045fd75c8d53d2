/**
 * What is kept of a repository for the starts of its sandboxes, in R2; see src/protocol/repository-cache.ts. A session has
 * access to the entries of its own workspace and repository alone.
 *
 * `repositories/<workspace>/<owner%2Fname>/cache/<identity>/<entry>.json`, `…/cache/<identity>/<entry>/<version>/<part>`
 */
import { sha256 } from '../lib/hex.ts';
import {
  type CacheManifest,
  cacheEntrySchema,
  cacheVersionSchema,
  type KeptCache,
  keptCacheSchema,
  MAX_CACHE_PART_BYTES,
  MAX_CACHE_PARTS,
  MAX_SETUP_CACHE_BYTES,
} from '../protocol/repository-cache.ts';
import { LogKeyError } from './keeping/session-objects.ts';
import { putStream } from './put-stream.ts';

/** Entries of a kind that are kept of a repository; beyond them the oldest go. */
const MAX_KEPT = { base: 5, setup: 10 } as const;
/** What a setup script made is made again after this long, in ms: nothing that turned out to be of no use stays for good. */
const MAX_SETUP_AGE_MS = 7 * 24 * 3_600_000;
/** R2 deletes at most this many objects in one call. */
const MAX_DELETED_TOGETHER = 1_000;

/** Whose entries. */
export interface CachePlace {
  workspaceId: string;
  /** `owner/name` */
  fullName: string;
  /** Digest of the workspace and the clone address: what is kept of a repository is nothing to another of its name. */
  identity: string;
}

/** What became of a manifest. `taken`: what a setup script made is never replaced by something else. */
export type Published = 'published' | 'taken' | 'incomplete' | 'too-large';

/**
 * The entry that counts, or null.
 * @param now ms since the epoch
 * @throws LogKeyError; R2's errors as they are
 */
export async function readCacheEntry(
  bucket: R2Bucket,
  place: CachePlace,
  entry: string,
  now: number,
): Promise<KeptCache | null> {
  const stored = await bucket.get(manifestKey(place, entry));
  const parsed = stored && keptCacheSchema.safeParse(await stored.json().catch(() => null));
  if (!parsed?.success) return null;
  return entry.startsWith('setup-') && now - parsed.data.at > MAX_SETUP_AGE_MS ? null : parsed.data;
}

/** A part of an entry with its size in bytes, or null. @throws LogKeyError; R2's errors as they are */
export async function getCachePart(
  bucket: R2Bucket,
  place: CachePlace,
  entry: string,
  version: string,
  part: number,
): Promise<{ body: ReadableStream<Uint8Array>; size: number } | null> {
  const stored = await bucket.get(partKey(place, entry, version, part));
  return stored ? { body: stored.body, size: stored.size } : null;
}

/**
 * Stores a part, streamed through.
 * @param size exact size in bytes
 * @throws LogKeyError; RangeError for a size past MAX_CACHE_PART_BYTES; R2's errors as they are
 */
export async function putCachePart(
  bucket: R2Bucket,
  place: CachePlace,
  at: { entry: string; version: string; part: number },
  body: ReadableStream<Uint8Array>,
  size: number,
): Promise<void> {
  const key = partKey(place, at.entry, at.version, at.part);
  if (!Number.isSafeInteger(size) || size < 1 || size > MAX_CACHE_PART_BYTES) {
    throw new RangeError(`a part has at most ${MAX_CACHE_PART_BYTES} bytes`);
  }
  await putStream(bucket, key, body, size);
}

/**
 * Makes the parts of a version count, if all of them are there, and removes what they replace.
 * @param now ms since the epoch
 * @throws LogKeyError; R2's errors as they are
 */
export async function publishCacheEntry(
  bucket: R2Bucket,
  place: CachePlace,
  entry: string,
  manifest: CacheManifest,
  now: number,
): Promise<Published> {
  const key = manifestKey(place, entry);
  const isSetup = entry.startsWith('setup-');
  if (isSetup && manifest.bytes > MAX_SETUP_CACHE_BYTES) return 'too-large';
  const sizes = await Promise.all(
    Array.from({ length: manifest.parts }, async (_, part) => {
      const found = await bucket.head(partKey(place, entry, manifest.version, part));
      return found?.size ?? 0;
    }),
  );
  const isWhole = sizes.every((size, part) => size > 0 && (part === sizes.length - 1 || size === MAX_CACHE_PART_BYTES));
  if (!isWhole || sizes.reduce((sum, size) => sum + size, 0) !== manifest.bytes) return 'incomplete';
  const before = isSetup ? await readCacheEntry(bucket, place, entry, now) : null;
  // One that does not count any more makes room.
  if (isSetup && before === null) await bucket.delete(key);
  const kept: KeptCache = { ...manifest, at: now };
  const stored = await bucket.put(key, JSON.stringify(kept), {
    httpMetadata: { contentType: 'application/json; charset=utf-8' },
    // Anyone who knows the inputs knows the name: a later session must not be able to put something else in its place.
    ...(isSetup && { onlyIf: { etagDoesNotMatch: '*' } }),
  });
  const version = stored ? manifest.version : ((await readCacheEntry(bucket, place, entry, now))?.version ?? '');
  await removeOthers(bucket, place, entry, version);
  if (!stored) return 'taken';
  await removeOldest(bucket, place, isSetup ? 'setup' : 'base');
  return 'published';
}

/** Removes an entry, the oldest of too many. @throws LogKeyError; R2's errors as they are */
async function removeCacheEntry(bucket: R2Bucket, place: CachePlace, entry: string): Promise<void> {
  // The manifest first: what has none is not looked for.
  await bucket.delete(manifestKey(place, entry));
  await removeOthers(bucket, place, entry, '');
}

/** Versions of an entry but this one, also those whose manifest never came. */
async function removeOthers(bucket: R2Bucket, place: CachePlace, entry: string, version: string): Promise<void> {
  const own = `${prefix(place)}${entry}/${version}/`;
  const keys = await listKeys(bucket, `${prefix(place)}${entry}/`);
  const gone = keys.filter((key) => version === '' || !key.startsWith(own));
  for (let at = 0; at < gone.length; at += MAX_DELETED_TOGETHER) {
    await bucket.delete(gone.slice(at, at + MAX_DELETED_TOGETHER));
  }
}

async function removeOldest(bucket: R2Bucket, place: CachePlace, kind: 'base' | 'setup'): Promise<void> {
  const before = prefix(place);
  // With the delimiter the parts are left out: they lie one level deeper.
  const { objects } = await bucket.list({ prefix: `${before}${kind}-`, delimiter: '/' });
  const oldest = objects
    .filter(({ key }) => key.endsWith('.json'))
    .toSorted((a, b) => b.uploaded.getTime() - a.uploaded.getTime())
    .slice(MAX_KEPT[kind]);
  for (const { key } of oldest) await removeCacheEntry(bucket, place, key.slice(before.length, -'.json'.length));
}

async function listKeys(bucket: R2Bucket, keysPrefix: string): Promise<string[]> {
  const keys: string[] = [];
  for (let cursor: string | undefined, more = true; more; ) {
    const page = await bucket.list({ prefix: keysPrefix, ...(cursor !== undefined && { cursor }) });
    keys.push(...page.objects.map(({ key }) => key));
    more = page.truncated;
    cursor = page.truncated ? page.cursor : undefined;
  }
  return keys;
}

/** Beginning of the keys of all that is kept of a workspace's repositories. */
export function repositoriesPrefix(workspaceId: string): string {
  return `repositories/${encodeURIComponent(workspaceId)}/`;
}

function prefix({ workspaceId, fullName, identity }: CachePlace): string {
  if (!/^[0-9a-f]{64}$/.test(identity)) throw new LogKeyError('this is not the identity of a repository');
  return `${repositoriesPrefix(workspaceId)}${encodeURIComponent(fullName)}/cache/${identity}/`;
}

function manifestKey(place: CachePlace, entry: string): string {
  if (!cacheEntrySchema.safeParse(entry).success) throw new LogKeyError('this is not the name of a cache entry');
  return `${prefix(place)}${entry}.json`;
}

function partKey(place: CachePlace, entry: string, version: string, part: number): string {
  if (!cacheEntrySchema.safeParse(entry).success) throw new LogKeyError('this is not the name of a cache entry');
  if (!cacheVersionSchema.safeParse(version).success) throw new LogKeyError('this is not the version of a cache entry');
  const isPart = Number.isSafeInteger(part) && part >= 0 && part < MAX_CACHE_PARTS;
  if (!isPart) throw new LogKeyError(`a part is a number below ${MAX_CACHE_PARTS}`);
  return `${prefix(place)}${entry}/${version}/${part}`;
}

/** Digest of the workspace and the clone address. Sandbox servers keep what they know of a repository by it. */
export function identityOf(workspaceId: string, cloneUrl: string): Promise<string> {
  return sha256(`${workspaceId}\n${cloneUrl}`);
}
