/**
 * The way to Claude's API. The CLI in a sandbox holds a session token where its credential would be; here the real one
 * takes its place. Bodies are streamed both ways; what an answer has used is read from it as it passes.
 */

import { hasBudget } from '../../claude-quota/budget.ts';
import type { ClaudeToken } from '../../claude-quota/claude-settings.ts';
import { isBeyondPlan, readWindows, type Windows } from '../../claude-quota/windows.ts';
import type { Config } from '../../config/config.ts';
import { asError } from '../../lib/error.ts';
import { isTimeout, withTimeout } from '../../lib/timeout.ts';
import { log } from '../../observability/log.ts';
import { type Fetch, handedOnHeaders, readRefusal, streamedRequest } from '../forwarding.ts';
import { roomFor } from '../held-body.ts';
import { watched } from '../watched-stream.ts';
import type { Answered, Grant, RequestSize } from './account.ts';
import { credentialHeaders } from './credential.ts';
import { foreignKey, isRefusedToken, refusal, refusedTokenWords } from './refusal.ts';
import {
  ClaudeRequestReader,
  checkBetas,
  holdUntilPriced,
  modelsOf,
  RequestRefused,
  readWhilePassing,
} from './request.ts';
import type { Asker } from './spending.ts';
import { type AccountPort, type ClaudeConfig, forgetToken, noteBeyondPlan, tokenFor } from './token.ts';
import { type AnswerUse, UsageReader } from './usage-reader.ts';

/** What the CLI asks of its base address (measured with CLI 2.1.330), and the list of models. Nothing else goes out with the credential. */
const allowed: readonly { methods: readonly string[]; path: RegExp }[] = [
  { methods: ['POST'], path: /^\/v1\/messages(\/count_tokens)?$/ },
  { methods: ['GET', 'HEAD'], path: /^\/api\/hello$/ },
  { methods: ['GET'], path: /^\/v1\/models(\/[\w.-]+)?$/ },
];

/**
 * Headers that the CLI sends beside its credential (seen with CLI 2.1.330). Others go no further: some choose whose account a request is
 * charged to (`anthropic-workspace-id`), or how a body is to be read.
 */
const TAKEN = new Set([
  'accept',
  'accept-language',
  'anthropic-beta',
  'anthropic-client-platform',
  'anthropic-client-version',
  'anthropic-dangerous-direct-browser-access',
  'anthropic-version',
  'user-agent',
  'x-app',
  'x-client-request-id',
]);
const TAKEN_KINDS = ['x-claude-code-', 'x-stainless-'];

function isTaken(name: string): boolean {
  return TAKEN.has(name) || TAKEN_KINDS.some((kind) => name.startsWith(kind));
}

/** Who calls, and what the way needs. */
export interface ClaudeWay {
  asker: Asker;
  /** Models that the session was started with; left out, for tokens of before: any of Claude's. */
  models?: readonly string[];
  account: AccountPort;
  fetcher: Fetch;
  /** Lets work go on beside the answer. */
  later: (work: Promise<unknown>) => void;
}

/**
 * Forwards a request of the CLI to Claude's API with the real credential.
 * @param request the CLI's request; its body is streamed on
 * @param path below the base address, e.g. `/v1/messages`
 * @returns the API's answer as it streams; or a refusal in the API's own error shape: 403 for what a sandbox may not ask, 402
 * where a budget is used up, 401 where the API takes no token of this deployment; and those the CLI tries again: 502 when
 * the API cannot be reached, 504 when it does not answer in time, 503 when another token takes over
 */
export async function forwardToClaude(
  request: Request,
  path: string,
  config: ClaudeConfig,
  way: ClaudeWay,
): Promise<Response> {
  const { access } = config.claude;
  if (!allowed.some((rule) => rule.methods.includes(request.method) && rule.path.test(path)) || path.includes('..')) {
    return refusal(403, 'permission_error', `Cyrus does not forward ${request.method} ${path} to Claude's API`);
  }
  if (access.mode === 'subscription' && request.headers.has('x-api-key')) return foreignKey();
  const length = announcedLength(request);
  const leave = request.method === 'POST' ? roomFor(length) : null;
  try {
    return await forwardRead(await readRequest(request, path, config, way, leave === null ? null : length), {
      request,
      path,
      config,
      way,
      length,
    });
  } finally {
    leave?.();
  }
}

