/** The files of the page, read once. */
import { readFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';

const HTML = 'text/html; charset=utf-8';
const CSS = 'text/css; charset=utf-8';
const JAVASCRIPT = 'text/javascript; charset=utf-8';

const FILES: Record<string, { type: string; at: URL }> = {
  'index.html': { type: HTML, at: new URL('./index.html', import.meta.url) },
  'base.css': { type: CSS, at: new URL('./base.css', import.meta.url) },
  'page.css': { type: CSS, at: new URL('./page.css', import.meta.url) },
  'form.css': { type: CSS, at: new URL('./form.css', import.meta.url) },
  'thread.css': { type: CSS, at: new URL('./thread.css', import.meta.url) },
  'page.js': { type: JAVASCRIPT, at: new URL('./page.js', import.meta.url) },
  'thread.js': { type: JAVASCRIPT, at: new URL('./thread.js', import.meta.url) },
  'control-client.js': { type: JAVASCRIPT, at: new URL('./control-client.js', import.meta.url) },
  'workspace.js': { type: JAVASCRIPT, at: new URL('./workspace.js', import.meta.url) },
  'markdown.js': { type: JAVASCRIPT, at: new URL('./markdown.js', import.meta.url) },
};

/** Issues and comments are other people's text; nothing in them may run or load anything. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const cache = new Map<string, Buffer>();

/** Answers with a file of the page. @returns false if there is none of that name */
export function sendPageFile(response: ServerResponse, name: string): boolean {
  const file = Object.hasOwn(FILES, name) ? FILES[name] : undefined;
  if (!file) return false;
  let bytes = cache.get(name);
  if (!bytes) {
    bytes = readFileSync(file.at);
    cache.set(name, bytes);
  }
  response.writeHead(200, {
    'content-type': file.type,
    'content-security-policy': POLICY,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-cache',
  });
  response.end(bytes);
  return true;
}
