/**
 * The requests this app makes of Cyrus's API. Each returns a value or a failure in words; none throws, except that an
 * aborted request rejects like `fetch` does.
 */
import type * as z from 'zod';
import { parseJson } from '../lib/parse-json.ts';
import {
  apiErrorSchema,
  type FoundEntries,
  foundEntriesSchema,
  type SessionList,
  sessionListSchema,
} from '../protocol/api.ts';
import { type EgressPage, egressPageSchema } from '../protocol/egress-log.ts';
import { type Me, meSchema } from '../protocol/people.ts';
import { type PullRequestStatus, pullRequestStatusSchema } from '../protocol/pull-request.ts';
import {
  type NewShareLink,
  newShareLinkSchema,
  SHARE_HEADER,
  type ShareLinks,
  shareLinksSchema,
} from '../protocol/share-links.ts';
import { shownData, shownText } from '../protocol/text/clean-text.ts';
import { PAGE_PROTOCOL } from '../protocol/version.ts';
import { type DecodedPage, decodePage } from './live/decode.ts';

const REQUEST_TIMEOUT_MS = 15_000;
/** Entries asked for at once: more than fill a screen, few enough to come in a moment. */
const PAGE_ENTRIES = 300;
const FIRST_PAGE_ENTRIES = 150;

/**
 * Why a request gave nothing. `missing`: there is no such thing; `refused`: the server said no, the same request will
 * not fare better; `unreachable`: the network, a server that is down or in trouble; trying again may help.
 */
export type Failure = { ok: false; kind: 'missing' | 'refused' | 'unreachable'; message: string };
export type Answer<T> =
  | { ok: true; value: T /** Server's clock minus this one's, ms; 0 if unknown. */; skew: number }
  | Failure;

export type Page = DecodedPage;

/** Secret of the share link that the page was opened with; null: by who signs in. */
let shareSecret: string | null = null;

/** From now on sessions are read by a share link, and nothing else can be done with them. */
export function openByShareLink(secret: string): void {
  shareSecret = secret;
}

/** `GET /api/sessions`. @param before `next` of the page before; left out: the newest */
export function fetchSessions(signal: AbortSignal, before?: string): Promise<Answer<SessionList>> {
  const query = before === undefined ? '' : `?before=${encodeURIComponent(before)}`;
  return request(`/api/sessions${query}`, { signal }, (body) => parsed(sessionListSchema.safeParse(body)));
}

/** `GET /api/sessions?limit=0`: names of the workspaces that have to install Cyrus again. */
export function fetchReinstallNeeded(signal: AbortSignal): Promise<Answer<string[]>> {
  return request('/api/sessions?limit=0', { signal }, (body) => {
    return parsed(sessionListSchema.safeParse(body))?.reinstallNeeded ?? null;
  });
}

/** `GET /api/sessions/:id?before=end`: the newest entries, and what the session does. */
export function fetchNewest(id: string, signal: AbortSignal): Promise<Answer<Page>> {
  return request(`${sessionPath(id)}?before=end&limit=${FIRST_PAGE_ENTRIES}`, { signal }, decodePage);
}

/** `GET /api/sessions/:id?before=N`: the entries right before a number. */
export function fetchBefore(id: string, before: number, signal: AbortSignal): Promise<Answer<Page>> {
  return request(`${sessionPath(id)}?before=${before}&limit=${PAGE_ENTRIES}`, { signal }, decodePage);
}

/** `GET /api/sessions/:id/pull-request`: what GitHub says of the pull request, a minute old at most. */
export function fetchPullRequest(id: string, signal: AbortSignal): Promise<Answer<PullRequestStatus>> {
  return request(`${sessionPath(id)}/pull-request`, { signal }, (body) =>
    parsed(pullRequestStatusSchema.safeParse(body)),
  );
}

/** `GET /api/sessions/:id/find`: entries with a text, newest first. @param before numbers below it alone */
export function fetchFound(
  id: string,
  { text, before }: { text: string; before?: number | undefined },
  signal: AbortSignal,
): Promise<Answer<FoundEntries>> {
  const query = new URLSearchParams({ text, ...(before !== undefined && { before: String(before) }) });
  return request(`${sessionPath(id)}/find?${query}`, { signal }, (body) => parsed(foundEntriesSchema.safeParse(body)));
}

/** `GET /api/sessions/:id`: the entries after a number, and what the session does. */
export function fetchAfter(id: string, after: number, signal: AbortSignal): Promise<Answer<Page>> {
  return request(`${sessionPath(id)}?after=${after}&limit=${PAGE_ENTRIES}`, { signal }, decodePage);
}

/** `GET /api/sessions/:id/patch`: the whole branch against its base, as git writes it. @throws the reason of `signal` if it is aborted */
export async function fetchPatch(id: string, signal: AbortSignal): Promise<Answer<string>> {
  const unreachable = { ok: false, kind: 'unreachable', message: 'The server cannot be reached.' } as const;
  const response = await fetch(`${sessionPath(id)}/patch`, { signal }).catch(() => null);
  signal.throwIfAborted();
  if (response === null) return unreachable;
  const text = await response.text().catch(() => null);
  signal.throwIfAborted();
  if (text === null) return unreachable;
  return response.ok ? { ok: true, value: text, skew: 0 } : failure(response, parseJson(text));
}

/** `GET /api/sessions/:id/egress`: the newest requests by which something left the sandbox. */
export function fetchEgress(id: string, signal: AbortSignal): Promise<Answer<EgressPage>> {
  return request(`${sessionPath(id)}/egress`, { signal }, (body) => parsed(egressPageSchema.safeParse(body)));
}

