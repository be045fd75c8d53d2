import { env, exports } from 'cloudflare:workers';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { sha256 } from '../../src/lib/hex.ts';
import { egressPageSchema } from '../../src/protocol/egress-log.ts';
import { mcpServerInputSchema } from '../../src/protocol/settings/mcp.ts';
import { openDatabase } from '../../src/store/database.ts';
import { getPatch } from '../../src/store/logs.ts';
import { putSandboxSecret } from '../../src/store/sandbox-secrets.ts';
import { putMcpServer } from '../../src/store/workspaces/mcp-servers.ts';
import { findRepositoryId, upsertRepository } from '../../src/store/workspaces/repositories.ts';
import { upsertWorkspace } from '../../src/store/workspaces/workspaces.ts';
import { init, text } from '../unit/support/session-play.ts';
import { created, newThread, ORGANIZATION, send, type Thread } from './support/linear-webhook.ts';
import { Outside } from './support/outside.ts';
import { journal, Reporter, registerWorkspace, session } from './support/sessions.ts';

let outside: Outside;

beforeEach(async () => {
  outside = new Outside();
  await registerWorkspace();
});

/** A session in which Claude works, and what its sandbox was given. */
async function working(): Promise<{ thread: Thread; token: string; decoy: string }> {
  const thread = newThread();
  await send(created(thread));
  await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
  await new Reporter(thread).report(init, text('Looking around.'));
  const start = outside.starts[0]?.body;
  return { thread, token: start?.gateway.token ?? '', decoy: start?.decoy?.value ?? '' };
}

function gateway(token: string, path: string, init: RequestInit = {}): Promise<Response> {
  const headers = { authorization: `Bearer ${token}`, ...init.headers };
  return exports.default.fetch(`http://cyrus.test/gateway${path}`, { ...init, headers });
}

async function egress(thread: Thread) {
  const response = await exports.default.fetch(
    `http://cyrus.test/api/sessions/${session(thread).id.toString()}/egress`,
  );
  return egressPageSchema.parse(await response.json());
}

describe('the egress log', () => {
  it('has a line for every request that left the sandbox, or was kept in it, newest first', async () => {
    const { thread, token } = await working();
    await (await gateway(token, '/git/acme/shop.git/info/refs?service=git-upload-pack')).text();
    await (await gateway(token, '/git/acme/secrets.git/info/refs?service=git-upload-pack')).text();
    await (await gateway(token, '/anthropic/v1/files')).text();
    await vi.waitFor(async () => {
      const { lines, total } = await egress(thread);
      expect(total).toBe(3);
      expect(lines).toMatchObject([
        { host: 'api.anthropic.com', path: '/v1/files', verdict: 'refused', status: 403 },
        { host: 'git.test', path: '/acme/secrets.git/info/refs', verdict: 'refused', status: 403 },
        { host: 'git.test', method: 'GET', path: '/acme/shop.git/info/refs', verdict: 'allowed' },
      ]);
      expect(JSON.stringify(lines)).not.toContain('service=');
    });
  });

  it('is empty for a session whose sandbox asked for nothing', async () => {
    const { thread } = await working();
    expect(await egress(thread)).toEqual({ lines: [], total: 0 });
  });
});

