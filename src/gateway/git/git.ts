/**
 * The way to the git host. A sandbox's remote is the gateway; a push is read as far as its commands: only the session's
 * own branch may be created or moved, and only so that nobody else's commits leave it. Packs are streamed; of their
 * beginning the commits are read.
 */

import { type BodyReader, bodyReader, PIECE_BYTES } from '../../lib/body-reader.ts';
import { asError } from '../../lib/error.ts';
import { log } from '../../observability/log.ts';
import type { Fetch } from '../forwarding.ts';
import type { SecretSearch, Wanted } from '../secrets/secret-search.ts';
import { type Claims, rightsOf } from '../token.ts';
import { isInHistory } from './ancestry.ts';
import { fetchRefusal, readFetch } from './fetch-request.ts';
import { askGitHost, type GitRefusal, type GitRemote } from './host.ts';
import { HostObjects } from './host-objects.ts';
import { type OwnCommits, refusalToMove } from './own-commits.ts';
import { readPackCommits } from './pack-commits.ts';
import { searchPack } from './pack-search.ts';
import {
  encodeHead,
  joined,
  type Push,
  PushSyntaxError,
  type RefUpdate,
  readPush,
  refusalReport,
  unknownCapability,
} from './push.ts';
import { refusalToHeld, type WorkflowHold } from './workflow-hold.ts';

/** Largest push, in bytes, unless told otherwise. */
export const MAX_PUSH_BYTES = 1024 ** 3;
/** Largest report of a push, in bytes: a line for each ref, and what the host's hooks have to say. */
const MAX_REPORT_BYTES = 16 * 1024 ** 2;

/**
 * Forwards a request of git's smart HTTP protocol (gitprotocol-http(5)) to the git host.
 * @param request git's request; its body is streamed on
 * @param subpath what follows `/git/` in the address, undecoded: `owner/name.git/info/refs`
 * @param claims who calls: the session's repository and branch
 * @param remote where the repository is, and its credential
 * @param maxPushBytes pushes larger than this, uncompressed, are refused
 * @param guard what a push may not hold; null: it is not looked through
 * @param own what the session has pushed so far, by which it is judged whether a push takes other people's commits off the branch; null: that is not judged
 * @param hold where changes to what runs at the host wait for people; null: they do not
 * @returns the git host's answer as it streams; a push that is not allowed gets a report git prints for each ref, any other refusal a text git prints as `remote: …`
 */
export async function forwardToGit(
  request: Request,
  subpath: string,
  claims: Claims,
  remote: GitRemote,
  fetcher: Fetch,
  maxPushBytes: number = MAX_PUSH_BYTES,
  own: OwnCommits | null = null,
  guard: PushGuard | null = null,
  hold: WorkflowHold | null = null,
): Promise<Response> {
  const prefix = `${claims.r}.git/`;
  // Compared as it came: nothing is decoded or resolved, so there is no second way to write an address.
  if (!subpath.startsWith(prefix)) return plainRefusal(403, `this session may use the repository ${claims.r} only`);
  const resource = subpath.slice(prefix.length);
  const { search } = new URL(request.url);
  if (resource === 'info/refs') {
    if (request.method !== 'GET') return plainRefusal(405, 'the list of refs is fetched with GET');
    if (!/^\?service=git-(upload|receive)-pack$/.test(search)) {
      return plainRefusal(403, "only git's smart HTTP protocol is served: use a newer git");
    }
    return handOn(await askGitHost(request, `info/refs${search}`, null, claims, remote, fetcher));
  }
  if (resource !== 'git-upload-pack' && resource !== 'git-receive-pack') {
    return plainRefusal(404, "only git's smart HTTP protocol and Git LFS are served here (no plain files)");
  }
  if (request.method !== 'POST' || search !== '') return plainRefusal(405, `${resource} takes POST, without a query`);
  if (request.headers.get('content-type') !== `application/x-${resource}-request`) {
    return plainRefusal(415, `${resource} takes application/x-${resource}-request`);
  }
  const body = decodedBody(request);
  if (!body) return plainRefusal(415, 'the body may be compressed with gzip only');
  if (resource === 'git-receive-pack') {
    return forwardPush(request, body, claims, remote, fetcher, maxPushBytes, own, guard, hold);
  }
  return forwardFetch(request, body, claims, remote, fetcher);
}

/** Forwards the request of a fetch, read and written again; what is not known is refused in words that git prints. */
export async function forwardFetch(
  request: Request,
  body: ReadableStream<Uint8Array>,
  claims: Claims,
  remote: GitRemote,
  fetcher: Fetch,
): Promise<Response> {
  const read = readFetch(body, request.headers.get('git-protocol'));
  const answer = await askGitHost(request, 'git-upload-pack', read.body, claims, remote, fetcher);
  const refused = read.refused();
  if (refused === null) return handOn(answer);
  log('gateway.git_fetch.refused', { session: claims.s, repository: claims.r, reason: refused });
  // The host answered before it had the whole of a body that was broken off.
  if (answer instanceof Response) await answer.body?.cancel();
  return fetchRefusal(refused);
}

