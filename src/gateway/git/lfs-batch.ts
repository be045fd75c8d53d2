/**
 * The requests of Git LFS (github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md, …/locking.md) to the git host of the session's
 * repository: batches, and which files are locked. What the host answers is checked before it is used: it names addresses to which the gateway then goes.
 */

import * as z from 'zod';
import { asError } from '../../lib/error.ts';
import { withoutEnding } from '../../lib/linear-time.ts';
import { parseJson } from '../../lib/parse-json.ts';
import { withTimeout } from '../../lib/timeout.ts';
import { log } from '../../observability/log.ts';
import { type Fetch, readRefusal, streamedRequest } from '../forwarding.ts';
import type { Claims } from '../token.ts';
import { basicCredential, type GitRefusal, type GitRemote, refusalOfHost } from './host.ts';
import { isStorageAddress, type LfsAction, type LfsOperation, MAX_LFS_BYTES } from './lfs-address.ts';

/** Largest request and answer that are read, in bytes: git-lfs asks for 100 objects at a time. */
const MAX_BATCH_BYTES = 1024 * 1024;
const MAX_ANSWER_BYTES = 8 * 1024 * 1024;
const MAX_OBJECTS = 1_000;
/** Longest wait for a whole answer. git-lfs gives up on a silent connection after 30 s, and asks again. */
const ANSWER_LIMIT_MS = 60_000;
export const LFS_MEDIA_TYPE = 'application/vnd.git-lfs+json';

const batchSchema = z.object({
  operation: z.enum(['download', 'upload']),
  transfers: z.array(z.string()).optional(),
  ref: z.object({ name: z.string().max(1_000) }).nullish(),
  objects: z.array(z.object({ oid: z.string(), size: z.number() })).max(MAX_OBJECTS),
  hash_algo: z.string().optional(),
});
export type LfsBatch = z.infer<typeof batchSchema>;

const actionSchema = z.object({
  href: z.string().max(16_384),
  header: z.record(z.string(), z.unknown()).nullish(),
  expires_in: z.number().nullish(),
  expires_at: z.string().nullish(),
});
const answerSchema = z.object({
  transfer: z.literal('basic').nullish(),
  objects: z.array(
    z.object({
      oid: z.string(),
      actions: z.partialRecord(z.enum(['download', 'upload', 'verify']), actionSchema).nullish(),
      error: z.object({ code: z.number().int(), message: z.string() }).nullish(),
    }),
  ),
});

/** What becomes of one object. `ttlMs`: how long the host's address is good, null if it does not say. */
export interface LfsObject {
  oid: string;
  size: number;
  actions: Partial<Record<LfsOperation, LfsAction & { ttlMs: number | null }>>;
  error: { code: number; message: string } | null;
}

/** Reads a batch. @returns a sentence that says what is wrong with it */
export async function readBatch(request: Request): Promise<LfsBatch | string> {
  const text = await readText(request.body, MAX_BATCH_BYTES);
  if (text === null) return `a batch has at most ${MAX_BATCH_BYTES} bytes`;
  const parsed = batchSchema.safeParse(parseJson(text));
  if (!parsed.success) return `this is not a Git LFS batch: ${z.prettifyError(parsed.error)}`;
  const { transfers = ['basic'], hash_algo = 'sha256' } = parsed.data;
  if (!transfers.includes('basic')) return 'only the transfer "basic" is supported';
  return hash_algo === 'sha256' ? parsed.data : 'only the hash algorithm sha256 is supported';
}

/**
 * Asks the git host about objects.
 * @returns an entry for each, in order; or why there is no answer
 */
