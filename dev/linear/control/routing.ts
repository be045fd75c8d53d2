/**
 * How the control API answers. JSON in and out; an error is `{ "error": "what is wrong" }` with a fitting status. It has no
 * password: it only answers on this machine, to requests that a foreign web page cannot make.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { z } from 'zod';
import { isLoopback } from '../../../src/lib/loopback.ts';
import { readBody, sendJson, TooLargeError } from '../http.ts';
import { RefusedError } from '../refused.ts';

const LARGEST_BODY_BYTES = 5 * 1024 * 1024;

export interface Call {
  /** What was where the path has a `:name`, in order. */
  path: string[];
  query: Record<string, string>;
  body: unknown;
}
export type Route = [method: string, path: RegExp, act: (call: Call) => unknown];

/** Answers a request with what the route that fits it returns; nothing becomes `{}`. */
export async function answerControl(
  routes: readonly Route[],
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
): Promise<void> {
  if (!isFromThisMachine(request)) {
    sendJson(response, 403, { error: 'the control API answers only to localhost, and to JSON' });
    return;
  }
  try {
    sendJson(response, 200, await act(routes, request, url));
  } catch (error) {
    const { status, message } = explain(error);
    sendJson(response, status, { error: message });
  }
}

/**
 * A page of another site can send requests here, but not under one of these host names (which defeats DNS rebinding) and
 * not with this content type (which would need a preflight that nobody answers).
 */
export function isFromThisMachine(request: IncomingMessage): boolean {
  const host = (request.headers.host ?? '').replace(/:\d+$/, '');
  if (!isLoopback(host)) return false;
  return request.method === 'GET' || (request.headers['content-type'] ?? '').startsWith('application/json');
}

async function act(routes: readonly Route[], request: IncomingMessage, url: URL): Promise<object> {
  const known = routes.filter(([, path]) => path.test(url.pathname));
  const route = known.find(([method]) => method === request.method);
  if (!route) {
    const methods = known.map(([method]) => method).join(', ');
    throw new RefusedError(404, `no ${request.method} ${url.pathname}${methods && `; there is ${methods}`}`);
  }
  const [, path, answer] = route;
  const text = (await readBody(request, LARGEST_BODY_BYTES)).toString();
  const result = await answer({
    path: (path.exec(url.pathname) ?? []).slice(1).map(decodeURIComponent),
    query: Object.fromEntries(url.searchParams),
    body: text === '' ? {} : parseJson(text),
  });
  return (result ?? {}) as object;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new RefusedError(400, 'the body is not JSON');
  }
}

function explain(error: unknown): { status: number; message: string } {
  if (error instanceof RefusedError) return { status: error.status, message: error.message };
  if (error instanceof z.ZodError) return { status: 400, message: z.prettifyError(error) };
  if (error instanceof TooLargeError) return { status: 413, message: error.message };
  console.error('the Linear simulator failed', error);
  return { status: 500, message: 'the simulator failed; see its log' };
}
