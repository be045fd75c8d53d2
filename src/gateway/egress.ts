/**
 * The way out of a container besides the gateway's own routes: what may pass is let through, what may not is answered in
 * words that Claude can act on.
 */
import { isConnectionHeader } from '../lib/connection-headers.ts';
import { messageOf } from '../lib/error.ts';
import { type Egress, type EgressDecision, explainBlocked, judge } from '../protocol/settings/egress.ts';
import { isAudit, MAX_AUDIT_BYTES } from '../protocol/settings/registries.ts';
import type { Fetch } from './forwarding.ts';
import { joined } from './git/push.ts';

/** What a container's outbound handler is given by the object that started it; the container cannot change it. */
export interface EgressRules {
  /** Id of the issue session. */
  session: string;
  /** Left out by earlier versions. */
  workspace?: string;
  /** `owner/name` */
  repository: string;
  egress: Egress;
}

/** What may be done where a container's session is not known: nothing. */
export const NOTHING_ALLOWED: EgressRules = {
  session: '',
  repository: 'the repository',
  egress: { preset: 'none', hosts: [] },
};

/** Judges a container's request to any host but the gateway. */
export function decide(request: Request, rules: EgressRules): EgressDecision {
  return judge(rules.egress, request.method, new URL(request.url));
}

/**
 * Answers a request of a container to any host but the gateway.
 * @param fetcher the way into the world
 * @returns the host's answer, redirects not followed: where they lead is judged when the container asks for it; or 403 with
 * words for Claude, or 502 where the host cannot be reached
 */
export async function forwardOut(request: Request, rules: EgressRules, fetcher: Fetch): Promise<Response> {
  const url = new URL(request.url);
  const { method } = request;
  const decision = decide(request, rules);
  if (decision !== 'allowed') {
    await request.body?.cancel();
    return textResponse(403, decision, explainBlocked(decision, { method, url }, rules));
  }
  try {
    const init: RequestInit = { headers: sentOnHeaders(request.headers), redirect: 'manual' };
    if (!isAudit(method, url)) return await fetcher(new Request(request, init));
    const body = await readUpTo(MAX_AUDIT_BYTES, request);
    if (body !== null) return await fetcher(new Request(url, { ...init, method, body }));
    const words = `Cyrus did not let the audit through: it has more than ${MAX_AUDIT_BYTES / 1024} kB.\n`;
    return textResponse(413, 'too-large', words);
  } catch (error) {
    const why = messageOf(error);
    return textResponse(
      502,
      'unreachable',
      `Cyrus could not reach ${url.hostname}, which is allowed: ${why}. Try again later.\n`,
    );
  }
}

/** A body, measured: what its header says is the client's word. @returns null if it is larger */
async function readUpTo(most: number, { body }: Request): Promise<Uint8Array<ArrayBuffer> | null> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for (const reader = body?.getReader(); reader; ) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.byteLength;
    pieces.push(value);
    if (size <= most) continue;
    await reader.cancel();
    return null;
  }
  return joined(pieces);
}

function textResponse(status: number, word: string, text: string): Response {
  return new Response(text, {
    status,
    headers: { 'content-type': 'text/plain; charset=utf-8', 'x-cyrus-egress': word },
  });
}

/** Without the headers of the connection, and without those by which Cloudflare's network speaks to a Worker. */
function sentOnHeaders(headers: Headers): Headers {
  const sent = new Headers();
  for (const [name, value] of headers) {
    if (!isConnectionHeader(name) && !name.startsWith('cf-')) sent.append(name, value);
  }
  return sent;
}