export async function askLfsHost(
  batch: LfsBatch,
  claims: Claims,
  remote: GitRemote,
  fetcher: Fetch,
  now: number,
): Promise<LfsObject[] | GitRefusal> {
  const refused = new Map(batch.objects.map((object) => [object, problemOf(object)]));
  const objects = batch.objects.filter((object) => refused.get(object) === null);
  const body = JSON.stringify({
    operation: batch.operation,
    transfers: ['basic'],
    ...(batch.ref && { ref: { name: batch.ref.name } }),
    objects,
    hash_algo: 'sha256',
  });
  const asked = { resource: 'objects/batch', body, schema: answerSchema };
  const answered = objects.length === 0 ? { answer: { objects: [] } } : await ask(asked, claims, remote, fetcher);
  if ('status' in answered) return answered;
  const byOid = new Map(answered.answer.objects.map((object) => [object.oid, object]));
  return batch.objects.map((object): LfsObject => {
    const { oid, size } = object;
    const problem = refused.get(object) ?? null;
    if (problem !== null) return { oid, size, actions: {}, error: { code: 422, message: problem } };
    const found = byOid.get(oid);
    const failed = (message: string) => ({ oid, size, actions: {}, error: { code: 502, message } });
    if (!found) return failed('the git host did not mention this object');
    if (found.error) {
      const { code, message } = found.error;
      return { oid, size, actions: {}, error: { code, message: message.slice(0, 500) } };
    }
    const actions: LfsObject['actions'] = {};
    for (const kind of ['download', 'upload', 'verify'] as const) {
      const action = found.actions?.[kind];
      if (!action || (kind === 'download') !== (batch.operation === 'download')) continue;
      if (!isStorageAddress(action.href, remote.cloneUrl)) {
        return failed(`the git host stores this object at an address that Cyrus does not use (${hostOf(action.href)})`);
      }
      const header = Object.entries(action.header ?? {}).filter((entry): entry is [string, string] => isHeader(entry));
      actions[kind] = { href: action.href, header: Object.fromEntries(header), ttlMs: ttlOf(action, now) };
    }
    if (batch.operation === 'download' && !actions.download) return failed('the git host does not say where it is');
    return { oid, size, actions, error: null };
  });
}

function problemOf({ oid, size }: { oid: string; size: number }): string | null {
  if (!/^[0-9a-f]{64}$/.test(oid)) return 'an object is named by its SHA-256, 64 hex digits';
  if (!Number.isSafeInteger(size) || size < 0) return 'a size is a number of bytes';
  return size > MAX_LFS_BYTES ? `an object may have at most ${MAX_LFS_BYTES / 1024 ** 2} MiB` : null;
}

const locksSchema = z.object({
  theirs: z.array(
    z.object({
      path: z.string(),
      owner: z
        .object({ name: z.string().max(1_000) })
        .nullish()
        .catch(null),
    }),
  ),
  next_cursor: z.string().nullish(),
});
const MAX_LOCK_PAGES = 10;

/** A file that somebody else has locked, so that nobody but they change it. */
export interface LfsLock {
  path: string;
  owner: { name: string } | null;
}

/** Asks the git host which files others have locked, as far as the session's branch goes. @returns them, or why that is not known */
export async function askForLocks(claims: Claims, remote: GitRemote, fetcher: Fetch): Promise<LfsLock[] | GitRefusal> {
  const locks: LfsLock[] = [];
  let cursor: string | null = null;
  for (let page = 0; page < MAX_LOCK_PAGES; page++) {
    const body: string = JSON.stringify({
      ref: { name: `refs/heads/${claims.b}` },
      limit: 100,
      ...(cursor !== null && { cursor }),
    });
    const asked = { resource: 'locks/verify', body, schema: locksSchema };
    const answered: Asked<z.infer<typeof locksSchema>> = await ask(asked, claims, remote, fetcher);
    if ('status' in answered) return answered;
    locks.push(...answered.answer.theirs.map(({ path, owner = null }) => ({ path, owner })));
    cursor = answered.answer.next_cursor || null;
    if (cursor === null) break;
  }
  return locks;
}

/** A request below the host's own Git LFS address. */
interface Question<Answer> {
  resource: string;
  body: string;
  schema: z.ZodType<Answer>;
}
type Asked<Answer> = { answer: Answer } | GitRefusal;

async function ask<Answer>(
  question: Question<Answer>,
  claims: Claims,
  remote: GitRemote,
  fetcher: Fetch,
): Promise<Asked<Answer>> {
  const first = await askOnce(question, claims, remote, fetcher);
  if (!('status' in first) || !first.isStale || !remote.renew) return first;
  try {
    return await askOnce(question, claims, { ...remote, credential: await remote.renew() }, fetcher);
  } catch (error) {
    log('gateway.lfs_token_renewal.failed', { repository: claims.r, error: asError(error) });
    return first;
  }
}

