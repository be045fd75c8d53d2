/** The little HTTP the simulator needs around node:http. */
import type { IncomingMessage, ServerResponse } from 'node:http';

/** The request is too large to be read. */
export class TooLargeError extends Error {
  override readonly name = 'TooLargeError';
}

/**
 * Reads a body.
 * @throws TooLargeError beyond `limit` bytes
 */
export async function readBody(request: IncomingMessage, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > limit) throw new TooLargeError(`the body has more than ${limit} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

const LARGEST_FORM_BYTES = 64 * 1024;

/** Reads a form. @returns null when the body says it is something else. @throws TooLargeError beyond 64 KB */
export async function readForm(request: IncomingMessage): Promise<URLSearchParams | null> {
  const body = await readBody(request, LARGEST_FORM_BYTES);
  const type = (request.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase();
  return type === 'application/x-www-form-urlencoded' ? new URLSearchParams(body.toString()) : null;
}

/** @returns the token of the Authorization header, or null */
export function bearerToken(request: IncomingMessage): string | null {
  const { authorization } = request.headers;
  return authorization?.startsWith('Bearer ') ? authorization.slice('Bearer '.length) : null;
}

/** Answers with JSON. */
export function sendJson(
  response: ServerResponse,
  status: number,
  body: object,
  headers: Record<string, string> = {},
): void {
  const bytes = Buffer.from(JSON.stringify(body));
  const own = { 'content-type': 'application/json; charset=utf-8', 'content-length': bytes.length };
  response.writeHead(status, { ...headers, ...own }).end(bytes);
}

/** Answers with plain text. */
export function sendText(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(text);
}
