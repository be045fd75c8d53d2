/**
 * The way to MCP servers over streamable HTTP (modelcontextprotocol.io, "Transports"): the sandbox speaks to the gateway, which
 * adds the credential. The answer is streamed; a request is read whole, and rewritten from what was understood.
 */
import { asError } from '../lib/error.ts';
import { parseJson } from '../lib/parse-json.ts';
import { withTimeout } from '../lib/timeout.ts';
import { log } from '../observability/log.ts';
import { type Fetch, readRefusal, streamedRequest } from './forwarding.ts';
import { type McpMessage, readMcpMessages } from './mcp-message.ts';

/** Largest request, in bytes. */
const MAX_BYTES = 4 * 1024 * 1024;
/** Longest wait for an answer to begin: a server that does not stream answers when its tool is done. */
const ANSWER_TIMEOUT_MS = 300_000;
/** Later versions of the protocol repeat method and name in headers, for servers that route by them. */
const ROUTING_HEADERS = ['mcp-method', 'mcp-name'];
/** Most of what a server said that is repeated, in characters. */
const MAX_WORDS = 500;

/** A server as a request is sent to it. */
export interface McpTarget {
  name: string;
  url: string;
  /** With the credential; secret. */
  headers: Record<string, string>;
  /** Whether a tool may be called; null: all may. */
  mayCall: ((tool: string) => boolean) | null;
  /** What becomes of each text that a tool is given, where it is shown to people; null: it stays as it is. */
  shown: ((text: string) => string) | null;
}

/**
 * Forwards a request of the protocol.
 * @param request of the sandbox; of its headers only the protocol's own are taken over
 * @param fetcher the way to the server
 * @returns the server's answer as it streams; or a refusal in words. A stream that the server begins by itself (GET) is not
 * offered, which the protocol allows: it would be open as long as Claude's process lives
 */
export async function forwardToMcp(request: Request, target: McpTarget, fetcher: Fetch): Promise<Response> {
  const { name } = target;
  if (request.method !== 'POST' && request.method !== 'DELETE') {
    return refuse(405, 'method', `the MCP server ${name} takes POST`, { allow: 'POST, DELETE' });
  }
  let body: string | null = null;
  if (request.method === 'POST') {
    const read = await readMessage(request, target);
    if (read instanceof Response) return read;
    body = read;
  }
  const headers = new Headers(target.headers);
  for (const [header, value] of request.headers) if (isOfProtocol(header)) headers.set(header, value);
  // What was read and written here is UTF-8, whatever was said of it.
  if (body !== null) headers.set('content-type', 'application/json');
  let answer: Response;
  try {
    answer = await withTimeout(ANSWER_TIMEOUT_MS, (signal) =>
      fetcher(
        streamedRequest(target.url, request.method, headers, body === null ? null : new Blob([body]).stream(), signal),
      ),
    );
  } catch (error) {
    log('gateway.mcp.unreachable', { server: name, error: asError(error) });
    return refuse(
      502,
      'unreachable',
      `the MCP server ${name} could not be reached, or closed the connection; try again later`,
    );
  }
  if (answer.ok) {
    const kept = [...answer.headers].filter(([header]) => isOfProtocol(header) || header === 'cache-control');
    return new Response(answer.body, { status: answer.status, headers: kept });
  }
  const secrets = Object.values(target.headers).flatMap((value) => [value, value.replace(/^\S+ +/, '')]);
  return refusalOf(answer, (await readRefusal(answer, secrets)).trim().slice(0, MAX_WORDS), name);
}

const PROTOCOL_HEADERS = [
  'accept',
  'content-type',
  'last-event-id',
  'mcp-session-id',
  'mcp-protocol-version',
  ...ROUTING_HEADERS,
];

/** Headers that belong to the protocol and hold no credential. */
function isOfProtocol(header: string): boolean {
  return PROTOCOL_HEADERS.includes(header) || header.startsWith('mcp-param-');
}

