import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { DatabaseError, NotMigratedError, openDatabase } from '../../src/store/database.ts';
import { DecryptionError } from '../../src/store/encryption.ts';
import { deleteSessionObjects, LogKeyError } from '../../src/store/keeping/session-objects.ts';
import {
  getPatch,
  getTurnLog,
  getTurnMarkdown,
  MAX_PATCH_BYTES,
  PatchSizeError,
  putPatch,
  putTurnLog,
} from '../../src/store/logs.ts';
import { type IndexedSession, indexSession, listSessions } from '../../src/store/session-index.ts';
import { readTokens } from '../../src/store/workspaces/installations.ts';
import {
  deleteRepository,
  findRepository,
  listRepositories,
  upsertRepository,
} from '../../src/store/workspaces/repositories.ts';
import { findWorkspace, listWorkspaces, upsertWorkspace } from '../../src/store/workspaces/workspaces.ts';

const db = openDatabase(env.DB, env.ENCRYPTION_KEY);
const acme = { name: 'Acme', urlKey: 'acme', appUserId: 'app-1', accessToken: 'lin_oauth_of_acme' };
const shop = { cloneUrl: 'https://git.example/acme/shop.git', baseBranch: 'main' };
const credential = { username: 'cyrus', password: 'git-password-of-acme' };

describe('workspaces', () => {
  it('are found and listed without their tokens; those are read for the workspace’s object alone', async () => {
    await upsertWorkspace(db, 'w1', acme, 1_000);
    const { accessToken, ...shown } = acme;
    const times = { createdAt: 1_000, updatedAt: 1_000, installedAt: 1_000 };
    expect(await findWorkspace(db, 'w1')).toMatchObject({ id: 'w1', ...shown, ...times, status: 'active' });
    for (const seen of [await findWorkspace(db, 'w1'), await listWorkspaces(db)]) {
      expect(JSON.stringify(seen)).not.toMatch(/lin_oauth|v1\./);
    }
    expect(await readTokens(db, 'w1')).toMatchObject({ accessToken, refreshToken: null, expiresAt: null });
    expect(await findWorkspace(db, 'w2')).toBeNull();
    expect(await readTokens(db, 'w2')).toBeNull();
  });

  it('are replaced, and keep the time they were created', async () => {
    await upsertWorkspace(db, 'w1', { ...acme, name: 'Acme Inc', accessToken: 'lin_oauth_new' }, 2_000);
    expect(await findWorkspace(db, 'w1')).toMatchObject({ name: 'Acme Inc', createdAt: 1_000, updatedAt: 2_000 });
    expect(await readTokens(db, 'w1')).toMatchObject({ accessToken: 'lin_oauth_new' });
  });

  it("hold the token encrypted, and it cannot be moved to another workspace's row", async () => {
    await upsertWorkspace(db, 'w3', acme, 1);
    const row = await env.DB.prepare('select access_token from workspaces where id = ?').bind('w3').first();
    expect(row?.access_token).toMatch(/^v1\./);
    await upsertWorkspace(db, 'w4', { ...acme, accessToken: 'lin_oauth_of_w4' }, 1);
    await env.DB.prepare('update workspaces set access_token = ? where id = ?').bind(row?.access_token, 'w4').run();
    await expect(readTokens(db, 'w4')).rejects.toThrow(DecryptionError);
  });
});

describe('repositories', () => {
  it('are found with their credential, and listed without', async () => {
    await upsertWorkspace(db, 'r1', acme, 1);
    await upsertRepository(db, 'r1', 'acme/shop', { ...shop, credential }, 1_000);
    await upsertRepository(db, 'r1', 'acme/docs', { ...shop, baseBranch: 'trunk' }, 1_000);
    expect(await findRepository(db, 'r1', 'acme/shop')).toMatchObject({ ...shop, credential, hasCredential: true });
    expect(await findRepository(db, 'r1', 'acme/docs')).toMatchObject({ credential: null, hasCredential: false });
    const listed = await listRepositories(db, 'r1');
    expect(listed.map(({ fullName, hasCredential }) => [fullName, hasCredential])).toEqual([
      ['acme/docs', false],
      ['acme/shop', true],
    ]);
    expect(JSON.stringify(listed)).not.toMatch(/git-password|v1\./);
  });

  it('belong to their workspace', async () => {
    await upsertWorkspace(db, 'r2', acme, 1);
    expect(await findRepository(db, 'r2', 'acme/shop')).toBeNull();
    expect(await listRepositories(db, 'r2')).toEqual([]);
    await expect(upsertRepository(db, 'no-such-workspace', 'acme/shop', shop, 1)).rejects.toThrow(DatabaseError);
  });

  it('keep their id when they are replaced, and lose a credential that is not given again', async () => {
    const before = await findRepository(db, 'r1', 'acme/shop');
    await upsertRepository(db, 'r1', 'acme/shop', { ...shop, cloneUrl: 'https://other.example/shop.git' }, 2_000);
    const after = await findRepository(db, 'r1', 'acme/shop');
    expect(after).toMatchObject({ id: before?.id, createdAt: 1_000, updatedAt: 2_000, credential: null });
  });

  it('a repository is deleted once: a second deletion finds nothing', async () => {
    expect(await deleteRepository(db, 'r1', 'acme/docs')).toBe(true);
    expect(await deleteRepository(db, 'r1', 'acme/docs')).toBe(false);
  });

  it('hostile names are data, not SQL', async () => {
    const name = `x'); drop table repositories; --`;
    expect(await findRepository(db, name, name)).toBeNull();
    expect(await listRepositories(db, 'r1')).toHaveLength(1);
  });
});