/** What a push may not hold, and who is told where it does. */
export interface PushGuard {
  search: SecretSearch;
  /** @param tip the commit that the branch was to stand at */
  onSecret: (secret: Wanted, tip: string) => Promise<void>;
}

async function forwardPush(
  request: Request,
  body: ReadableStream<Uint8Array>,
  claims: Claims,
  remote: GitRemote,
  fetcher: Fetch,
  maxBytes: number,
  own: OwnCommits | null,
  guard: PushGuard | null,
  hold: WorkflowHold | null,
): Promise<Response> {
  const reader = bodyReader(body);
  let push: Push;
  let read: Uint8Array;
  let end: number;
  try {
    ({ push, read, end } = await readPush(reader));
  } catch (error) {
    await reader.cancel().catch(ignored);
    if (error instanceof PushSyntaxError) return plainRefusal(400, error.message);
    return plainRefusal(400, 'the push could not be read: it is not valid gzip, or the connection broke');
  }
  // Git sends a lone flush before a large push, to see whether it may at all: by coming here, it may.
  if (push.updates.length === 0 && !push.signed) {
    await drain(reader, maxBytes);
    return pushResult(null);
  }
  const refuse = async (notice: string, reason: (update: RefUpdate) => string = () => notice): Promise<Response> => {
    const refs = push.updates.slice(0, 20).map((update) => update.ref);
    log('gateway.git_push.refused', { session: claims.s, repository: claims.r, refs, reason: notice });
    // Git reads the answer only after it has sent everything, so the pack is taken, and thrown away, within reason.
    await drain(reader, maxBytes);
    const report = refusalReport(push, (update) => `Cyrus: ${reason(update)}`, `Cyrus: ${notice}`);
    return report ? pushResult(report) : plainRefusal(403, notice);
  };
  if (!rightsOf(claims).includes('push')) {
    return refuse('this session is read-only, so it cannot push');
  }
  const isElsewhere = push.updates.some(({ ref }) => ref !== `refs/heads/${claims.b}`);
  const branch = own && isElsewhere ? await own.branch() : claims.b;
  const problem = problemOf(push, branch);
  if (problem !== null) return refuse(problem, (update) => refProblem(update, branch) ?? problem);
  const head = encodeHead(push);
  read = joined([head, read.subarray(end)]);
  end = head.byteLength;
  const tooLarge = `a push may have at most ${Math.floor(maxBytes / 1024 ** 2)} MiB`;
  const announced = Number(request.headers.get('content-length') ?? 0);
  if (Math.max(announced, read.byteLength) > maxBytes) return refuse(tooLarge);

  const [update] = push.updates;
  if (own && update) {
    const beginning = await readPackCommits(read, end, reader, update.newId.length);
    const { commits } = beginning;
    read = beginning.read;
    const ask = (part: string, tips: readonly string[]) => isInHistory(part, tips, claims, remote, fetcher);
    const why = await refusalToMove(update, commits, own, ask);
    if (why !== null) return refuse(why);
    if (hold) {
      const host = new HostObjects(claims, remote, fetcher);
      const held = await refusalToHeld(update, beginning, host, hold, await own.all(), ask);
      read = held.read;
      if (held.why !== null) return refuse(held.why);
    }
    if (guard) {
      const searched = await searchPack(read, end, reader, update.newId.length, guard.search);
      read = searched.read;
      if (searched.found) {
        await guard.onSecret(searched.found, update.newId);
        return refuse('the push contains a credential, so nothing was forwarded, and the session is stopped');
      }
      if (!searched.isWhole) log('gateway.git_push.unsearched', { session: claims.s, repository: claims.r });
      if (read.byteLength > maxBytes) return refuse(tooLarge);
    }
    // Before the host has them: a push whose answer is lost counts as well.
    if (commits.size > 0) await own.add(commits);
  }
  const rest = restOf(read, reader, maxBytes);
  const answer = await askGitHost(request, 'git-receive-pack', rest.stream, claims, remote, fetcher);
  // Git shows no text of a failed POST; a report it shows.
  if (!(answer instanceof Response)) return refuse(rest.tooLarge() ? tooLarge : answer.message);
  // A host may begin its answer long before it has the whole push, so it is kept until it is certain that nothing was refused.
  const report = await readReport(answer, claims);
  if (rest.tooLarge()) return refuse(tooLarge);
  if (own && update && report !== null && isAccepted(report, update)) await own.confirm(update.newId);
  if (report === null) {
    return refuse(
      `the git host of ${claims.r} closed the connection before it reported the result of the push: fetch, then push again`,
    );
  }
  return new Response(report, { status: answer.status, headers: answer.headers });
}

