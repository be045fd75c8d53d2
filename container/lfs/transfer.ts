/**
 * Moving objects of Git LFS between the disk and the git host, through the gateway alone: wherever an answer points, only what
 * lies below the session's own remote is asked.
 */
import { createHash, randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import { z } from 'zod';
import { messageOf } from '../../src/lib/error.ts';
import { parseJson } from '../../src/lib/parse-json.ts';
import { pause } from '../clock.ts';
import { withBlob } from '../files/inside.ts';
import type { GitRemote } from '../git/git.ts';
import { incomingFolder, type Pointer, takeObject } from './store.ts';

const BATCH = 100;
const TOGETHER = 4;
const BATCH_TIMEOUT_MS = 60_000;
const LOCKS_TIMEOUT_MS = 20_000;
const TRANSFER_TIMEOUT_MS = 15 * 60_000;
const RETRY_PAUSES_MS = [500, 2_000, 6_000];
const MEDIA_TYPE = 'application/vnd.git-lfs+json';

/** The gateway or the host refused, or did not answer. `passes`: another try later may succeed. */
export class LfsError extends Error {
  override readonly name = 'LfsError';
  readonly passes: boolean;
  constructor(message: string, passes: boolean) {
    super(message);
    this.passes = passes;
  }
}

const actionSchema = z.object({ href: z.string(), header: z.record(z.string(), z.string()).nullish() });
const answerSchema = z.object({
  objects: z.array(
    z.object({
      oid: z.string(),
      actions: z.partialRecord(z.enum(['download', 'upload', 'verify']), actionSchema).nullish(),
      error: z.object({ code: z.number(), message: z.string() }).nullish(),
    }),
  ),
});

/** What the host says of an object. Without an action for an upload it has it. */
export interface LfsOffer extends Pointer {
  download: string | null;
  upload: string | null;
  verify: string | null;
  /** Why it can be neither had nor put; null: it can. */
  error: string | null;
}

export interface LfsAccess {
  remote: GitRemote;
  signal: AbortSignal;
}

/**
 * Asks the host about objects.
 * @param timeoutMs for each request; if it is given, none is tried again
 * @throws LfsError
 */
export async function askAbout(
  access: LfsAccess,
  operation: 'download' | 'upload',
  objects: readonly Pointer[],
  timeoutMs?: number,
): Promise<LfsOffer[]> {
  const offers: LfsOffer[] = [];
  for (let at = 0; at < objects.length; at += BATCH) {
    const some = objects.slice(at, at + BATCH);
    const body = JSON.stringify({ operation, transfers: ['basic'], objects: some, hash_algo: 'sha256' });
    const init = { method: 'POST', body, headers: { accept: MEDIA_TYPE, 'content-type': MEDIA_TYPE } };
    const url = `${lfsUrl(access)}/objects/batch`;
    const answer = await again(access, timeoutMs === undefined, () =>
      ask(access, url, init, timeoutMs ?? BATCH_TIMEOUT_MS),
    );
    const parsed = answerSchema.safeParse(await answer.json().catch(() => null));
    if (!parsed.success) throw new LfsError('the git host gave no answer of Git LFS', false);
    const byOid = new Map(parsed.data.objects.map((object) => [object.oid, object]));
    for (const { oid, size } of some) {
      const found = byOid.get(oid);
      const at = (kind: 'download' | 'upload' | 'verify') => addressOf(access, found?.actions?.[kind]?.href);
      const error = found ? (found.error?.message ?? null) : 'the git host did not mention it';
      offers.push({ oid, size, download: at('download'), upload: at('upload'), verify: at('verify'), error });
    }
  }
  return offers;
}

const locksSchema = z.object({
  theirs: z.array(z.object({ path: z.string(), owner: z.object({ name: z.string() }).nullish() })),
});

/**
 * Files that other people have locked on the host, with who did.
 * @throws LfsError, also where the host, or a gateway of before, knows no locks
 */
export async function lockedByOthers(access: LfsAccess): Promise<Map<string, string>> {
  const init = { method: 'POST', body: '{}', headers: { accept: MEDIA_TYPE, 'content-type': MEDIA_TYPE } };
  const answer = await ask(access, `${lfsUrl(access)}/locks/verify`, init, LOCKS_TIMEOUT_MS);
  const parsed = locksSchema.safeParse(await answer.json().catch(() => null));
  if (!parsed.success) throw new LfsError('the git host gave no answer about locks', false);
  return new Map(parsed.data.theirs.map(({ path, owner }) => [path, owner?.name ?? 'somebody']));
}

/** Fetches objects into a store. @returns why each that is missing is */
export async function downloadAll(
  access: LfsAccess,
  offers: readonly LfsOffer[],
  store: string,
): Promise<Map<string, string>> {
  const missing = new Map<string, string>();
  await eachOf(offers, async (offer) => {
    const { oid, download, error } = offer;
    if (error !== null || download === null) {
      missing.set(oid, error ?? 'the git host does not say where it is');
      return;
    }
    try {
      await again(access, true, () => downloadOne(access, offer, download, store));
    } catch (cause) {
      if (!(cause instanceof LfsError)) throw cause;
      missing.set(oid, cause.message);
    }
  });
  return missing;
}

async function downloadOne(access: LfsAccess, { oid, size }: Pointer, url: string, store: string): Promise<void> {
  const answer = await ask(access, url, {}, TRANSFER_TIMEOUT_MS);
  const part = join(await incomingFolder(store), randomUUID());
  const hash = createHash('sha256');
  let received = 0;
  const measured = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      received += chunk.length;
      if (received > size) done(new LfsError('more data arrived than the object has', false));
      else done(null, chunk);
    },
  });
  try {
    const body = answer.body ? Readable.fromWeb(answer.body as ReadableStream) : Readable.from([]);
    await pipeline(body, measured, createWriteStream(part, { mode: 0o600 }));
    if (received !== size) throw new LfsError('the transfer was cut off', true);
    if (hash.digest('hex') !== oid) throw new LfsError('the data is not the object', false);
    await takeObject(store, oid, part);
  } catch (error) {
    if (error instanceof LfsError) throw error;
    if (isOfDisk(error)) throw new LfsError(`it cannot be written (${error.code})`, false);
    throw new LfsError(`the transfer was cut off: ${messageOf(error)}`, true);
  } finally {
    await rm(part, { force: true });
  }
}

