/** A backup of a deployment, and what it is worth: an empty deployment goes on from it. */
import { applyD1Migrations, createScheduledController, reset, runInDurableObject } from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import { expect, it, vi } from 'vitest';
import type { z } from 'zod';
import { type ArchiveApi, putArchive, type ReadEntry, takeArchive } from '../../dev/operate/archive.ts';
import worker from '../../src/index.ts';
import { openDatabase } from '../../src/store/database.ts';
import { putPatch } from '../../src/store/logs.ts';
import { findPullRequests, notePullRequest } from '../../src/store/pull-requests.ts';
import { indexSession, listSessions } from '../../src/store/session-index.ts';
import { findRepository, upsertRepository } from '../../src/store/workspaces/repositories.ts';
import { init, result, saved } from '../unit/support/session-play.ts';
import { created, newThread, ORGANIZATION, prompted, send } from './support/linear-webhook.ts';
import { Outside } from './support/outside.ts';
import { journal, page, Reporter, registerWorkspace, session } from './support/sessions.ts';

const db = openDatabase(env.DB, env.ENCRYPTION_KEY);

/** The admin API, as the commands ask it. */
const api: ArchiveApi = {
  async ask<Schema extends z.ZodType>(method: string, path: string, schema: Schema, body?: unknown) {
    const response = await fetchAdmin(path, { method, ...(body !== undefined && { body: JSON.stringify(body) }) });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return schema.parse(JSON.parse(text));
  },
  async read(path) {
    const response = await fetchAdmin(path, {});
    if (response.status === 404) return null;
    return new Uint8Array(await response.arrayBuffer());
  },
  async store(path, content) {
    const response = await fetchAdmin(path, { method: 'PUT', body: content });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  },
};

function fetchAdmin(path: string, init: RequestInit): Promise<Response> {
  const headers = { authorization: `Bearer ${env.ADMIN_TOKEN}`, 'content-type': 'application/json' };
  return exports.default.fetch(`http://cyrus.test/api/admin${path}`, { headers, ...init });
}

async function* entriesOf(archive: Map<string, Uint8Array>): AsyncGenerator<ReadEntry, void, undefined> {
  for (const [name, content] of archive) yield { name, content: async () => content };
}

const text = (archive: Map<string, Uint8Array>) =>
  [...archive.values()].map((bytes) => new TextDecoder().decode(bytes)).join('');

async function finished(outside: Outside) {
  const thread = newThread();
  await send(created(thread));
  await vi.waitFor(() => expect(outside.commands.some(({ type }) => type === 'prompt')).toBe(true));
  await new Reporter(thread).report(init, result('Done.', [thread.agentSessionId]), saved(1, 0));
  await vi.waitFor(async () => expect((await page(thread))?.session.phase).toBe('waiting'));
  const id = session(thread).id.toString();
  await vi.waitFor(async () => expect((await env.LOGS.list({ prefix: `logs/${id}/` })).objects).toHaveLength(2));
  const patch = new Blob(['diff of the cart']);
  await putPatch(env.LOGS, id, 'a'.repeat(40), patch.stream(), patch.size);
  outside.commands.length = 0;
  return { thread, id };
}