/** The host's report on a push, which is short; null if it breaks off, or is no report by its size. */
async function readReport(answer: Response, claims: Claims): Promise<Uint8Array<ArrayBuffer> | null> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const piece of answer.body ?? []) {
      size += piece.byteLength;
      if (size > MAX_REPORT_BYTES) return null;
      pieces.push(piece);
    }
  } catch (error) {
    log('gateway.git_report.failed', { session: claims.s, repository: claims.r, error: asError(error) });
    return null;
  }
  return joined(pieces);
}

/** The report is short, so that the line for the one ref is in one packet. */
function isAccepted(report: Uint8Array, { ref }: RefUpdate): boolean {
  return new TextDecoder().decode(report).includes(`ok ${ref}`);
}

/** Why the push as a whole is refused, or null. One ref that is not allowed refuses them all: a push is not split. */
function problemOf(push: Push, branch: string): string | null {
  if (push.signed) return 'signed pushes are not accepted: push without --signed';
  // Options can order the host to do more than move a ref, e.g. to merge.
  if ([...push.capabilities].some((name) => /^push-options(=|$)/.test(name))) {
    return 'push options are not accepted: push without --push-option';
  }
  const unknown = unknownCapability(push);
  if (unknown !== null) return `the capability ${unknown.slice(0, 60)} is not known to Cyrus`;
  const problem = push.updates.map((update) => refProblem(update, branch)).find((found) => found !== null) ?? null;
  if (problem === null || push.updates.length === 1) return problem;
  return `nothing was pushed, because ${problem}, and each ref of a push must be allowed`;
}

function refProblem(update: RefUpdate, branch: string): string | null {
  if (update.ref !== `refs/heads/${branch}`) return `this session may push only ${branch}`;
  return /^0+$/.test(update.newId) ? 'this session may not delete its branch' : null;
}

/** The body without its gzip; null for any other encoding. */
export function decodedBody(request: Request): ReadableStream<Uint8Array> | null {
  const body: ReadableStream<Uint8Array<ArrayBuffer>> = request.body ?? new Blob([]).stream();
  const encoding = request.headers.get('content-encoding');
  if (encoding === null || encoding === 'identity') return body;
  if (encoding !== 'gzip' && encoding !== 'x-gzip') return null;
  return body.pipeThrough(new DecompressionStream('gzip'));
}

/** What was read of the push, then the rest of it, as the host takes it. Past `maxBytes` the stream breaks off, and `tooLarge` tells. */
function restOf(
  read: Uint8Array,
  reader: BodyReader,
  maxBytes: number,
): { stream: ReadableStream<Uint8Array>; tooLarge: () => boolean } {
  let size = read.byteLength;
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(read);
    },
    async pull(controller) {
      const piece = await reader.read(PIECE_BYTES);
      size += piece?.byteLength ?? 0;
      if (!piece) controller.close();
      else if (size > maxBytes) controller.error(new RangeError('the push is too large'));
      else controller.enqueue(piece);
    },
    async cancel(reason) {
      await reader.cancel(reason);
    },
  });
  return { stream, tooLarge: () => size > maxBytes };
}

async function drain(reader: BodyReader, maxBytes: number): Promise<void> {
  try {
    for (let size = 0; size <= maxBytes; ) {
      const piece = await reader.read(PIECE_BYTES);
      if (!piece) return;
      size += piece.byteLength;
    }
    await reader.cancel();
  } catch {
    // The client is gone; there is nobody left to answer either.
  }
}

function handOn(answer: Response | GitRefusal): Response {
  return answer instanceof Response ? answer : refusedByGit(answer);
}

/** A refusal as an answer that git prints. */
export function refusedByGit({ status, message, retryAfter }: GitRefusal): Response {
  return plainRefusal(status, message, retryAfter);
}

function pushResult(report: Uint8Array<ArrayBuffer> | null): Response {
  const headers = { 'content-type': 'application/x-git-receive-pack-result', 'cache-control': 'no-cache' };
  return new Response(report, { headers });
}

/** A refusal git prints, line by line, after `remote: `. */
export function plainRefusal(status: number, message: string, retryAfter?: string): Response {
  const headers = new Headers({ 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-cache' });
  if (retryAfter !== undefined) headers.set('retry-after', retryAfter);
  return new Response(`Cyrus: ${message}\n`, { status, headers });
}

function ignored(): void {
  // The other side is gone; nothing depends on it any more.
}
