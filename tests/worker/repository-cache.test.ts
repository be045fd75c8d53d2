import { env } from 'cloudflare:workers';
import { Hono } from 'hono';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { type Claims, mintToken } from '../../src/gateway/token.ts';
import type { CacheManifest } from '../../src/protocol/repository-cache.ts';
import { gatewayApp } from '../../src/routes/gateway.ts';
import { publishCacheEntry } from '../../src/store/repository-cache.ts';

vi.spyOn(console, 'log').mockImplementation(() => {});

const app = new Hono<{ Bindings: Env }>().route('/gateway', gatewayApp({ base: '/gateway' }));
const BASE = `base-${'1'.repeat(64)}`;
const SETUP = `setup-${'2'.repeat(64)}`;
const version = (digit: string) => digit.repeat(32);
let claims: Claims;
let session: ReturnType<typeof env.ISSUE_SESSION.getByName>;
let count = 0;

async function ask(path: string, init: RequestInit<RequestInitCfProperties> = {}, by: Partial<Claims> = {}) {
  const headers = new Headers(init.headers);
  headers.set(
    'authorization',
    `Bearer ${await mintToken({ encryptionKey: env.ENCRYPTION_KEY }, { ...claims, ...by })}`,
  );
  return app.request(`http://cyrus.test/gateway/cache${path}`, { ...init, headers }, env);
}

function putPart(entry: string, ofVersion: string, part: number, content: string, by: Partial<Claims> = {}) {
  const headers = { 'content-length': String(content.length) };
  return ask(`/${entry}/${ofVersion}/${part}`, { method: 'PUT', headers, body: content }, by);
}

function publish(entry: string, manifest: Partial<CacheManifest>, by: Partial<Claims> = {}) {
  const whole = {
    version: version('a'),
    commit: 'c'.repeat(40),
    bytes: 3,
    parts: 1,
    sha256: 'd'.repeat(64),
    ...manifest,
  };
  return ask(`/${entry}`, { method: 'PUT', body: JSON.stringify(whole) }, by);
}

async function keys(): Promise<string[]> {
  const { objects } = await env.LOGS.list({ prefix: `repositories/${claims.w}/` });
  return objects.map(({ key }) => key.split('/cache/')[1] ?? '').sort();
}

/** A session whose sandbox is being prepared: Claude was not started yet. */
beforeEach(async () => {
  count += 1;
  const name = `cache-${count}`;
  session = env.ISSUE_SESSION.getByName(name);
  claims = {
    s: env.ISSUE_SESSION.idFromName(name).toString(),
    w: `workspace-${count}`,
    r: 'acme/shop',
    b: 'cyrus/eng-1',
    g: 1,
  };
  await session.accept({
    deliveryId: name,
    contentKey: name,
    origin: 'http://cyrus.test',
    about: { workspaceId: claims.w, issue: null, fallbackName: 'eng-1' },
    event: {
      type: 'prompted',
      promptId: crypto.randomUUID(),
      agentSessionId: null,
      author: 'Ada',
      person: null,
      source: 'page',
      text: 'Do it.',
    },
    promptText: { first: 'Do it.', followUp: 'Do it.' },
  });
});