it('a backup is restored into an empty deployment, whose ids are others: sessions continue there, secrets can be read', async () => {
  const outside = new Outside();
  await registerWorkspace();
  const credential = { username: 'x-access-token', password: 'the-git-credential' };
  const repository = { cloneUrl: 'https://git.test/acme/shop.git', baseBranch: 'main', credential };
  const { thread, id } = await finished(outside);
  await upsertRepository(db, ORGANIZATION, 'acme/shop', repository, 1);
  const pull = { host: 'github.com', repositoryId: 1, workspaceId: ORGANIZATION, branch: 'cyrus/eng-7' };
  await notePullRequest(db, { ...pull, number: 12, sessionId: id }, 1);
  await notePullRequest(db, { ...pull, number: 13, sessionId: 'e'.repeat(64) }, 1);
  const entries = await journal(thread);
  const backup = new Map<string, Uint8Array>();
  const manifest = await takeArchive(
    api,
    { workspace: null, now: 1 },
    async (name, content) => void backup.set(name, content),
  );
  expect(manifest).toMatchObject({ workspace: null, sessions: { [id]: expect.stringContaining(ORGANIZATION) } });
  expect(text(backup)).not.toContain('the-git-credential');
  await expect(putArchive(api, () => entriesOf(backup))).rejects.toThrow('restore into an empty one');

  // As from a deployment in which the object of this name has another id.
  const other = 'f'.repeat(64);
  const foreign = new Map(
    [...backup].map(([name, content]) => {
      const moved = new TextDecoder().decode(content).replaceAll(id, other);
      const isText = !name.endsWith('.gz');
      return [name.replaceAll(id, other), isText ? new TextEncoder().encode(moved) : content] as const;
    }),
  );
  await reset();
  await applyD1Migrations(env.DB, env.TEST_MIGRATIONS);
  expect(await page(thread)).toBeNull();
  const broken = new Map([...foreign].filter(([name]) => !name.startsWith('objects/')));
  await expect(putArchive(api, () => entriesOf(broken))).rejects.toThrow('The archive is not whole');
  // The cron trigger comes in the middle of it.
  const watched: ArchiveApi = {
    ...api,
    store: async (path, content) => {
      await worker.scheduled(createScheduledController(), env);
      await api.store(path, content);
    },
    ask: async (...request) => {
      if (request[1] === '/archive/sessions') await worker.scheduled(createScheduledController(), env);
      return await api.ask(...request);
    },
  };
  expect(await putArchive(watched, () => entriesOf(foreign))).toEqual({ sessions: 1, lost: [] });

  expect(await journal(thread)).toEqual(entries);
  expect((await listSessions(db, { limit: 10 })).map((row) => row.id)).toEqual([id]);
  expect((await findRepository(db, ORGANIZATION, 'acme/shop'))?.credential).toEqual(credential);
  const noted = await findPullRequests(db, 'github.com', { repositoryId: 1, numbers: [12, 13], branches: [] });
  expect(noted).toEqual([{ sessionId: id, number: 12 }]);
  const keys = (await env.LOGS.list()).objects.map(({ key }) => key);
  expect(keys.toSorted()).toEqual([
    `logs/${id}/0001.jsonl.gz`,
    `logs/${id}/0001.md`,
    `patches/${id}/${'a'.repeat(40)}.patch`,
  ]);
  expect((await env.LOGS.head(`logs/${id}/0001.md`))?.httpMetadata?.contentType).toContain('text/markdown');
  await runInDurableObject(session(thread), (_, { storage }) => expect(storage.kv.get('restoring')).toBeUndefined());
  await send(prompted(thread, 'One more thing.'));
  await vi.waitFor(() => expect(outside.commands.map(({ type }) => type)).toContain('prompt'));
  expect((await page(thread))?.session.turn).toBe(2);
});

it('an export of one workspace has what is its own, nothing of others, and nothing that is encrypted', async () => {
  const outside = new Outside();
  await registerWorkspace();
  const { id } = await finished(outside);
  const row = {
    workspaceId: 'another',
    title: 'Secret of others',
    phase: 'waiting',
    reason: '',
    turn: 1,
    version: 3,
  } as const;
  await indexSession(db, { id: env.ISSUE_SESSION.newUniqueId().toString(), ...row, createdAt: 1, updatedAt: 1 });
  const exported = new Map<string, Uint8Array>();
  await takeArchive(
    api,
    { workspace: ORGANIZATION, now: 1 },
    async (name, content) => void exported.set(name, content),
  );
  const all = text(exported);
  expect([...exported.keys()].filter((name) => name.startsWith('objects/') && name.includes(id))).toHaveLength(3);
  expect(all).toContain('cart total');
  expect(all).not.toContain('Secret of others');
  for (const column of ['access_token', 'refresh_token', '"credential"', '"secret"', '"headers"'])
    expect(all).not.toContain(column);
  await expect(putArchive(api, () => entriesOf(exported))).rejects.toThrow('This is an export of one workspace');
  await expect(takeArchive(api, { workspace: 'nobody', now: 1 }, async () => {})).rejects.toThrow(
    'no workspace nobody',
  );
});

it('a session is not archived by an id that none of this deployment can have, which is said', async () => {
  for (const id of ['f'.repeat(64), 'nothing']) {
    expect((await fetchAdmin(`/archive/sessions/${id}`, {})).status).toBe(400);
  }
});
