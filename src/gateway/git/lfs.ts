/**
 * Git LFS for a sandbox: the batch API of the session's own repository, and the transfers behind it, with the credential
 * added here. Contents stream through; where they are kept, and what opens it, the sandbox never sees.
 */
import { isConnectionHeader } from '../../lib/connection-headers.ts';
import { asError } from '../../lib/error.ts';
import { log } from '../../observability/log.ts';
import { DecryptionError } from '../../store/encryption.ts';
import { accountFor, type EgressObserver } from '../egress-account.ts';
import { type Fetch, streamedRequest } from '../forwarding.ts';
import type { SecretSearch } from '../secrets/secret-search.ts';
import { type Claims, rightsOf } from '../token.ts';
import { basicCredential, type GitRefusal, type GitRemote } from './host.ts';
import {
  isStorageAddress,
  type LfsAction,
  type LfsOperation,
  type LfsTarget,
  openAddress,
  readAddress,
  type SealKeys,
  sealAddress,
} from './lfs-address.ts';
import { askForLocks, askLfsHost, LFS_MEDIA_TYPE, readBatch, readText } from './lfs-batch.ts';

/** What follows the clone address where Git LFS is served. */
export const LFS_PATH = 'info/lfs/';
const MAX_REDIRECTS = 3;
const MAX_LOCKS_BYTES = 64 * 1024;
const METHODS: Record<LfsOperation, string> = { download: 'GET', upload: 'PUT', verify: 'POST' };
const READ_ONLY = 'this session is read-only, so it cannot upload';

export interface LfsContext {
  /** What follows `info/lfs/` in the address, as it came. */
  resource: string;
  /** Address of `info/lfs/` as the sandbox reaches it, with the slash. */
  base: string;
  claims: Claims;
  remote: GitRemote;
  keys: SealKeys;
  observer: EgressObserver;
  /** What uploads are looked through for. */
  secrets: SecretSearch;
  fetcher: Fetch;
  /** The clock, ms since the epoch. */
  now?: () => number;
}

/**
 * Answers a request below `info/lfs/` of the session's repository.
 * @returns the answer, streaming; every refusal is JSON with a `message`, as git-lfs prints it
 */
export async function forwardToLfs(request: Request, context: LfsContext): Promise<Response> {
  const { resource, claims, remote, observer, secrets, fetcher } = context;
  const path = `/${claims.r}.git/${LFS_PATH}`;
  const { host } = new URL(remote.cloneUrl);
  if (resource === 'objects/batch') {
    const passage = { observer, secrets, host, path: `${path}objects/batch` };
    return accountFor(request, passage, fetcher, (observed, outgoing) => answerBatch(observed, context, outgoing));
  }
  if (resource === 'locks/verify') {
    const passage = { observer, secrets, host, path: `${path}locks/verify` };
    return accountFor(request, passage, fetcher, (observed, outgoing) => answerLocks(observed, context, outgoing));
  }
  if (/^locks(\/|$|\?)/.test(resource)) return say(501, 'Cyrus does not lock files in Git LFS, or unlock them');
  const address = readAddress(resource);
  if (!address) return say(404, 'only the batch API of Git LFS is served here');
  const action = await opened(address, context);
  if (action instanceof Response) return action;
  const passage = { observer, secrets, host: new URL(action.href).host, path: `${path}objects/${address.oid}` };
  return accountFor(request, passage, fetcher, (observed, outgoing) =>
    transfer(observed, address, action, { ...context, fetcher: outgoing }),
  );
}

