/**
 * The gateway's `/cache` as the sandbox uses it: the base branch as a bundle of git, so that a disk without the repository
 * fetches only what is new. A failure here is a line in the log, never a failure of the start.
 */
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, openAsBlob } from 'node:fs';
import { open, rm, stat } from 'node:fs/promises';
import { messageOf } from '../../src/lib/error.ts';
import {
  type CacheManifest,
  type KeptCache,
  keptCacheSchema,
  MAX_CACHE_PART_BYTES,
  MAX_CACHE_PARTS,
} from '../../src/protocol/repository-cache.ts';
import { askGateway, type GatewayAccess, GatewayRequestError } from './request.ts';

const MANIFEST_TIMEOUT_MS = 5_000;
const PART_TIMEOUT_MS = 120_000;
/** A part is small enough to be sent again. */
const PART_TRIES = 2;

/** The cache refused, did not answer, or gave something else than was stored. */
export class CacheError extends Error {
  override readonly name = 'CacheError';
  readonly status: number | null;
  constructor(message: string, status: number | null = null) {
    super(message);
    this.status = status;
  }
}

/** Name of the entry that holds a base branch of a repository of this identity (null: not told). */
export function baseEntry(baseBranch: string, identity: string | null): string {
  const of = identity === null ? baseBranch : `${identity}\0${baseBranch}`;
  return `base-${createHash('sha256').update(of).digest('hex')}`;
}

/** What is kept under a name; null: nothing. @throws CacheError */
export async function findEntry(access: GatewayAccess, entry: string): Promise<KeptCache | null> {
  const answer = await ask(access, `/${entry}`, { method: 'GET' }, MANIFEST_TIMEOUT_MS, [404]);
  const body: unknown = await answer.json().catch(() => null);
  if (answer.status === 404) return null;
  const parsed = keptCacheSchema.safeParse(body);
  if (!parsed.success) throw new CacheError('the gateway’s answer cannot be understood');
  return parsed.data;
}

/**
 * Gets an entry into a file, which is removed again where something is wrong with it.
 * @throws CacheError
 */
export async function getEntry(access: GatewayAccess, entry: string, kept: KeptCache, path: string): Promise<void> {
  const hash = createHash('sha256');
  const file = await open(path, 'w', 0o600);
  let bytes = 0;
  try {
    for (let part = 0; part < kept.parts; part++) {
      const at = `/${entry}/${kept.version}/${part}`;
      const answer = await ask(access, at, { method: 'GET' }, PART_TIMEOUT_MS);
      for await (const chunk of answer.body ?? []) {
        bytes += chunk.length;
        if (bytes > kept.bytes) throw new CacheError(`${entry} is larger than its manifest says`);
        hash.update(chunk);
        await file.write(chunk);
      }
    }
    if (bytes !== kept.bytes || hash.digest('hex') !== kept.sha256) {
      throw new CacheError(`${entry} is not what was stored`);
    }
  } catch (error) {
    await rm(path, { force: true });
    if (error instanceof CacheError) throw error;
    throw new CacheError(`${entry} could not be read: ${failureText(error)}`);
  } finally {
    await file.close();
  }
}

/**
 * Stores a file as an entry.
 * @param commit what it leads to, or was made at
 * @returns false if another was stored first, and counts
 * @throws CacheError
 */
export async function putEntry(access: GatewayAccess, entry: string, path: string, commit: string): Promise<boolean> {
  const { size } = await stat(path);
  const parts = Math.ceil(size / MAX_CACHE_PART_BYTES);
  if (size === 0 || parts > MAX_CACHE_PARTS) throw new CacheError(`${size} bytes are not kept`);
  const version = randomBytes(16).toString('hex');
  const whole = await openAsBlob(path);
  for (let part = 0; part < parts; part++) {
    const body = whole.slice(part * MAX_CACHE_PART_BYTES, (part + 1) * MAX_CACHE_PART_BYTES);
    await putPart(access, `/${entry}/${version}/${part}`, body);
  }
  const manifest: CacheManifest = { version, commit, bytes: size, parts, sha256: await digestOf(path) };
  const headers = { 'content-type': 'application/json' };
  const init = { method: 'PUT', headers, body: JSON.stringify(manifest) };
  const answer = await ask(access, `/${entry}`, init, PART_TIMEOUT_MS, [409]);
  await answer.body?.cancel();
  return answer.status !== 409;
}

async function putPart(access: GatewayAccess, path: string, body: Blob): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await (await ask(access, path, { method: 'PUT', body }, PART_TIMEOUT_MS)).body?.cancel();
      return;
    } catch (error) {
      const passes = error instanceof CacheError && (error.status === null || error.status >= 500);
      if (!passes || attempt >= PART_TRIES || access.signal.aborted) throw error;
    }
  }
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  return hash.digest('hex');
}

/** @throws CacheError */
async function ask(...[access, path, ...rest]: Parameters<typeof askGateway>): Promise<Response> {
  try {
    return await askGateway(access, `/cache${path}`, ...rest);
  } catch (error) {
    if (error instanceof GatewayRequestError) throw new CacheError(error.message, error.status);
    throw error;
  }
}

function failureText(error: unknown): string {
  return messageOf(error);
}
