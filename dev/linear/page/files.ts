/** The files of the page, read once. */
import { readFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';

const FILES = {
  'index.html': 'text/html; charset=utf-8',
  'page.css': 'text/css; charset=utf-8',
  'page.js': 'text/javascript; charset=utf-8',
  'thread.js': 'text/javascript; charset=utf-8',
  'markdown.js': 'text/javascript; charset=utf-8',
} as const;

/** Issues and comments are other people's text; nothing in them may run or load anything. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const cache = new Map<string, Buffer>();

/** Answers with a file of the page. @returns false when there is none of that name */
export function sendPageFile(response: ServerResponse, name: string): boolean {
  const type = FILES[name as keyof typeof FILES];
  if (type === undefined) return false;
  let bytes = cache.get(name);
  if (!bytes) {
    bytes = readFileSync(join(import.meta.dirname, name));
    cache.set(name, bytes);
  }
  response.writeHead(200, {
    'content-type': type,
    'content-security-policy': POLICY,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-cache',
  });
  response.end(bytes);
  return true;
}