async function answerBatch(request: Request, context: LfsContext, fetcher: Fetch): Promise<Response> {
  const { claims, remote, keys, base, now = Date.now } = context;
  if (request.method !== 'POST') return say(405, 'a batch takes POST');
  const batch = await readBatch(request);
  if (typeof batch === 'string') return say(422, batch);
  if (batch.operation === 'upload' && !rightsOf(claims).includes('push')) return say(403, READ_ONLY);
  const at = now();
  const found = await askLfsHost(batch, claims, remote, fetcher, at);
  if ('status' in found) return refused(found);
  const objects = await Promise.all(
    found.map(async ({ oid, size, actions, error }) => {
      if (error) return { oid, size, error };
      const sealed: [string, { href: string; expires_in: number }][] = [];
      for (const [kind, { ttlMs, ...action }] of Object.entries(actions)) {
        const target: LfsTarget = { operation: kind as LfsOperation, oid, size };
        const { path, expiresIn } = await sealAddress(keys, claims, target, action, ttlMs, at);
        sealed.push([kind, { href: base + path, expires_in: expiresIn }]);
      }
      return sealed.length === 0 ? { oid, size } : { oid, size, actions: Object.fromEntries(sealed) };
    }),
  );
  return json(200, { transfer: 'basic', objects, hash_algo: 'sha256' });
}

/** Only who pushes has to know, and only of others' locks; the request itself says nothing that the host is told. */
async function answerLocks(request: Request, { claims, remote }: LfsContext, fetcher: Fetch): Promise<Response> {
  await readText(request.body, MAX_LOCKS_BYTES);
  if (request.method !== 'POST') return say(405, 'locks are verified by POST');
  if (!rightsOf(claims).includes('push')) return say(403, READ_ONLY);
  const theirs = await askForLocks(claims, remote, fetcher);
  return 'status' in theirs ? refused(theirs) : json(200, { ours: [], theirs });
}

async function opened(
  address: LfsTarget & { seal: string },
  { keys, claims, now = Date.now }: LfsContext,
): Promise<LfsAction | Response> {
  try {
    const action = await openAddress(keys, claims, address, now());
    return action === 'expired' ? say(403, 'this address of an object has expired: ask for another one') : action;
  } catch (error) {
    if (!(error instanceof DecryptionError)) throw error;
    log('gateway.lfs_address.refused', { session: claims.s, repository: claims.r, oid: address.oid });
    return say(403, 'this address is not for this session, object and operation: ask for another one');
  }
}

async function transfer(
  request: Request,
  target: LfsTarget,
  action: LfsAction,
  context: LfsContext,
): Promise<Response> {
  const { claims } = context;
  const { operation, size } = target;
  if (request.method !== METHODS[operation]) return say(405, `${operation} is asked by ${METHODS[operation]}`);
  if (operation !== 'download' && claims.ro) return say(403, READ_ONLY);
  const headers = headersFor(request, target, action, context);
  let body: ReadableStream<Uint8Array> | null = null;
  if (operation === 'upload') {
    const length = request.headers.get('content-length');
    if (length === null || !/^\d+$/.test(length)) return say(411, 'an object is uploaded with its Content-Length');
    if (Number(length) !== size) return say(422, `this address takes an object of ${size} bytes`);
    headers.set('content-length', length);
    body = exactly(request.body ?? new Blob([]).stream(), size);
  } else if (operation === 'verify') {
    await request.body?.cancel();
    headers.set('content-type', LFS_MEDIA_TYPE);
    body = new Blob([JSON.stringify({ oid: target.oid, size })]).stream();
  }
  let answer: Response;
  try {
    answer = await send(action.href, METHODS[operation], headers, body, context);
  } catch (error) {
    log('gateway.lfs.unreachable', { session: claims.s, repository: claims.r, error: asError(error) });
    return say(
      502,
      `the storage of ${claims.r}’s large files could not be reached, or closed the connection; try again`,
    );
  }
  if (!answer.ok) {
    log('gateway.lfs_storage.refused', { session: claims.s, repository: claims.r, operation, status: answer.status });
    await answer.body?.cancel();
    return say(statusFor(answer.status), `the storage of ${claims.r}’s large files answered ${answer.status}`);
  }
  if (operation !== 'download') {
    await answer.body?.cancel();
    return new Response(null, { status: 200 });
  }
  const kept = new Headers({ 'cache-control': 'no-store' });
  for (const name of ['content-type', 'content-length', 'content-range', 'accept-ranges']) {
    const value = answer.headers.get(name);
    if (value !== null) kept.set(name, value);
  }
  return new Response(answer.body && exactly(answer.body, size, answer.status === 206), {
    status: answer.status,
    headers: kept,
  });
}

