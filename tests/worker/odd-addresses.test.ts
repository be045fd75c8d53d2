import { env } from 'cloudflare:workers';
import { describe, expect, it, vi } from 'vitest';
import worker from '../../src/index.ts';
import { spyOnLog } from '../support/log-spy.ts';

spyOnLog();
vi.spyOn(console, 'error').mockImplementation(() => {});
// No service is there to answer.
vi.spyOn(globalThis, 'fetch').mockRejectedValue(new TypeError('no network in this test'));

const ODD: [what: string, text: string][] = [
  ['very long', 'x'.repeat(3_000)],
  ['as long as an id, in hexadecimal', 'f'.repeat(64)],
  ['a NUL', '%00'],
  ['bytes that are no text', '%ff%fe'],
  ['a way upwards', '%2e%2e%2f'],
  ['a smiley', '%F0%9F%98%80'],
  ['a negative number', '-1'],
  ['a number beyond all', '99999999999999999999'],
  ['braces', '{}'],
  ['what every object has', '__proto__'],
  ['markup', "'%22%3C%3E"],
];
const PASSWORD = `Basic ${btoa(`people:${env.ACCESS_PASSWORD}`)}`;

/** Every route of the Worker once: method and path. */
function routes(): [method: string, path: string][] {
  const all = new Set(worker.routes.map(({ method, path }) => `${method} ${path}`));
  return [...all].map((route) => {
    const [method = '', path = ''] = route.split(' ');
    return [method === 'ALL' ? 'GET' : method, path];
  });
}

/** The path with each parameter, and the rest of the address where the route leaves it open, put in its place. */
function filled(path: string, value: string): string {
  return path.replaceAll(/:\w+(?:\{(?:[^{}]|\{[^}]*\})*\})?/g, value).replaceAll('*', value);
}

async function statusOf(method: string, path: string, query: string, authorization: string): Promise<number> {
  const context = { waitUntil: () => {}, passThroughOnException: () => {}, props: {} } as unknown as ExecutionContext;
  const init = { method, headers: { authorization, 'content-type': 'application/json' } };
  const body = method === 'GET' || method === 'HEAD' ? {} : { body: '{}' };
  const response = await worker.fetch(
    new Request(`https://localhost${path}${query}`, { ...init, ...body }),
    env,
    context,
  );
  await response.body?.cancel();
  return response.status;
}

describe('an address that names nothing', () => {
  it.each(ODD)(
    'is answered by saying so on every route, page and list, and is no error of Cyrus’s: %s',
    async (odd) => {
      const known = routes();
      expect(known.length).toBeGreaterThan(40);
      const failed: string[] = [];
      let looked = 0;
      for (const [method, path] of known) {
        for (const authorization of [PASSWORD, `Bearer ${env.ADMIN_TOKEN}`]) {
          for (const query of ['', `?after=${odd}&before=${odd}&limit=${odd}&name=${odd}&code=${odd}&state=${odd}`]) {
            const status = await statusOf(method, filled(path, odd), query, authorization);
            if ([400, 404].includes(status)) looked += 1;
            if (status >= 500) failed.push(`${method} ${path}${query.slice(0, 40)}: ${status}`);
          }
        }
      }
      expect(failed).toEqual([]);
      // Most were let in, and looked for what is not there.
      expect(looked).toBeGreaterThan(known.length);
    },
  );
});
