import { env } from 'cloudflare:workers';
import { Hono } from 'hono';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Standing } from '../../src/gateway/openings.ts';
import { type Claims, mintToken } from '../../src/gateway/token.ts';
import { sha256 } from '../../src/lib/hex.ts';
import type { CacheManifest } from '../../src/protocol/repository-cache.ts';
import { gatewayApp } from '../../src/routes/gateway/index.ts';
import { openDatabase } from '../../src/store/database.ts';
import { identityOf, publishCacheEntry } from '../../src/store/repository-cache.ts';
import { upsertRepository } from '../../src/store/workspaces/repositories.ts';
import { upsertWorkspace } from '../../src/store/workspaces/workspaces.ts';
import { spyOnLog } from '../support/log-spy.ts';
import { AT_WORK } from './support/standing.ts';

spyOnLog();

/** The state of the session. */
let standing: Standing;
const app = new Hono<{ Bindings: Env }>().route(
  '/gateway',
  gatewayApp({
    base: '/gateway',
    standing: async () => standing,
    fetcher: async (request) => host(await request.text()),
  }),
);
const CLONE_URL = 'https://git.test/acme/shop.git';
const TIP = 'c'.repeat(40);
const db = openDatabase(env.DB, env.ENCRYPTION_KEY);
/** What the git host answers; by default that the base branch is at `TIP`. */
let host: (asked: string) => Response;
let BASE: string;
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
    commit: TIP,
    bytes: 3,
    parts: 1,
    sha256: 'd'.repeat(64),
    ...manifest,
  };
  return ask(`/${entry}`, { method: 'PUT', body: JSON.stringify(whole) }, by);
}

async function keys(): Promise<string[]> {
  const { objects } = await env.LOGS.list({ prefix: `repositories/${claims.w}/` });
  return objects.map(({ key }) => key.split(`/cache/${claims.i}/`)[1] ?? '').sort();
}

beforeEach(async () => {
  count += 1;
  standing = AT_WORK;
  const name = `cache-${count}`;
  claims = {
    s: env.ISSUE_SESSION.idFromName(name).toString(),
    w: `workspace-${count}`,
    r: 'acme/shop',
    b: 'cyrus/eng-1',
    g: 1,
    i: await identityOf(`workspace-${count}`, CLONE_URL),
  };
  BASE = `base-${await sha256(`${claims.i}\0main`)}`;
  host = (asked) => new Response(asked.includes('ls-refs') ? `003d${TIP} refs/heads/main\n0000` : '');
  const workspace = { name: 'Acme', urlKey: 'acme', appUserId: 'app', accessToken: 'lin_oauth_test' };
  await upsertWorkspace(db, claims.w, workspace, 1);
  await upsertRepository(db, claims.w, claims.r, { cloneUrl: CLONE_URL, baseBranch: 'main' }, 1);
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

  it('takes what a setup script made, and a bundle, only of a commit that the git host has on the base branch', async () => {
    for (const entry of [SETUP, BASE]) {
      await putPart(entry, version('a'), 0, 'one');
      const refused = await publish(entry, { commit: 'e'.repeat(40) });
      expect([refused.status, await refused.json()]).toMatchObject([403, { error: 'unknown_commit' }]);
      expect((await ask(`/${entry}`)).status).toBe(404);
    }
    // Also while the host cannot be asked.
    host = () => new Response('away', { status: 503 });
    expect((await publish(SETUP, {})).status).toBe(403);
  });

  it('takes nothing of a session that starts from another branch, and no bundle under another branch’s name', async () => {
    await putPart(BASE, version('a'), 0, 'one');
    await putPart(SETUP, version('a'), 0, 'one');
    for (const baseBranch of ['release', null]) {
      standing = { ...AT_WORK, baseBranch };
      for (const entry of [SETUP, BASE]) expect((await publish(entry, {})).status, entry).toBe(403);
    }
    standing = AT_WORK;
    const foreign = `base-${await sha256(`${claims.i}\0release`)}`;
    await putPart(foreign, version('a'), 0, 'one');
    expect((await publish(foreign, {})).status).toBe(403);
  });

  it('gives nothing of a repository to another one that was given its name', async () => {
    await putPart(SETUP, version('a'), 0, 'one');
    expect((await publish(SETUP, {})).status).toBe(201);
    const moved = await identityOf(claims.w, 'https://elsewhere.test/acme/shop.git');
    expect((await ask(`/${SETUP}`, {}, { i: moved })).status).toBe(404);
    expect((await ask(`/${SETUP}/${version('a')}/0`, {}, { i: moved })).status).toBe(404);
    expect((await ask(`/${SETUP}`, {}, { i: undefined })).status).toBe(404);
  });

  it('has what a setup script made a week ago made again', async () => {
    const place = { workspaceId: claims.w, fullName: claims.r, identity: claims.i ?? '' };
    await putPart(SETUP, version('a'), 0, 'one');
    const manifest = { version: version('a'), commit: TIP, bytes: 3, parts: 1, sha256: 'd'.repeat(64) };
    await publishCacheEntry(env.LOGS, place, SETUP, manifest, Date.now() - 8 * 24 * 3_600_000);
    expect((await ask(`/${SETUP}`)).status).toBe(404);
    await putPart(SETUP, version('b'), 0, 'two');
    expect((await publish(SETUP, { version: version('b') })).status).toBe(201);
    expect(await (await ask(`/${SETUP}`)).json()).toMatchObject({ version: version('b') });
  });

  it('removes nothing for a sandbox', async () => {
    standing = AT_WORK;
    await putPart(SETUP, version('a'), 0, 'one');
    await publish(SETUP, {});
    expect((await ask(`/${SETUP}`, { method: 'DELETE' })).status).toBe(404);
    expect(await (await ask(`/${SETUP}`)).json()).toMatchObject({ version: version('a') });
  });

  it('keeps the ten newest results of setup scripts', async () => {
    const place = { workspaceId: claims.w, fullName: claims.r, identity: claims.i ?? '' };
    const manifest = { version: version('a'), commit: 'c'.repeat(40), bytes: 3, parts: 1, sha256: 'd'.repeat(64) };
    for (let at = 0; at < 12; at += 1) {
      const entry = `setup-${at.toString(16).padStart(64, '0')}`;
      const key = `repositories/${claims.w}/acme%2Fshop/cache/${claims.i}/${entry}/${version('a')}/0`;
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