/** Secrets of every kind that the database holds for the session's repository, by what people are told they are. */
async function plantInDatabase(): Promise<Record<string, string>> {
  const database = openDatabase(env.DB, env.ENCRYPTION_KEY);
  const secret = (what: string) => `planted-${what}-${crypto.randomUUID()}`;
  const held = {
    "access token for this workspace's Linear": secret('access'),
    "refresh token for this workspace's Linear": secret('refresh'),
    'git credential of acme/shop': secret('git'),
    'credential of the MCP server notes': secret('mcp'),
    'secret of the sandbox server of acme/shop': secret('server'),
  };
  const [accessToken, refreshToken, password, header, ofServer] = Object.values(held) as [
    string,
    string,
    string,
    string,
    string,
  ];
  const app = { name: 'Acme', urlKey: 'acme', appUserId: 'app-user-1', accessToken, refreshToken };
  await upsertWorkspace(database, ORGANIZATION, app, 2);
  const repository = { cloneUrl: 'https://git.test/acme/shop.git', baseBranch: 'main' };
  await upsertRepository(
    database,
    ORGANIZATION,
    'acme/shop',
    { ...repository, credential: { username: 'x', password } },
    2,
  );
  const id = (await findRepositoryId(database, ORGANIZATION, 'acme/shop')) ?? '';
  const headers = { authorization: `Bearer ${header}`, 'x-team': 'Looking around' };
  const settings = mcpServerInputSchema.parse({ kind: 'http', url: 'https://notes.example/mcp', headers });
  await putMcpServer(database, id, 'notes', settings, { kept: false, now: 2 });
  const server = { workspaceId: ORGANIZATION, fullName: 'acme/shop', url: 'https://sandbox.example' };
  await putSandboxSecret(database, server, ofServer, 2);
  return held;
}