async function askOnce<Answer>(
  { resource, body, schema }: Question<Answer>,
  claims: Claims,
  remote: GitRemote,
  fetcher: Fetch,
): Promise<Asked<Answer>> {
  const headers = new Headers({ accept: LFS_MEDIA_TYPE, 'content-type': LFS_MEDIA_TYPE, 'user-agent': 'git-lfs' });
  const secrets: string[] = [];
  if (remote.credential) {
    const basic = basicCredential(remote.credential);
    headers.set('authorization', `Basic ${basic}`);
    secrets.push(basic, remote.credential.password);
  }
  let answer: Response;
  let text: string | null;
  try {
    const url = `${lfsUrl(remote.cloneUrl)}/${resource}`;
    // Both are small: a host that begins and never ends would keep the push, and who waits for it.
    [answer, text] = await withTimeout(ANSWER_LIMIT_MS, async (signal) => {
      const begun = await fetcher(streamedRequest(url, 'POST', headers, new Blob([body]).stream(), signal));
      const read = begun.ok ? readText(begun.body, MAX_ANSWER_BYTES) : readRefusal(begun, secrets);
      return [begun, await read] as const;
    });
  } catch (error) {
    log('gateway.lfs.unreachable', { session: claims.s, repository: claims.r, error: asError(error) });
    return {
      status: 502,
      message: `the git host of ${claims.r} could not be reached, or closed the connection; try again`,
    };
  }
  if (!answer.ok) {
    log('gateway.lfs.refused', { session: claims.s, repository: claims.r, status: answer.status });
    const said = messageOf(text ?? '');
    if (answer.status === 404 || answer.status === 501) {
      const message = `the git host has no Git LFS for ${claims.r}, or its stored credential may not use it${said}`;
      return { status: 404, message };
    }
    return refusalOfHost(answer, said, claims.r);
  }
  const parsed = schema.safeParse(text === null ? null : parseJson(text));
  if (!parsed.success) {
    log('gateway.lfs_answer.misfit', { session: claims.s, repository: claims.r });
    return { status: 502, message: `the git host of ${claims.r} gave no Git LFS answer that Cyrus understands` };
  }
  return { answer: parsed.data };
}

/** The server of a repository's objects, found as git-lfs does (docs/api/server-discovery.md). */
function lfsUrl(cloneUrl: string): string {
  const url = withoutEnding(cloneUrl, '/');
  return `${url}${url.endsWith('.git') ? '' : '.git'}/info/lfs`;
}

/** The host's own words, as they follow a sentence; empty if there are none. */
function messageOf(text: string): string {
  const parsed = z.object({ message: z.string() }).safeParse(parseJson(text));
  return parsed.success ? `: ${parsed.data.message.trim().slice(0, 500)}` : '';
}

function isHeader([name, value]: [string, unknown]): boolean {
  return typeof value === 'string' && /^[\w-]+$/.test(name) && !/[\r\n\0]/.test(value);
}

function ttlOf(action: z.infer<typeof actionSchema>, now: number): number | null {
  if (action.expires_in != null && action.expires_in > 0) return action.expires_in * 1000;
  const at = action.expires_at == null ? Number.NaN : Date.parse(action.expires_at);
  // Some hosts give a time that means never.
  return Number.isNaN(at) || at <= 0 ? null : at - now;
}

function hostOf(href: string): string {
  return URL.canParse(href) ? new URL(href).host : 'no address';
}

/** Reads a body to its end, within reason. @returns null if it is larger */
export async function readText(body: ReadableStream<Uint8Array> | null, maxBytes: number): Promise<string | null> {
  const decoder = new TextDecoder();
  let text = '';
  let size = 0;
  for await (const piece of body ?? []) {
    size += piece.byteLength;
    // A client reads the refusal only after it has sent everything, within reason.
    if (size > 16 * maxBytes) break;
    if (size <= maxBytes) text += decoder.decode(piece, { stream: true });
  }
  return size > maxBytes ? null : text + decoder.decode();
}