/** The request's text as it is sent on, or why it is not. */
async function readMessage(request: Request, { name, mayCall, shown }: McpTarget): Promise<string | Response> {
  const type = (request.headers.get('content-type') ?? '').split(';')[0]?.trim();
  if (type !== 'application/json') return refuse(415, 'type', `the MCP server ${name} takes application/json`);
  let text: string | null;
  try {
    text = await readText(request);
  } catch {
    return refuse(400, 'broken', 'the request was cut off, or refused on its way');
  }
  if (text === null) return refuse(413, 'too_large', `a request to an MCP server has at most ${MAX_BYTES} bytes`);
  const parsed = parseJson(text);
  if (parsed === undefined) return refuse(400, 'malformed', 'the request is not JSON, or is nested too deeply');
  const messages = readMcpMessages(parsed, shown ?? undefined);
  if ('code' in messages) return refuseMessage(messages.id, messages.code, messages.message);
  for (const { id, method, about } of messages) {
    if (method !== 'tools/call' || mayCall === null || mayCall(about ?? '')) continue;
    const words = `the tool ${(about ?? '').slice(0, 200)} of the MCP server ${name} is not allowed in this repository`;
    return refuseMessage(id, -32602, words);
  }
  const [first] = messages;
  const isOther = first === undefined || messages.length > 1 ? hasRoutingHeader(request) : !agrees(request, first);
  if (isOther) return refuse(400, 'malformed', 'the headers of the request name something other than its message');
  const values = messages.map(({ value }) => value);
  return JSON.stringify(Array.isArray(parsed) ? values : values[0]);
}

function hasRoutingHeader({ headers }: Request): boolean {
  return ROUTING_HEADERS.some((name) => headers.has(name));
}

/** Whether what the headers say, where they say it, is what the message says. */
function agrees({ headers }: Request, { method, about }: McpMessage): boolean {
  const [saidMethod, saidName] = ROUTING_HEADERS.map((name) => headers.get(name));
  const isSame = (said: string | null | undefined, meant: string | null) => said == null || said === meant;
  return isSame(saidMethod, method) && (isSame(saidName, about) || plainOf(saidName ?? '') === about);
}

/** A name that a header cannot hold comes as `=?base64?…?=`. */
function plainOf(said: string): string | null {
  const encoded = /^=\?base64\?([A-Za-z0-9+/=]*)\?=$/i.exec(said)?.[1];
  if (encoded === undefined) return null;
  try {
    return new TextDecoder().decode(Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0)));
  } catch {
    return null;
  }
}

/** An answer of the protocol's own: a client takes it for the server's, and goes on without what it asked for. */
function refuseMessage(id: string | number | null, code: number, message: string): Response {
  return Response.json({ jsonrpc: '2.0', id, error: { code, message: `Cyrus: ${message}` } });
}

async function readText(request: Request): Promise<string | null> {
  const decoder = new TextDecoder();
  let text = '';
  let size = 0;
  for (const reader = request.body?.getReader(); reader; ) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.byteLength;
    if (size > MAX_BYTES) {
      await reader.cancel();
      return null;
    }
    text += decoder.decode(value, { stream: true });
  }
  return text + decoder.decode();
}

function refusalOf({ status, headers }: Response, said: string, name: string): Response {
  const isText = /^(text\/plain|application\/json)/.test(headers.get('content-type') ?? '');
  const words = said !== '' && isText ? `: ${said}` : '';
  log('gateway.mcp.refused', { server: name, status });
  if (status >= 300 && status < 400) {
    return refuse(502, 'moved', `the MCP server ${name} redirects to another address, which Cyrus does not follow`);
  }
  // A 401 handed on would make Claude's CLI look for a way to log in.
  if (status === 401 || status === 403) {
    const message = `the MCP server ${name} does not accept the credential that is stored for it: ask a Cyrus admin to store it again${words}`;
    return refuse(502, 'credential', message);
  }
  const retryAfter = headers.get('retry-after');
  return refuse(status, 'refused', `the MCP server ${name} answered ${status}${words}`, {
    ...(retryAfter !== null && { 'retry-after': retryAfter }),
  });
}

function refuse(status: number, error: string, message: string, headers: Record<string, string> = {}): Response {
  return Response.json({ error, message: `Cyrus: ${message}` }, { status, headers });
}
