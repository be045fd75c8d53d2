import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { Hono } from 'hono';
import { beforeEach, describe, expect, it } from 'vitest';
import { type Claims, mintToken } from '../../src/gateway/token.ts';
import type { CheckpointManifest } from '../../src/protocol/checkpoint.ts';
import { gatewayApp } from '../../src/routes/gateway/index.ts';
import { putCheckpointObject, removeObsoleteObjects } from '../../src/store/checkpoints.ts';
import { spyOnLog } from '../support/log-spy.ts';
import { AT_WORK, asTheSessionSays } from './support/standing.ts';

spyOnLog();

const config = { encryptionKey: env.ENCRYPTION_KEY };
const app = new Hono<{ Bindings: Env }>().route(
  '/gateway',
  gatewayApp({ base: '/gateway', standing: asTheSessionSays }),
);
let conversationId: string;
let claims: Claims;
let session: ReturnType<typeof env.ISSUE_SESSION.getByName>;
let sessions = 0;

/** Whatever the state of the session. */
const anyLife = new Hono<{ Bindings: Env }>().route(
  '/gateway',
  gatewayApp({ base: '/gateway', standing: async () => AT_WORK }),
);

async function ask(
  path: string,
  init: RequestInit<RequestInitCfProperties> = {},
  by: Partial<Claims> = {},
  through = app,
) {
  const headers = new Headers(init.headers);
  headers.set('authorization', `Bearer ${await mintToken(config, { ...claims, ...by })}`);
  return through.request(`http://cyrus.test/gateway/checkpoint${path}`, { ...init, headers }, env);
}

function put(name: string, content: string, by: Partial<Claims> = {}) {
  const headers = { 'content-length': String(new TextEncoder().encode(content).length) };
  return ask(`/${name}`, { method: 'PUT', headers, body: content }, by);
}

function count(manifest: unknown, by: Partial<Claims> = {}) {
  const headers = { 'content-type': 'application/json' };
  return ask('', { method: 'PUT', headers, body: JSON.stringify(manifest) }, by);
}

const sha = (letter: string) => letter.repeat(40);

function manifest(sequence: number, bundles: string[], more: Partial<CheckpointManifest> = {}): CheckpointManifest {
  return {
    version: 1,
    generation: 1,
    sequence,
    at: 1_000 + sequence,
    conversationId,
    repository: 'acme/shop',
    branch: 'cyrus/eng-1',
    eventSeq: 0,
    prompts: [],
    worktree: {
      commit: sha('a'),
      index: sha('b'),
      head: sha('c'),
      headRef: 'refs/heads/cyrus/eng-1',
      branchHead: sha('c'),
      bundles: bundles.map((name) => ({ name, bytes: 3, sha256: 'd'.repeat(64) })),
      skipped: [],
    },
    files: [],
    ...more,
  };
}

async function stored(): Promise<string[]> {
  const { objects } = await env.LOGS.list({ prefix: `checkpoints/${claims.s}/` });
  return objects.map(({ key }) => key.split(`${claims.s}/`)[1] ?? '').sort();
}