/** `POST /api/sessions/:id/prompts`. Repeating it with the same id prompts once. It answers no question, however late it comes. */
export function postPrompt(id: string, prompt: { id: string; text: string }): Promise<Answer<true>> {
  return request(`${sessionPath(id)}/prompts`, posted({ ...prompt, answers: null }), () => true as const);
}

/**
 * `POST /api/sessions/:id/prompts` with the question that it answers. `options`: ids of the chosen ones; none: `text` is the answer.
 * @throws the reason of `signal` where it is aborted
 */
export function postAnswer(
  id: string,
  { question, options, ...prompt }: { id: string; question: string; options: string[]; text: string },
  signal: AbortSignal,
): Promise<Answer<true>> {
  const body = { ...prompt, answers: { question, options } };
  return request(`${sessionPath(id)}/prompts`, { ...posted(body), signal }, () => true as const);
}

/** `POST /api/sessions/:id/stop`. Repeating it with the same id stops once. `ageMs`: how long ago it was asked for. */
export function postStop(id: string, stop: { id: string; ageMs?: number }): Promise<Answer<true>> {
  return request(`${sessionPath(id)}/stop`, posted(stop), () => true as const);
}

/** `GET /api/sessions/:id/share-links`: the addresses by which anyone may look at the session. */
export function fetchShareLinks(id: string, signal: AbortSignal): Promise<Answer<ShareLinks>> {
  return request(`${sessionPath(id)}/share-links`, { signal }, (body) => parsed(shareLinksSchema.safeParse(body)));
}

/** `POST /api/sessions/:id/share-links`: makes one; its secret is told this once. @param days for which it is good */
export function postShareLink(id: string, days: number): Promise<Answer<NewShareLink>> {
  return request(`${sessionPath(id)}/share-links`, posted({ days }), (body) =>
    parsed(newShareLinkSchema.safeParse(body)),
  );
}

/** `DELETE /api/sessions/:id/share-links/:link`: ends one. */
export function deleteShareLink(id: string, link: string): Promise<Answer<true>> {
  const path = `${sessionPath(id)}/share-links/${encodeURIComponent(link)}`;
  return request(path, { method: 'DELETE' }, () => true as const);
}

/** `GET /api/me`: who is signed in. */
export function fetchMe(signal: AbortSignal): Promise<Answer<Me>> {
  return request('/api/me', { signal }, (body) => parsed(meSchema.safeParse(body)));
}

/** `POST /api/me/sign-out`. @param everywhere in every browser of this person */
export function postSignOut(everywhere: boolean): Promise<Answer<true>> {
  return request('/api/me/sign-out', posted({ everywhere }), () => true as const);
}

/** Address of the live socket, sending what comes after a number. */
export function liveUrl(id: string, after: number): string {
  const url = new URL(`${sessionPath(id)}/live?after=${after}&protocol=${PAGE_PROTOCOL}`, location.href);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return url.href;
}

/** Path of the session's API; `/patch` and `/log` under it are downloads. */
export function sessionPath(id: string): string {
  return `/api/${shareSecret === null ? 'sessions' : 'share-links'}/${encodeURIComponent(id)}`;
}

/** A change, as JSON. */
export function posted(body: unknown): RequestInit {
  return { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
}

/** What a schema read, in characters that people can see; null: it does not fit. */
export function parsed<T>(result: z.ZodSafeParseResult<T>): T | null {
  return result.success ? shownData(result.data) : null;
}

/**
 * Makes a request. @param read makes a value of the body; null: it does not fit
 * @throws the reason of the signal in `init` if it is aborted
 */
export async function request<T>(
  path: string,
  init: RequestInit,
  read: (body: unknown) => T | null,
): Promise<Answer<T>> {
  const timeout = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
  const signal = init.signal ? AbortSignal.any([init.signal, timeout]) : timeout;
  const began = Date.now();
  let response: Response;
  let body: unknown;
  try {
    const proof: Record<string, string> = shareSecret === null ? {} : { [SHARE_HEADER]: shareSecret };
    response = await fetch(path, {
      ...init,
      signal,
      headers: { accept: 'application/json', ...proof, ...init.headers },
    });
    const text = await response.text();
    body = parseJson(text);
  } catch (error) {
    if (init.signal?.aborted) throw error;
    return { ok: false, kind: 'unreachable', message: 'The server cannot be reached.' };
  }
  if (!response.ok) return failure(response, body);
  const value = read(body);
  if (value === null) {
    const message = 'The server answered something this page does not understand. Reload the page.';
    return { ok: false, kind: 'unreachable', message };
  }
  return { ok: true, value, skew: clockSkew(response, began) };
}

function failure(response: Response, body: unknown): Failure {
  const told = apiErrorSchema.safeParse(body);
  const message = told.success ? shownText(told.data.message) : `The server answered ${response.status}.`;
  if (response.status === 404) return { ok: false, kind: 'missing', message };
  if (response.status === 401) {
    return { ok: false, kind: 'refused', message: 'You are no longer signed in. Reload the page to sign in.' };
  }
  const mayPass = response.status >= 500 || response.status === 408 || response.status === 429;
  return { ok: false, kind: mayPass ? 'unreachable' : 'refused', message };
}

/** The `Date` header has whole seconds: a smaller difference is none. */
function clockSkew(response: Response, began: number): number {
  const server = Date.parse(response.headers.get('date') ?? '');
  if (Number.isNaN(server)) return 0;
  const skew = server + 500 - (began + Date.now()) / 2;
  return Math.abs(skew) < 2_000 ? 0 : Math.round(skew);
}