/** A request on its way, before it has a token. */
interface Outgoing {
  request: Request;
  path: string;
  config: ClaudeConfig;
  way: ClaudeWay;
  /** Of its body as the header says, in bytes; null: not known. */
  length: number | null;
}

async function forwardRead(read: ReadBody | Response, outgoing: Outgoing): Promise<Response> {
  if (read instanceof Response) return read;
  const { request, path, config, way } = outgoing;
  const { access, apiUrl } = config.claude;
  const sized = await sizeOf(read, outgoing);
  if (sized instanceof Response) return sized;
  const { size } = sized;
  const grant = await tokenFor(size, path, config, way);
  if (grant instanceof Response) return grant;
  const { token, reservation } = grant;
  const url = `${apiUrl}${path}${new URL(request.url).search}`;
  const headers = claudeHeaders(request.headers, access.mode, token.secret, sized.body !== null);
  const passage: ForwardedRequest = { path, config, way, token, reservation, size, asker: way.asker };
  let upstream: Response;
  try {
    upstream = await withTimeout(config.limits.answerMs, (signal) =>
      inTime(way.fetcher(streamedRequest(url, request.method, headers, sized.body, signal)), signal),
    );
  } catch (error) {
    // A request that only the answer failed to come to in time may have been served, and charged.
    void settle(passage, { use: null, refused: true, windows: null, isWhole: !isTimeout(error) });
    return read.refusal() ?? unanswered(path, config, error);
  }
  const refusalOfBody = read.refusal();
  if (refusalOfBody) {
    // The API answered before it had the whole of a body that was broken off.
    await upstream.body?.cancel();
    void settle(passage, { use: null, refused: true, windows: null, isWhole: true });
    return refusalOfBody;
  }
  return await answered(upstream, passage);
}

function answered(upstream: Response, passage: ForwardedRequest): Promise<Response> {
  return upstream.status < 400 ? passOn(upstream, passage) : refused(upstream, passage);
}

/** A body on its way to the API, whole or as it comes, and the refusal once something in it is not allowed. */
interface ReadBody {
  body: Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> | null;
  reader: ClaudeRequestReader;
  refusal: () => Response | null;
}

/** The length of a body as its header says it, in bytes; null if it says none. */
function announcedLength(request: Request): number | null {
  const said = request.headers.get('content-length') ?? '';
  return /^\d{1,12}$/.test(said) ? Number(said) : null;
}

/**
 * Reads what the request asks for.
 * @param held its length in bytes, if there is room to take it whole; null: it is read as it passes
 * @returns the refusal where something in it is not allowed, as far as it is read
 */
async function readRequest(
  request: Request,
  path: string,
  config: ClaudeConfig,
  { asker, models }: ClaudeWay,
  held: number | null,
): Promise<ReadBody | Response> {
  const { allowance } = config.claude;
  const reader = new ClaudeRequestReader(allowance, modelsOf(models));
  try {
    const { search } = new URL(request.url);
    if (search !== '' && search !== '?beta=true') throw new RequestRefused(`the query ${search.slice(0, 80)}`);
    checkBetas(request.headers.get('anthropic-beta'), allowance);
    if (request.method !== 'POST') return { body: null, reader, refusal: () => null };
    if (!request.body) throw new RequestRefused('a request without a body');
    if (held !== null) {
      const body = new Uint8Array(
        await withTimeout(config.limits.answerMs, (signal) => inTime(request.arrayBuffer(), signal)),
      );
      if (body.length !== held) throw new RequestRefused('a body whose length differs from its header');
      reader.take(body);
      reader.end();
      return { body, reader, refusal: () => null };
    }
  } catch (error) {
    return error instanceof RequestRefused ? notForwarded(error, path, asker) : unanswered(path, config, error);
  }
  let refused: Response | null = null;
  const body = readWhilePassing(request.body, reader, (why) => {
    refused = notForwarded(why, path, asker);
  });
  return { body, reader, refusal: () => refused };
}

