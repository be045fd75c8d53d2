/**
 * The admin API on a port of this machine, for commands that are run as processes. Routes and database code are the real
 * ones; D1 is SQLite in memory with the project's own migrations, and the objects of workspaces are stand-ins.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { text } from 'node:stream/consumers';
import { Hono } from 'hono';
import { PROJECT } from '../../../dev/settings.ts';

export const ADMIN_TOKEN = 'admin-token-of-the-test-0123456789';

export interface AdminHost {
  url: string;
  /** What was asked of it, oldest first. */
  asked: { method: string; path: string; body: unknown }[];
  addWorkspace(id: string, name: string): void;
  /** How many repositories a workspace has. */
  countRepositories(workspaceId: string): number;
  close(): Promise<void>;
}

export async function startAdminHost(): Promise<AdminHost> {
  // Loaded by its path: its types are those of a Worker, and not known here.
  const path = join(PROJECT, 'src/routes/admin/index.ts');
  const { admin }: { admin: Hono } = await import(path);
  const app = new Hono().route('/api/admin', admin);
  const sqlite = migratedDatabase();
  const bindings = { ...variables(), DB: asD1(sqlite), LINEAR_WORKSPACE: { getByName: () => quietWorkspace } };
  const asked: AdminHost['asked'] = [];
  const server = createServer(async (incoming, outgoing) => {
    const { method = 'GET', url = '/', headers } = incoming;
    const body = await text(incoming);
    asked.push({ method, path: url, body: body === '' ? null : JSON.parse(body) });
    const authorization = headers.authorization ?? '';
    const request = { method, headers: { authorization }, ...(body === '' ? {} : { body }) };
    const response = await app.fetch(new Request(`http://localhost${url}`, request), bindings);
    outgoing.writeHead(response.status, Object.fromEntries(response.headers));
    outgoing.end(await response.text());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  const insert = sqlite.prepare(
    `INSERT INTO workspaces (id, name, url_key, app_user_id, access_token, status, created_at, updated_at)
     VALUES (?, ?, ?, 'app-1', '', 'active', 1, 1)`,
  );
  const count = sqlite.prepare('SELECT id FROM repositories WHERE workspace_id = ?');
  return {
    url: `http://127.0.0.1:${address.port}`,
    asked,
    addWorkspace: (id, name) => void insert.run(id, name, name.toLowerCase()),
    countRepositories: (id) => count.all(id).length,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

/** wrangler.toml's variables, with secrets beside them. */
function variables(): Record<string, string> {
  const [, section = ''] =
    /^\[vars\]\n([\s\S]*?)\n\n/m.exec(readFileSync(join(PROJECT, 'wrangler.toml'), 'utf8')) ?? [];
  const lines = [...section.matchAll(/^(\w+) = "([^"]*)"/gm)].map(([, name = '', value = '']) => [name, value]);
  return {
    ...Object.fromEntries(lines),
    ENVIRONMENT: 'local',
    ADMIN_TOKEN,
    ENCRYPTION_KEY: Buffer.from('0123456789abcdef0123456789abcdef').toString('base64'),
    ACCESS_PASSWORD: 'password-of-the-test',
    LINEAR_WEBHOOK_SECRET: 'lin_wh_secret-of-the-test',
    CLAUDE_CODE_OAUTH_TOKEN: 'token-of-the-test',
  };
}

const quietWorkspace = {
  allowance: () => null,
  ignoredWebhooks: () => ({ since: 1_795_392_000_000, total: 3, kinds: { 'Issue.create': 3 } }),
};

function migratedDatabase(): DatabaseSync {
  const sqlite = new DatabaseSync(':memory:');
  const folder = join(PROJECT, 'migrations');
  for (const file of readdirSync(folder)
    .filter((name) => name.endsWith('.sql'))
    .toSorted()) {
    sqlite.exec(readFileSync(join(folder, file), 'utf8'));
  }
  return sqlite;
}

/** As much of D1 as drizzle uses of it. */
function asD1(sqlite: DatabaseSync): object {
  const prepare = (query: string, parameters: SQLInputValue[] = []): object => {
    const statement = sqlite.prepare(query);
    const rows = () => statement.all(...parameters);
    return {
      bind: (...bound: SQLInputValue[]) => prepare(query, bound),
      all: async () => ({ success: true, results: rows(), meta: {} }),
      run: async () => ({ success: true, results: rows(), meta: {} }),
      raw: async () => {
        statement.setReturnArrays(true);
        return rows();
      },
    };
  };
  return { prepare };
}
