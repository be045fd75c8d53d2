/**
 * The way to MCP servers over streamable HTTP (modelcontextprotocol.io, "Transports"): the sandbox speaks to the gateway, which
 * adds the credential. The answer is streamed; a request is read whole, to see which tools it calls.
 */

import { asError } from '../lib/error.ts';
import { parseJson } from '../lib/parse-json.ts';
import { withTimeLimit } from '../lib/timeout.ts';
import { log } from '../observability/log.ts';
import { type Fetch, readRefusal, streamedRequest } from './forwarding.ts';

/** Largest request, in bytes. */
const MAX_BYTES = 4 * 1024 * 1024;
/** Longest wait for an answer to begin: a server that does not stream answers when its tool is done. */
const ANSWER_TIMEOUT_MS = 300_000;
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
    return refuse(405, 'method', `the MCP server ${name} is asked by POST`, { allow: 'POST, DELETE' });
  }
  let body: string | null = null;
  if (request.method === 'POST') {
    const read = await readMessage(request, target);
    if (read instanceof Response) return read;
    body = read;
  }
  const headers = new Headers(target.headers);
  for (const [header, value] of request.headers) if (isOfProtocol(header)) headers.set(header, value);
  let answer: Response;
  try {
    answer = await withTimeLimit(ANSWER_TIMEOUT_MS, (signal) =>
      fetcher(
        streamedRequest(target.url, request.method, headers, body === null ? null : new Blob([body]).stream(), signal),
      ),
    );
  } catch (error) {
    log('gateway.mcp.unreachable', { server: name, error: asError(error) });
    return refuse(502, 'unreachable', `the MCP server ${name} could not be reached, or broke off; try again later`);
  }
  if (answer.ok) {
    const kept = [...answer.headers].filter(([header]) => isOfProtocol(header) || header === 'cache-control');
    return new Response(answer.body, { status: answer.status, headers: kept });
  }
  const secrets = Object.values(target.headers).flatMap((value) => [value, value.replace(/^\S+ +/, '')]);
  return refusalOf(answer, (await readRefusal(answer, secrets)).trim().slice(0, MAX_WORDS), name);
}

/** Headers that belong to the protocol and hold no credential. */
function isOfProtocol(header: string): boolean {
  return header.startsWith('mcp-') || ['accept', 'content-type', 'last-event-id'].includes(header);
}

/** The request's text as it is sent on, or why it is not. */
async function readMessage(request: Request, { name, mayCall }: McpTarget): Promise<string | Response> {
  const type = (request.headers.get('content-type') ?? '').split(';')[0]?.trim();
  if (type !== 'application/json') return refuse(415, 'type', `the MCP server ${name} takes application/json`);
  let text: string | null;
  try {
    text = await readText(request);
  } catch {
    return refuse(400, 'broken', 'the request broke off, or was refused on its way');
  }
  if (text === null) return refuse(413, 'too_large', `a request to an MCP server has at most ${MAX_BYTES} bytes`);
  const message = parseJson(text);
  if (message === undefined) return refuse(400, 'malformed', 'the request is not JSON');
  if (mayCall === null) return text;
  const refused = (Array.isArray(message) ? message : [message]).flatMap(calledTool).find((tool) => !mayCall(tool));
  if (refused !== undefined) {
    const words = `Cyrus: the tool ${refused.slice(0, 200)} of the MCP server ${name} is not among those that are allowed in this repository`;
    const error = { code: -32602, message: words };
    return Response.json({ jsonrpc: '2.0', id: idOf(message), error });
  }
  // As it was understood here: of a name that is written twice another reader might take the other one.
  return JSON.stringify(message);
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

/** The tool that a message calls; empty where it calls none. What is called without a name has the name ''. */
function calledTool(message: unknown): string[] {
  if (!isObject(message) || message.method !== 'tools/call') return [];
  const name = isObject(message.params) ? message.params.name : undefined;
  return [typeof name === 'string' ? name : ''];
}

function idOf(message: unknown): string | number | null {
  const id = isObject(message) ? message.id : null;
  return typeof id === 'string' || typeof id === 'number' ? id : null;
}

function refusalOf({ status, headers }: Response, said: string, name: string): Response {
  const isText = /^(text\/plain|application\/json)/.test(headers.get('content-type') ?? '');
  const words = said !== '' && isText ? `: ${said}` : '';
  log('gateway.mcp.refused', { server: name, status });
  if (status >= 300 && status < 400) {
    return refuse(502, 'moved', `the MCP server ${name} sends on to another address, which is not followed`);
  }
  // A 401 handed on would make Claude's CLI look for a way to log in.
  if (status === 401 || status === 403) {
    const message = `the MCP server ${name} does not accept the credential that is stored for it: have an admin of Cyrus store it again${words}`;
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

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