beforeEach(async () => {
  const name = `checkpoint-${++sessions}`;
  session = env.ISSUE_SESSION.getByName(name);
  const s = env.ISSUE_SESSION.idFromName(name).toString();
  claims = { s, w: 'workspace', r: 'acme/shop', b: 'cyrus/eng-1', g: 1 };
  await session.accept({
    deliveryId: name,
    contentKey: name,
    origin: 'http://cyrus.test',
    about: { workspaceId: 'workspace', issue: null, fallbackName: 'eng-1' },
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
  conversationId = await runInDurableObject(session, (_, state) => {
    const { json } = state.storage.sql.exec<{ json: string }>('SELECT json FROM state').one();
    return JSON.parse(json).conversationId;
  });
});

describe('a checkpoint', () => {
  it('counts from its manifest on, and what it makes pointless is removed', async () => {
    expect((await put('00000001-aaaaaaaa.bundle', 'one')).status).toBe(201);
    expect((await count(manifest(1, ['00000001-aaaaaaaa.bundle']))).status).toBe(201);
    await put('00000002-bbbbbbbb.bundle', 'two');
    expect((await count(manifest(2, ['00000002-bbbbbbbb.bundle']))).status).toBe(201);
    expect(await stored()).toEqual(['1/00000002-bbbbbbbb.bundle', 'manifest.json']);
    const got = await ask('/1/00000002-bbbbbbbb.bundle');
    expect(await got.text()).toBe('two');
    expect((await ask('/1/00000001-aaaaaaaa.bundle')).status).toBe(404);
  });

  it('of a later life leaves what earlier ones stored until that life has restored it or completed a turn', async () => {
    await put('00000001-aaaaaaaa.bundle', 'one');
    const first = manifest(1, ['00000001-aaaaaaaa.bundle']);
    expect((await count(first)).status).toBe(201);
    await putCheckpointObject(
      env.LOGS,
      claims.s,
      2,
      '00000001-bbbbbbbb.bundle',
      new Response('two').body as ReadableStream,
      3,
    );
    const second = manifest(1, ['00000001-bbbbbbbb.bundle'], { generation: 2 });
    await removeObsoleteObjects(env.LOGS, claims.s, second, first);
    expect(await stored()).toContain('1/00000001-aaaaaaaa.bundle');
    await removeObsoleteObjects(env.LOGS, claims.s, { ...second, sequence: 2, settled: true }, second);
    expect(await stored()).toEqual(['2/00000001-bbbbbbbb.bundle', 'manifest.json']);
  });

  it('that is repeated or late changes nothing, and its sender learns the number', async () => {
    await count(manifest(5, []));
    for (const sequence of [5, 4]) {
      const answer = await count(manifest(sequence, []));
      expect(answer.status).toBe(409);
      expect(await answer.json()).toMatchObject({ error: 'stale', sequence: 5 });
    }
  });

  it('of another life, conversation, repository or branch is refused', async () => {
    expect((await count(manifest(1, [], { generation: 2 }))).status).toBe(403);
    expect((await count(manifest(1, [], { repository: 'acme/other' }))).status).toBe(403);
    expect((await count(manifest(1, [], { branch: 'main' }))).status).toBe(403);
    const late = await count(manifest(1, [], { generation: 7 }), { g: 7 });
    expect(await late.json()).toMatchObject({ error: 'superseded' });
    const other = await count(manifest(1, [], { conversationId: crypto.randomUUID() }));
    expect(await other.json()).toMatchObject({ error: 'superseded' });
  });

  it('that comprises events which are not in the journal is refused', async () => {
    expect((await count(manifest(1, [], { eventSeq: 3 }))).status).toBe(409);
  });

  it('can be read by a later life of the session, and by no other session', async () => {
    await put('00000001-aaaaaaaa.part', 'one');
    expect(await (await ask('/1/00000001-aaaaaaaa.part', {}, { g: 2 }, anyLife)).text()).toBe('one');
    const another = env.ISSUE_SESSION.idFromName('another').toString();
    expect((await ask('/1/00000001-aaaaaaaa.part', {}, { s: another }, anyLife)).status).toBe(404);
    expect((await ask('/1/00000001-aaaaaaaa.part', {}, { s: another })).status).toBe(409);
  });

  it('takes no object of another name or without its length', async () => {
    for (const name of ['..%2F..%2Fturn-0001.md', 'x', '00000001-aaaaaaaa.exe']) {
      expect((await put(name, 'one')).status).toBe(400);
    }
    expect((await ask('/00000001-aaaaaaaa.part', { method: 'PUT', body: 'one' })).status).toBe(411);
    const headers = { 'content-length': String(1024 ** 3) };
    expect((await ask('/00000001-aaaaaaaa.part', { method: 'PUT', body: 'one', headers })).status).toBe(413);
  });

  it('with paths that lead elsewhere is refused', async () => {
    for (const path of ['../x', 'projects/../../x', 'settings.json', '/projects/x', 'projects/./x']) {
      const files = [{ path, bytes: 0, sha256: 'd'.repeat(64), parts: [] }];
      expect((await count(manifest(1, [], { files }))).status, path).toBe(400);
    }
  });
});