function notForwarded({ message }: RequestRefused, path: string, { session }: Asker): Response {
  log('gateway.claude_request.refused', { path, session, reason: message });
  return refusal(403, 'permission_error', `Cyrus does not forward ${message}`);
}

/**
 * The body to send, and where requests are paid for, its length and model. Elsewhere nothing is held back to find them out.
 * @returns the refusal of a request whose cost cannot be known
 */
async function sizeOf(
  read: ReadBody,
  { path, config, way, length }: Outgoing,
): Promise<{ body: ReadBody['body']; size: RequestSize | null } | Response> {
  const { body, reader } = read;
  const isSized = body !== null && path === '/v1/messages' && isPaidFor(config);
  try {
    if (body instanceof Uint8Array) {
      if (!isSized) return { body, size: null };
      if (reader.model === null) throw new RequestRefused('a request that names no model');
      return { body, size: { bytes: body.length, model: reader.model } };
    }
    if (!isSized) return { body: body && withLength(body, length), size: null };
    const { body: whole, length: bytes, model } = await holdUntilPriced(body, reader, length);
    return { body: withLength(whole, length), size: { bytes, model } };
  } catch (error) {
    if (error instanceof RequestRefused) return read.refusal() ?? notForwarded(error, path, way.asker);
    return read.refusal() ?? unanswered(path, config, error);
  }
}

/** Whether a budget, or a sum for what goes beyond the plan, is kept. */
function isPaidFor({ claude, limits }: ClaudeConfig): boolean {
  return claude.access.mode === 'api-key' ? hasBudget(limits.budgets) : limits.overageUsd > 0;
}

/** A body of known length is sent with it, as it came. Node, where some tests run, has no such stream. */
function withLength(body: ReadableStream<Uint8Array>, length: number | null): ReadableStream<Uint8Array> {
  const isKnown = length !== null && typeof FixedLengthStream === 'function';
  return isKnown ? body.pipeThrough(new FixedLengthStream(length)) : body;
}

/** A request on its way, with the token it got and what was set aside for it. */
interface ForwardedRequest {
  path: string;
  config: ClaudeConfig;
  way: ClaudeWay;
  token: ClaudeToken;
  reservation: string | null;
  size: RequestSize | null;
  asker: Asker;
}

/**
 * The windows that an answer tells of. Where the answer is one beyond the plan, the account knows before anything of it is handed
 * on, so that the next request is not sent.
 */
async function windowsOf(
  { ok, headers }: Response,
  { token, way, config, path }: ForwardedRequest,
): Promise<Windows | null> {
  const read = readWindows(headers, Date.now());
  // A refusal costs nothing, whatever it was decided by.
  if (!read || !ok || path !== '/v1/messages' || !isBeyondPlan(headers)) return read;
  const windows: Windows = { ...read, status: 'rejected', beyondPlan: true };
  // If nobody answers, no more is spent.
  const mayGoOn = await ask(way.account.beyondPlan(token.name, windows), false);
  noteBeyondPlan(token, windows, mayGoOn || config.claude.access.mode === 'api-key');
  return windows;
}

/** An answer that streams, with its use read on the way. */
async function passOn(upstream: Response, passage: ForwardedRequest): Promise<Response> {
  const { path, config, token } = passage;
  const { status, statusText } = upstream;
  const headers = handedOnHeaders(upstream.headers, [token.secret]);
  const windows = await windowsOf(upstream, passage);
  if (!upstream.body || path !== '/v1/messages') {
    void settle(passage, { use: null, refused: false, windows, isWhole: true });
    return new Response(upstream.body, { status, statusText, headers });
  }
  const usage = new UsageReader(upstream.headers.get('content-type'));
  const body = watched(upstream.body, {
    stallMs: config.limits.stallMs,
    onPiece: (bytes) => usage.take(bytes),
    onEnd: (how) => {
      if (how === 'stalled' || how === 'broken') log(`gateway.claude.${how}`, { path, session: passage.asker.session });
      const use = usage.end();
      void settle(passage, { use, refused: false, windows, isWhole: how === 'whole' && usage.isWhole });
    },
  });
  return new Response(body, { status, statusText, headers });
}