describe('the index of sessions', () => {
  const session: IndexedSession = {
    id: 'a'.repeat(64),
    workspaceId: 's1',
    issueIdentifier: 'ENG-1',
    title: 'Mend the cart',
    url: 'https://linear.app/acme/issue/ENG-1',
    repositoryFullName: 'acme/shop',
    branch: 'cyrus/eng-1',
    phase: 'starting',
    reason: 'Cloning acme/shop',
    lastOutcome: null,
    turn: 1,
    version: 5,
    createdAt: 1_000,
    updatedAt: 1_000,
  };

  it('takes a newer row and ignores late and repeated ones', async () => {
    await indexSession(db, session);
    await indexSession(db, { ...session, version: 7, phase: 'working', updatedAt: 3_000 });
    await indexSession(db, { ...session, version: 6, phase: 'starting', updatedAt: 2_000 });
    await indexSession(db, { ...session, version: 7, phase: 'stopping', updatedAt: 4_000 });
    const [row] = await listSessions(db, { limit: 10, workspaceId: 's1' });
    expect(row).toEqual({
      id: session.id,
      identifier: 'ENG-1',
      title: 'Mend the cart',
      url: 'https://linear.app/acme/issue/ENG-1',
      repository: 'acme/shop',
      phase: 'working',
      reason: 'Cloning acme/shop',
      lastOutcome: null,
      turn: 1,
      createdAt: 1_000,
      updatedAt: 3_000,
      workspaceId: 's1',
      teamId: null,
      pullRequest: null,
    });
  });

  it('lists the last changed first, and page by page without losing or repeating one, also among equal times', async () => {
    for (let i = 0; i < 25; i++) {
      const id = i.toString(16).padStart(64, '0');
      await indexSession(db, { ...session, id, workspaceId: 's2', updatedAt: 10_000 + Math.floor(i / 10) });
    }
    const seen: string[] = [];
    let before: { updatedAt: number; id: string } | undefined;
    for (;;) {
      const page = await listSessions(db, { limit: 4, before, workspaceId: 's2' });
      if (page.length === 0) break;
      seen.push(...page.map((row) => row.id));
      before = page.at(-1);
    }
    expect(seen).toHaveLength(25);
    expect(new Set(seen).size).toBe(25);
    expect(seen).toEqual([...seen].sort().reverse());
    expect((await listSessions(db, { limit: 100 })).length).toBeGreaterThan(25);
  });

  it('is read by its indexes', async () => {
    const plan = async (sql: string) => {
      const { results } = await env.DB.prepare(`explain query plan ${sql}`).all<{ detail: string }>();
      return results.map((row) => row.detail).join('; ');
    };
    const order = 'order by updated_at desc, id desc limit 10';
    expect(await plan(`select * from sessions ${order}`)).toBe('SCAN sessions USING INDEX sessions_updated');
    expect(await plan(`select * from sessions where workspace_id = 'x' ${order}`)).toContain(
      'USING INDEX sessions_workspace_updated',
    );
    const cursor = "(updated_at, id) < (5, 'x')";
    expect(await plan(`select * from sessions where ${cursor} ${order}`)).toMatch(
      /^SEARCH sessions USING INDEX sessions_updated \(/,
    );
    expect(await plan("select id from sessions where workspace_id = 'x' and phase <> 'waiting'")).toMatch(
      /^SEARCH sessions USING (?:COVERING )?INDEX sessions_running \(workspace_id=\?\)/,
    );
  });
});

describe('a database in trouble', () => {
  it('without tables says what to do', async () => {
    await env.DB.batch(
      ['sessions', 'repositories', 'workspaces'].map((table) =>
        env.DB.prepare(`alter table ${table} rename to gone_${table}`),
      ),
    );
    try {
      for (const use of [
        () => findWorkspace(db, 'x'),
        () => listWorkspaces(db),
        () => listRepositories(db, 'x'),
        () => listSessions(db, { limit: 1 }),
        () => upsertWorkspace(db, 'x', acme, 1),
      ]) {
        const error = await use().then(
          () => null,
          (thrown: unknown) => thrown,
        );
        expect(error).toBeInstanceOf(NotMigratedError);
        expect(String(error)).toContain('npm run deploy');
        expect(String(error)).toContain('wrangler d1 migrations apply DB');
      }
    } finally {
      await env.DB.batch(
        ['workspaces', 'repositories', 'sessions'].map((table) =>
          env.DB.prepare(`alter table gone_${table} rename to ${table}`),
        ),
      );
    }
  });

  it('does not quote what was to be stored', async () => {
    const error = await upsertRepository(db, 'no-such-workspace', 'acme/shop', { ...shop, credential }, 1).then(
      () => null,
      (thrown: unknown) => thrown as Error,
    );
    expect(error).toBeInstanceOf(DatabaseError);
    expect(`${error?.message} ${error?.stack} ${String(error?.cause)}`).not.toMatch(/git\.example|v1\.|git-password/);
  });
});

describe('logs and patches', () => {
  const id = 'b'.repeat(64);
  const head = 'c'.repeat(40);

  it('a turn is kept as compressed JSON lines and as Markdown', async () => {
    const entries = Array.from({ length: 5_000 }, (_, index) => ({
      seq: index + 1,
      kind: 'text',
      text: `línea ${index} 🔧`,
    }));
    await putTurnLog(env.LOGS, id, 1, entries, '# Turn 1\n');
    const lines = (await new Response(await getTurnLog(env.LOGS, id, 1)).text()).split('\n');
    expect(lines.pop()).toBe('');
    expect(lines.map((line) => JSON.parse(line))).toEqual(entries);
    expect(await new Response(await getTurnMarkdown(env.LOGS, id, 1)).text()).toBe('# Turn 1\n');
    const { objects } = await env.LOGS.list({ prefix: `logs/${id}/` });
    expect(objects.map((object) => object.key)).toEqual([`logs/${id}/0001.jsonl.gz`, `logs/${id}/0001.md`]);
    expect(objects[0]?.size).toBeLessThan(JSON.stringify(entries).length / 4);
  });

  it('a turn without entries, and one that was never stored', async () => {
    await putTurnLog(env.LOGS, id, 2, [], '');
    expect(await new Response(await getTurnLog(env.LOGS, id, 2)).text()).toBe('');
    expect(await new Response(await getTurnMarkdown(env.LOGS, id, 2)).text()).toBe('');
    expect(await getTurnLog(env.LOGS, id, 3)).toBeNull();
    expect(await getTurnMarkdown(env.LOGS, id, 3)).toBeNull();
    expect(await getPatch(env.LOGS, id, head)).toBeNull();
  });

  it('entries are taken one by one, not gathered', async () => {
    let taken = 0;
    function* entries() {
      for (; taken < 200_000; taken++) yield { seq: taken, text: 'x'.repeat(200) };
    }
    await putTurnLog(env.LOGS, id, 4, entries(), '');
    expect(taken).toBe(200_000);
  });

  it('what an earlier version stored, by session first, is read, and deleted with the session', async () => {
    const old = 'e'.repeat(64);
    await env.LOGS.put(`sessions/${old}/turn-0001.md`, '# Turn 1\n');
    await env.LOGS.put(`sessions/${old}/patch/${head}.patch`, 'diff');
    expect(await new Response(await getTurnMarkdown(env.LOGS, old, 1)).text()).toBe('# Turn 1\n');
    expect(await new Response((await getPatch(env.LOGS, old, head))?.body).text()).toBe('diff');
    expect(await deleteSessionObjects(env.LOGS, old)).toBe(2);
    expect(await getTurnMarkdown(env.LOGS, old, 1)).toBeNull();
    expect((await env.LOGS.list({ prefix: `sessions/${old}/` })).objects).toEqual([]);
  });

  it('keys are made of ids, turns and commits only', async () => {
    const text = () => new Blob(['x']).stream();
    await expect(putTurnLog(env.LOGS, '../x', 1, [], '')).rejects.toThrow(LogKeyError);
    await expect(putTurnLog(env.LOGS, id, -1, [], '')).rejects.toThrow(LogKeyError);
    await expect(putTurnLog(env.LOGS, id, 1.5, [], '')).rejects.toThrow(LogKeyError);
    for (const odd of ['', 'x'.repeat(40), `${head}/../x`, 'C'.repeat(40), 'c'.repeat(39), 'c'.repeat(65)]) {
      await expect(putPatch(env.LOGS, id, odd, text(), 1), odd).rejects.toThrow(LogKeyError);
    }
  });

  it('a patch over the limit, or of no size, is not stored', async () => {
    const text = () => new Blob(['x']).stream();
    await expect(putPatch(env.LOGS, id, head, text(), MAX_PATCH_BYTES + 1)).rejects.toThrow(PatchSizeError);
    await expect(putPatch(env.LOGS, id, head, text(), Number.NaN)).rejects.toThrow(PatchSizeError);
    expect(await getPatch(env.LOGS, id, head)).toBeNull();
  });

  it('a patch that is not as long as announced is not stored', async () => {
    await expect(putPatch(env.LOGS, id, head, new Blob(['short']).stream(), 100)).rejects.toThrow();
    await expect(putPatch(env.LOGS, id, head, new Blob(['much too long']).stream(), 3)).rejects.toThrow();
    expect(await getPatch(env.LOGS, id, head)).toBeNull();
  });
});
