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

  /** Opens a stream of events. @returns the events of the next pieces, until they are so many; then it leaves */
  async stream(
    path: string,
    most: number,
    headers: Record<string, string> = {},
  ): Promise<{ id?: string; event: string; data: unknown }[]> {
    const response = await worker.request(
      `${SECURE_ORIGIN}/api/v1${path}`,
      { headers: { authorization: `Bearer ${this.#token}`, ...headers } },
      this.#bindings,
      { waitUntil: () => {}, passThroughOnException: () => {}, props: {} },
    );
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/event-stream']);
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    const events = () =>
      text
        .split('\n\n')
        .slice(0, -1)
        .flatMap((event) => {
          const fields = Object.fromEntries(event.split('\n').map((line) => line.split(/: (.*)/s).slice(0, 2)));
          return fields.data ? [{ ...fields, data: JSON.parse(fields.data) }] : [];
        });
    while (reader && events().length < most) {
      const { value, done } = await reader.read();
      if (done) break;
      text += value;
    }
    await reader?.cancel();
    return events();
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