/** A refusal is short: it is read, so that an upstream which echoes requests cannot hand the credential to the sandbox. */
async function refused(upstream: Response, passage: ForwardedRequest): Promise<Response> {
  const { path, config, token, way, asker } = passage;
  const { status, statusText } = upstream;
  const secrets = config.limits.tokens.map(({ secret }) => secret);
  const headers = handedOnHeaders(upstream.headers, secrets);
  log('gateway.claude.refused', { session: asker.session, path, status, requestId: headers.get('request-id') });
  const text = await readRefusal(upstream, secrets);
  for (const name of ['content-length', 'content-encoding']) headers.delete(name);
  const windows = readWindows(upstream.headers, Date.now());
  if (isRefusedToken(status, text)) {
    forgetToken(asker.session);
    const words = refusedTokenWords(config.claude.access.mode, config.limits.tokens.length > 1 ? token.name : null);
    if (await ask(way.account.tokenRefused(token.name, words), false)) return takenOver();
    // Trying again cannot help: the turn ends at once.
    headers.set('x-should-retry', 'false');
  }
  const settled = settle(passage, { use: null, refused: true, windows, isWhole: true });
  if (status === 429 && windows?.status === 'rejected') {
    forgetToken(asker.session);
    // Anyone who asks for room next must know of it.
    await settled;
    if (config.limits.tokens.length > 1) {
      const other = await ask<Grant | null>(way.account.choose(asker, null), null);
      if (other?.kind === 'token' && other.name !== token.name) return takenOver();
    }
  }
  return new Response(text, { status, statusText, headers });
}

/** The CLI repeats the request, which then goes out with another token. */
function takenOver(): Response {
  return refusal(503, 'api_error', 'Cyrus has switched to another Claude account; retry the request');
}

function unanswered(path: string, config: ClaudeConfig, error: unknown): Response {
  log(isTimeout(error) ? 'gateway.claude.silent' : 'gateway.claude.unreachable', { path, error: asError(error) });
  if (!isTimeout(error)) {
    return refusal(502, 'api_error', "Claude's API could not be reached from Cyrus's gateway; trying again may help");
  }
  const seconds = config.limits.answerMs / 1000;
  return refusal(504, 'timeout_error', `Claude's API did not answer within ${seconds} s; trying again may help`);
}

/** How a request ended. `isWhole`: nothing of it can have been used that `use` does not tell. */
interface Outcome {
  use: AnswerUse | null;
  refused: boolean;
  windows: Answered['windows'];
  isWhole: boolean;
}

/** Tells the account what became of a request, beside the answer. */
function settle(passage: ForwardedRequest, { isWhole, ...outcome }: Outcome): Promise<void> {
  const { asker, token, reservation, way, path, size } = passage;
  const isCounted = path === '/v1/messages' || outcome.windows !== null;
  if (!isCounted && reservation === null) return Promise.resolve();
  const unfinished = isWhole ? null : size;
  const told = ask(way.account.record({ asker, token: token.name, reservation, unfinished, ...outcome }), undefined);
  way.later(told);
  return told;
}

/** What the account says; what it would have said, if it does not answer. Never rejects. */
async function ask<T>(asked: Promise<T>, otherwise: T): Promise<T> {
  try {
    return await asked;
  } catch (error) {
    log('claude.account.unreachable', { error: asError(error) });
    return otherwise;
  }
}

/** Also when the one who fetches does not heed the signal. */
function inTime<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    work.then(resolve, reject);
  });
}

function claudeHeaders(
  from: Headers,
  mode: Config['claude']['access']['mode'],
  secret: string,
  hasBody: boolean,
): Headers {
  const headers = new Headers();
  for (const [name, value] of from) if (isTaken(name)) headers.append(name, value);
  // Read as JSON here, and by the API as nothing else: not compressed, not in another character set.
  if (hasBody) headers.set('content-type', 'application/json');
  // Streams of small events gain nothing from compression and would be held back by it.
  headers.set('accept-encoding', 'identity');
  for (const [name, value] of credentialHeaders(mode, secret, headers.get('anthropic-beta'))) headers.set(name, value);
  return headers;
}