async function packed(content: string): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([content]).stream().pipeThrough(new CompressionStream('gzip'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

describe('the decoy credential', () => {
  it('ends the session where it is about to leave the sandbox, and nothing is sent', async () => {
    const { thread, token, decoy } = await working();
    const asked: string[] = [];
    outside.interfere = (url) => {
      if (url.includes('git.test')) asked.push(url);
      return null;
    };
    const response = await gateway(token, `/git/acme/shop.git/info/refs?service=git-upload-pack&stolen=${decoy}`);
    expect(response.status).toBe(403);
    expect(asked).toEqual([]);
    await vi.waitFor(() => expect(outside.commands).toContainEqual(expect.objectContaining({ type: 'stop' })));
    const notices = (await journal(thread)).filter((entry) => entry.kind === 'notice' && entry.level === 'error');
    expect(notices).toMatchObject([{ text: expect.stringContaining('tried to send a credential to git.test') }]);
    await vi.waitFor(async () => expect((await egress(thread)).lines).toMatchObject([{ verdict: 'alarm' }]));
  });

  it('is found in what Claude commits', async () => {
    const { thread, token, decoy } = await working();
    const body = `+++ b/config.js\n+const token = '${decoy}';\n`;
    const headers = { 'content-length': String(body.length) };
    const response = await gateway(token, `/patch/${'a'.repeat(40)}`, { method: 'PUT', body, headers });
    expect(response.status).toBe(201);
    await vi.waitFor(() => expect(outside.commands).toContainEqual(expect.objectContaining({ type: 'stop' })));
    const notices = (await journal(thread)).filter((entry) => entry.kind === 'notice' && entry.level === 'error');
    expect(notices).toMatchObject([{ text: expect.stringContaining('commit aaaaaaaaaa was not pushed') }]);
  });

  it('is said to be on the git host where it was found after the push', async () => {
    const { thread, token, decoy } = await working();
    await session(thread).noteTip('b'.repeat(40));
    const body = `+${btoa(`x${decoy}`)}\n`;
    const headers = { 'content-length': String(body.length) };
    await gateway(token, `/patch/${'b'.repeat(40)}`, { method: 'PUT', body, headers });
    const notices = (await journal(thread)).filter((entry) => entry.kind === 'notice' && entry.level === 'error');
    expect(notices).toMatchObject([
      { text: expect.stringMatching(/was pushed to .* after commit bbbbbbbbbb was on the git host/) },
    ]);
  });

  it('is taken out of what the sandbox reports, and if Claude says it, the work is stopped and the thread told', async () => {
    const { thread, token, decoy } = await working();
    const stolen = text(`Its value is ${btoa(`xx${decoy}`)}, which I found.`);
    const batch = new Reporter(thread).batch(init, text('Looking around.'), stolen);
    const reported = await gateway(token, '/events', { method: 'POST', body: JSON.stringify(batch) });
    expect(reported.status).toBe(200);
    await vi.waitFor(() => expect(outside.commands).toContainEqual(expect.objectContaining({ type: 'stop' })));
    const entries = JSON.stringify(await journal(thread));
    expect(entries).toMatch(/Its value is \w+\[credential withheld\]\w*=*, which I found\./);
    expect(entries).toMatch(/Stopped, because a credential of the sandbox was in what Claude said\. It was a decoy/);
    expect(entries).not.toContain(btoa(`xx${decoy}`).slice(8, 40));
  });

  it('is no file that people are given, plain or packed', async () => {
    const { token, decoy } = await working();
    for (const content of [new TextEncoder().encode(`key=${decoy}`), await packed(`key=${decoy}`)]) {
      const hash = await sha256(content);
      const headers = { 'content-length': String(content.byteLength) };
      const response = await gateway(token, `/shared/${hash}?name=a.txt`, { method: 'PUT', body: content, headers });
      expect([response.status, await response.text()]).toEqual([403, expect.stringContaining('contains a credential')]);
    }
    await vi.waitFor(() => expect(outside.commands).toContainEqual(expect.objectContaining({ type: 'stop' })));
  });

  it('is looked for together with the token of the session and the secrets of the deployment', async () => {
    const { thread, token } = await working();
    const secret = [...env.ADMIN_TOKEN].reverse().join('');
    for (const stolen of [token, secret, btoa(env.ENCRYPTION_KEY)]) {
      const path = `/git/acme/shop.git/info/refs?service=git-upload-pack&stolen=${encodeURIComponent(stolen)}`;
      expect((await gateway(token, path)).status).toBe(403);
    }
    await vi.waitFor(async () => {
      const told = JSON.stringify(await journal(thread));
      expect(told).toContain("tried to send this session's token to git.test");
      expect(told).toContain('tried to send the secret ADMIN_TOKEN of this deployment to git.test');
    });
  });

  it('is looked for together with everything that the database holds for the session, wherever something leaves', async () => {
    const held = await plantInDatabase();
    for (const [name, secret] of Object.entries(held)) {
      outside = new Outside();
      const { thread, token } = await working();
      const said = btoa(`x${secret}`);
      const path = `/git/acme/shop.git/info/refs?service=git-upload-pack&stolen=${encodeURIComponent(said)}`;
      expect((await gateway(token, path)).status, name).toBe(403);
      const content = new TextEncoder().encode(`key=${secret}`);
      const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', content));
      const hash = [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
      const put = (place: string) =>
        gateway(token, place, {
          method: 'PUT',
          body: content,
          headers: { 'content-length': String(content.byteLength) },
        });
      expect((await put(`/shared/${hash}?name=a.txt`)).status, name).toBe(403);
      // The decoy may be seen there, for it shows where it is. What opens something may not.
      const head = 'c'.repeat(40);
      expect((await put(`/patch/${head}`)).status, name).toBe(403);
      expect(await getPatch(env.LOGS, session(thread).id.toString(), head), name).toBeNull();
      const batch = new Reporter(thread).batch(init, text('Looking around.'), text(`It is ${secret}.`));
      await gateway(token, '/events', { method: 'POST', body: JSON.stringify(batch) });
      await vi.waitFor(async () => {
        const entries = JSON.stringify(await journal(thread));
        expect(entries).toContain(`tried to send the ${name} to git.test. It has to be replaced now`);
        expect(entries).toContain(`the ${name} was in a file that Claude shared`);
        expect(entries).toContain(`the ${name} was in what the sandbox reported`);
        expect(entries).toContain(`the ${name} was about to be pushed`);
        expect(entries).not.toContain(secret);
      });
    }
  });

  it('does not end it if Claude sends its environment to its own model', async () => {
    const { token, decoy } = await working();
    const body = JSON.stringify({ model: 'claude-sonnet-5-5', messages: [{ role: 'user', content: decoy }] });
    await (await gateway(token, '/anthropic/v1/messages', { method: 'POST', body })).text();
    expect(outside.commands).not.toContainEqual(expect.objectContaining({ type: 'stop' }));
  });
});