/** Puts objects to the host. @param files where each lies. @throws LfsError for the first that cannot be put */
export async function uploadAll(
  access: LfsAccess,
  uploads: readonly { offer: LfsOffer; file: string }[],
): Promise<void> {
  await eachOf(uploads, async ({ offer, file }) => {
    const { oid, size, upload, verify } = offer;
    if (upload === null) return;
    const headers = { 'content-type': 'application/octet-stream' };
    await again(access, true, async () => {
      await withBlob(file, (body) => ask(access, upload, { method: 'PUT', headers, body }, TRANSFER_TIMEOUT_MS));
    });
    if (verify === null) return;
    const body = JSON.stringify({ oid, size });
    await again(access, true, () =>
      ask(access, verify, { method: 'POST', body, headers: { 'content-type': MEDIA_TYPE } }, BATCH_TIMEOUT_MS),
    );
  });
}

function lfsUrl({ remote }: LfsAccess): string {
  return `${remote.url}/info/lfs`;
}

/** The gateway's address below the session's remote, whatever host the answer names. */
function addressOf(access: LfsAccess, href: string | undefined): string | null {
  const path = /\/info\/lfs\/(objects\/[\w./-]+)$/.exec(href ?? '')?.[1];
  return path === undefined || path.includes('..') ? null : `${lfsUrl(access)}/${path}`;
}

async function ask(
  { remote, signal }: LfsAccess,
  url: string,
  init: RequestInit,
  timeoutMs: number,
): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(url, {
      ...init,
      headers: { ...init.headers, authorization: `Bearer ${remote.token}` },
      redirect: 'error',
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    });
  } catch (error) {
    const why = messageOf(error);
    throw new LfsError(`the gateway did not answer: ${why}`, true);
  }
  if (answer.ok) return answer;
  const text = (await answer.text().catch(() => '')).slice(0, 1_000);
  const { status } = answer;
  throw new LfsError(
    messageIn(text) ?? `the gateway answered ${status}`,
    status >= 500 || status === 429 || status === 408,
  );
}

function messageIn(text: string): string | null {
  const parsed = z.object({ message: z.string() }).safeParse(parseJson(text));
  return parsed.success ? parsed.data.message.replace(/^Cyrus: /, '').slice(0, 500) : null;
}

async function again<T>({ signal }: LfsAccess, retries: boolean, task: () => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await task();
    } catch (error) {
      const wait = RETRY_PAUSES_MS[attempt];
      if (!(error instanceof LfsError) || !error.passes || !retries || wait === undefined || signal.aborted)
        throw error;
      await pause(wait * (0.75 + Math.random() / 2), signal);
    }
  }
}

/** A few at a time. The first failure ends it, when those under way are done. */
async function eachOf<T>(items: readonly T[], task: (item: T) => Promise<void>): Promise<void> {
  let next = 0;
  const failures: unknown[] = [];
  const worker = async () => {
    while (next < items.length && failures.length === 0) {
      const item = items[next++];
      if (item !== undefined) await task(item).catch((error: unknown) => failures.push(error));
    }
  };
  await Promise.all(Array.from({ length: TOGETHER }, worker));
  if (failures.length > 0) throw failures[0];
}

function isOfDisk(error: unknown): error is NodeJS.ErrnoException & { code: string } {
  return error instanceof Error && 'code' in error && /^(ENOSPC|EDQUOT|EACCES|EROFS|EFBIG)$/.test(String(error.code));
}
