import { env } from 'cloudflare:workers';
import { Hono } from 'hono';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { Standing } from '../../src/gateway/openings.ts';
import { type Claims, mintToken } from '../../src/gateway/token.ts';
import type { CacheManifest } from '../../src/protocol/repository-cache.ts';
import { gatewayApp } from '../../src/routes/gateway.ts';
import { publishCacheEntry } from '../../src/store/repository-cache.ts';
import { AT_WORK, asTheSessionSays } from './support/standing.ts';

vi.spyOn(console, 'log').mockImplementation(() => {});

/** Where the session stands; null: as it says itself. */
let standing: Standing | null = null;
const app = new Hono<{ Bindings: Env }>().route(
  '/gateway',
  gatewayApp({ base: '/gateway', standing: async (...asked) => standing ?? asTheSessionSays(...asked) }),
);
const BASE = `base-${'1'.repeat(64)}`;
const SETUP = `setup-${'2'.repeat(64)}`;
const version = (digit: string) => digit.repeat(32);
let claims: Claims;
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
  standing = null;
  const name = `cache-${count}`;
  claims = {
    s: env.ISSUE_SESSION.idFromName(name).toString(),
    w: `workspace-${count}`,
    r: 'acme/shop',
    b: 'cyrus/eng-1',
    g: 1,
  };
  await begin(name);
});

/** @returns the id of a session whose first turn has begun */
async function begin(name: string): Promise<string> {
  const begun = env.ISSUE_SESSION.getByName(name);
  await begun.accept({
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
  return begun.id.toString();
}

describe('the cache of a repository', () => {
  it('gives back what counts, to every session of the repository and to no other', async () => {
    expect((await ask(`/${BASE}`)).status).toBe(404);
    expect((await putPart(BASE, version('a'), 0, 'one')).status).toBe(201);
    expect((await ask(`/${BASE}`)).status).toBe(404);
    expect((await publish(BASE, {})).status).toBe(201);
    const another = { s: await begin(`${claims.w}-another`), b: 'cyrus/eng-2' };
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
    standing = AT_WORK;
    await putPart(SETUP, version('a'), 0, 'one');
    expect((await publish(SETUP, {})).status).toBe(201);
    await putPart(SETUP, version('b'), 0, 'two');
    expect((await publish(SETUP, { version: version('b') })).status).toBe(409);
    expect(await (await ask(`/${SETUP}`)).json()).toMatchObject({ version: version('a') });
    expect(await keys()).toEqual([`${SETUP}.json`, `${SETUP}/${version('a')}/0`]);

    standing = { ...AT_WORK, isFresh: false };
    const other = `setup-${'3'.repeat(64)}`;
    expect((await putPart(other, version('c'), 0, 'bad')).status).toBe(403);
    expect((await publish(other, { version: version('c') })).status).toBe(403);
    standing = { ...AT_WORK, stage: 'rest' };
    expect((await putPart(other, version('c'), 0, 'bad')).status).toBe(403);
  });

  it('removes nothing for a sandbox', async () => {
    standing = AT_WORK;
    await putPart(SETUP, version('a'), 0, 'one');
    await publish(SETUP, {});
    expect((await ask(`/${SETUP}`, { method: 'DELETE' })).status).toBe(404);
    expect(await (await ask(`/${SETUP}`)).json()).toMatchObject({ version: version('a') });
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
