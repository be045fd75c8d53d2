/** Programs that act for people by a token. */
import { expect } from 'vitest';
import worker from '../../../src/index.ts';
import type { NewToken, TokenScope } from '../../../src/protocol/people.ts';
import type { Browser } from './browser.ts';
import { bindingsOf, SECURE_ORIGIN } from './people.ts';

export interface Said {
  status: number;
  headers: Headers;
  text: string;
  json: unknown;
  webSocket: WebSocket | null;
}

/** A token that a person makes in their browser. */
export async function tokenOf(browser: Browser, scope: TokenScope, more: object = {}): Promise<NewToken> {
  const body = JSON.stringify({ name: `For ${scope}`, scope, ...more });
  const headers = { 'content-type': 'application/json', origin: SECURE_ORIGIN };
  const { status, text } = await browser.open('/api/me/tokens', { method: 'POST', body, headers });
  expect(status, text).toBe(201);
  return JSON.parse(text);
}

export class Program {
  readonly #token: string;
  readonly #bindings: Env;

  constructor(token: string, bindings = bindingsOf()) {
    this.#token = token;
    this.#bindings = bindings;
  }

  /** @param path below /api/v1. @param body is sent as JSON, a text as it is */
  async ask(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Said> {
    const response = await worker.request(
      `${SECURE_ORIGIN}/api/v1${path}`,
      {
        method,
        headers: {
          authorization: `Bearer ${this.#token}`,
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      },
      this.#bindings,
      { waitUntil: () => {}, passThroughOnException: () => {}, props: {} },
    );
    const { status, webSocket } = response;
    const text = webSocket ? '' : await response.text();
    const isJson = /json/.test(response.headers.get('content-type') ?? '');
    return { status, headers: response.headers, text, json: isJson ? JSON.parse(text) : null, webSocket };
  }
}
