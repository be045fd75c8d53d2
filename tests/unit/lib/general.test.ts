import { expect, it } from 'vitest';
import { backoff, fullBackoff } from '../../../src/lib/backoff.ts';
import { Mutex } from '../../../src/lib/concurrency.ts';
import { isConnectionHeader, namedByConnection } from '../../../src/lib/connection-headers.ts';
import { messageOf } from '../../../src/lib/error.ts';
import { hmac, isHmac } from '../../../src/lib/hmac.ts';
import { isLoopback } from '../../../src/lib/loopback.ts';
import { parseJson } from '../../../src/lib/parse-json.ts';

it.each(['localhost', 'page.localhost', '127.0.0.1', '127.255.0.9', '[::1]', '::1'])(
  'the address %s means this machine alone',
  (host) => {
    expect(isLoopback(host)).toBe(true);
  },
);

it.each([
  '127.attacker.example',
  '127.0.0.1.attacker.example',
  'localhost.attacker.example',
  'notlocalhost',
  '0.0.0.0',
  '',
])('the address %j does not mean this machine, no matter who answers to that name', (host) => {
  expect(isLoopback(host)).toBe(false);
});

it('a retry waits twice as long after each failure up to the maximum, and half of a wait is random', () => {
  const policy = { initialMs: 100, coefficient: 2, maximumMs: 1_000 };
  expect([1, 2, 3, 4, 5, 5_000].map((attempts) => fullBackoff(policy, attempts))).toEqual([
    100, 200, 400, 800, 1_000, 1_000,
  ]);
  expect(backoff(policy, 3, 0)).toBe(200);
  expect(backoff(policy, 3, 0.5)).toBe(300);
});

it('a text counts as signed with its own signature alone', async () => {
  const algorithm = { name: 'HMAC', hash: 'SHA-256' };
  const key = await crypto.subtle.importKey('raw', new Uint8Array(32).fill(7), algorithm, false, ['sign', 'verify']);
  const signature = await hmac(key, 'text');
  expect(await isHmac(key, 'text', signature)).toBe(true);
  expect(await isHmac(key, 'another text', signature)).toBe(false);
  for (const forged of ['', 'no base64url!', `${signature}=`, signature.slice(1)]) {
    expect(await isHmac(key, 'text', forged), forged).toBe(false);
  }
});

it('a proxy hands no header of a connection on, however it is written, nor one that the message names as such', () => {
  expect(isConnectionHeader('Transfer-Encoding')).toBe(true);
  expect(isConnectionHeader('content-type')).toBe(false);
  expect([...namedByConnection('close, X-Own')]).toEqual(['close', 'x-own']);
  expect(namedByConnection(null).has('x-own')).toBe(false);
});

it('what was thrown is said in words, whatever it was', () => {
  expect(messageOf(new Error('broken'))).toBe('broken');
  expect(messageOf('broken')).toBe('broken');
  expect(messageOf(undefined)).toBe('undefined');
});

it('the mutex runs tasks one after the other in the order in which they were given, past one that fails', async () => {
  const mutex = new Mutex();
  const done: string[] = [];
  const slow = mutex.run(async () => {
    await Promise.resolve();
    done.push('first');
  });
  const failing = mutex.run(() => Promise.reject(new Error('broken')));
  const last = mutex.run(async () => done.push('last'));
  await expect(failing).rejects.toThrow('broken');
  await Promise.all([slow, last]);
  expect(done).toEqual(['first', 'last']);
});

it('a JSON text that is nested so deeply that walking through it fails is taken for none', () => {
  const nested = (depth: number) => `${'[{"a":'.repeat(depth / 2)}"x"${'}]'.repeat(depth / 2)}`;
  expect(JSON.stringify(parseJson(nested(500)))).toBe(nested(500));
  expect(parseJson(nested(502))).toBeUndefined();
  expect(parseJson(nested(200_000))).toBeUndefined();
  // Many side by side are not deep.
  const wide = JSON.stringify(Array.from({ length: 50_000 }, () => ({ a: [1] })));
  expect(parseJson(wide)).toHaveLength(50_000);
  expect(parseJson('{')).toBeUndefined();
});