describe('the cache of a repository', () => {
  it('gives back what counts, to every session of the repository and to no other', async () => {
    expect((await ask(`/${BASE}`)).status).toBe(404);
    expect((await putPart(BASE, version('a'), 0, 'one')).status).toBe(201);
    expect((await ask(`/${BASE}`)).status).toBe(404);
    expect((await publish(BASE, {})).status).toBe(201);
    const another = { s: env.ISSUE_SESSION.idFromName('another').toString(), b: 'cyrus/eng-2' };
    expect(await (await ask(`/${BASE}`, {}, another)).json()).toMatchObject({ version: version('a'), bytes: 3 });
    expect(await (await ask(`/${BASE}/${version('a')}/0`, {}, another)).text()).toBe('one');
    for (const foreign of [{ r: 'acme/other' }, { w: 'workspace-of-others' }, { r: 'acme/shop/cache' }]) {
      expect((await ask(`/${BASE}`, {}, foreign)).status).toBe(404);
      expect((await ask(`/${BASE}/${version('a')}/0`, {}, foreign)).status).toBe(404);
    }
  });

  it('replaces a bundle as a whole, and removes the one before and what was never finished', async () => {
    await putPart(BASE, version('a'), 0, 'one');
    await publish(BASE, {});
    await putPart(BASE, version('e'), 0, 'never finished');
    await putPart(BASE, version('b'), 0, 'three');
    expect((await publish(BASE, { version: version('b'), bytes: 5 })).status).toBe(201);
    expect(await keys()).toEqual([`${BASE}.json`, `${BASE}/${version('b')}/0`]);
  });

  it('does not let an entry count whose parts are not all there', async () => {
    await putPart(BASE, version('a'), 0, 'one');
    expect((await publish(BASE, { bytes: 4 })).status).toBe(409);
    expect((await publish(BASE, { parts: 2 })).status).toBe(409);
    expect((await publish(BASE, { version: version('b') })).status).toBe(409);
    expect((await ask(`/${BASE}`)).status).toBe(404);
  });

  it('takes what a setup script made once, and only before Claude is started', async () => {
    const life = { g: await startedGeneration() };
    await putPart(SETUP, version('a'), 0, 'one', life);
    expect((await publish(SETUP, {}, life)).status).toBe(201);
    await putPart(SETUP, version('b'), 0, 'two', life);
    expect((await publish(SETUP, { version: version('b') }, life)).status).toBe(409);
    expect(await (await ask(`/${SETUP}`)).json()).toMatchObject({ version: version('a') });
    expect(await keys()).toEqual([`${SETUP}.json`, `${SETUP}/${version('a')}/0`]);

    await report(life.g, 'cli-started');
    const other = `setup-${'3'.repeat(64)}`;
    expect((await putPart(other, version('c'), 0, 'bad', life)).status).toBe(403);
    expect((await publish(other, { version: version('c') }, life)).status).toBe(403);
    expect((await ask(`/${SETUP}`, { method: 'DELETE' }, life)).status).toBe(403);
    expect((await putPart(other, version('c'), 0, 'bad', { g: life.g + 1 })).status).toBe(403);
  });

  it('keeps the ten newest results of setup scripts', async () => {
    const place = { workspaceId: claims.w, fullName: claims.r };
    const manifest = { version: version('a'), commit: 'c'.repeat(40), bytes: 3, parts: 1, sha256: 'd'.repeat(64) };
    for (let at = 0; at < 12; at += 1) {
      const entry = `setup-${at.toString(16).padStart(64, '0')}`;
      const key = `repositories/${claims.w}/acme%2Fshop/cache/${entry}/${version('a')}/0`;
      await env.LOGS.put(key, 'one');
      expect(await publishCacheEntry(env.LOGS, place, entry, manifest, at)).toBe('published');
    }
    expect((await keys()).filter((key) => key.endsWith('.json'))).toHaveLength(10);
    expect((await keys()).filter((key) => key.endsWith('/0'))).toHaveLength(10);
  });

  it('takes nothing from a session that only looks', async () => {
    for (const entry of [BASE, SETUP]) {
      expect((await putPart(entry, version('a'), 0, 'one', { ro: true })).status).toBe(403);
      expect((await publish(entry, {}, { ro: true })).status).toBe(403);
      expect((await ask(`/${entry}`, { method: 'DELETE' }, { ro: true })).status).toBe(403);
    }
    expect(await keys()).toEqual([]);
  });

  it('takes nothing of another name, without its length or too large', async () => {
    for (const name of ['x', 'base-1', '..%2F..%2Fsessions', `other-${'1'.repeat(64)}`]) {
      expect((await ask(`/${name}`)).status).toBe(400);
    }
    expect((await putPart(BASE, 'x', 0, 'one')).status).toBe(400);
    expect((await putPart(BASE, version('a'), 64, 'one')).status).toBe(400);
    expect((await ask(`/${BASE}/${version('a')}/0`, { method: 'PUT', body: 'one' })).status).toBe(411);
    const headers = { 'content-length': String(33 * 1024 * 1024) };
    expect((await ask(`/${BASE}/${version('a')}/0`, { method: 'PUT', body: 'one', headers })).status).toBe(413);
    expect(await keys()).toEqual([]);
  });
});

let bootId: string;
let streamId: string;

/** The generation that is being prepared, once its sandbox has said something. */
async function startedGeneration(): Promise<number> {
  bootId = crypto.randomUUID();
  streamId = crypto.randomUUID();
  for (const generation of [1, 2]) {
    const batch = { generation, bootId, streamId, events: [] };
    if ((await session.ingest(batch)).kind === 'stored') return generation;
  }
  throw new Error('no life of a sandbox was begun');
}

async function report(generation: number, type: 'cli-started'): Promise<void> {
  const event = { seq: 1, at: 1, type, pid: 1, resumed: false };
  const taken = await session.ingest({ generation, bootId, streamId, events: [event] });
  expect(taken).toMatchObject({ kind: 'stored', stored: 1 });
}