/** What the host wants to see at its storage; its own credential goes to the host itself alone. */
function headersFor(request: Request, target: LfsTarget, action: LfsAction, { remote }: LfsContext): Headers {
  const headers = new Headers();
  const taken = { download: ['range', 'accept'], upload: ['content-type'], verify: ['accept'] }[target.operation];
  for (const name of [...taken, 'user-agent']) {
    const value = request.headers.get(name);
    if (value !== null) headers.set(name, value);
  }
  headers.set('accept-encoding', 'identity');
  for (const [name, value] of Object.entries(action.header)) {
    if (!isConnectionHeader(name) && !/^(host|content-length|cookie)$/i.test(name)) headers.set(name, value);
  }
  const isOwn = new URL(action.href).origin === new URL(remote.cloneUrl).origin;
  if (isOwn && remote.credential && !headers.has('authorization')) {
    headers.set('authorization', `Basic ${basicCredential(remote.credential)}`);
  }
  return headers;
}

/** Follows redirects of a download alone, and carries nothing that opens one host to another. */
async function send(
  href: string,
  method: string,
  headers: Headers,
  body: ReadableStream<Uint8Array> | null,
  { fetcher, remote }: LfsContext,
): Promise<Response> {
  let url = href;
  let sent = headers;
  for (let redirects = 0; ; redirects++) {
    const answer = await fetcher(streamedRequest(url, method, sent, body));
    const location = answer.headers.get('location');
    const isRedirect = answer.status >= 300 && answer.status < 400 && location !== null;
    if (!isRedirect || method !== 'GET' || redirects === MAX_REDIRECTS) return answer;
    await answer.body?.cancel();
    const next = new URL(location, url);
    if (!isStorageAddress(next.href, remote.cloneUrl)) return answer;
    if (next.origin !== new URL(url).origin) {
      const range = sent.get('range');
      sent = new Headers({ 'accept-encoding': 'identity', ...(range !== null && { range }) });
    }
    url = next.href;
  }
}

/** The stream as it is, which errs where it has another length. workerd sends a length only if it knows it from the stream. */
function exactly(body: ReadableStream<Uint8Array>, size: number, isPart = false): ReadableStream<Uint8Array> {
  const { FixedLengthStream: Fixed } = globalThis as {
    FixedLengthStream?: new (bytes: number) => TransformStream<Uint8Array, Uint8Array>;
  };
  if (!isPart && Fixed) return body.pipeThrough(new Fixed(size));
  let passed = 0;
  return body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(piece, controller) {
        passed += piece.byteLength;
        if (passed > size) controller.error(new RangeError('the object is longer than announced'));
        else controller.enqueue(piece);
      },
      flush(controller) {
        if (!isPart && passed < size) controller.error(new RangeError('the object is shorter than announced'));
      },
    }),
  );
}

/** A 401 would make git-lfs look for another credential; where a redirect leads is not the sandbox's business. */
function statusFor(status: number): number {
  if (status === 401) return 403;
  return status >= 400 && status < 500 ? status : status === 503 ? 503 : 502;
}

function refused({ status, message, retryAfter }: GitRefusal): Response {
  return say(status, message, retryAfter);
}

function say(status: number, message: string, retryAfter?: string): Response {
  return json(status, { message: `Cyrus: ${message}` }, retryAfter);
}

function json(status: number, body: unknown, retryAfter?: string): Response {
  const headers = new Headers({ 'content-type': LFS_MEDIA_TYPE, 'cache-control': 'no-store' });
  if (retryAfter !== undefined) headers.set('retry-after', retryAfter);
  return new Response(JSON.stringify(body), { status, headers });
}
