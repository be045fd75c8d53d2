import { readdir } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readSandboxConfig, SandboxConfigError } from '../../container/config.ts';
import packageJson from '../../package.json' with { type: 'json' };
import { eventually, processesOf, SERVER_SECRET, type Stage, setStage } from './stage.ts';

describe('the server', () => {
  let stage: Stage;
  beforeEach(async () => {
    stage = await setStage();
  });
  afterEach(() => stage.close());

  const authorization = `Bearer ${SERVER_SECRET}`;
  const json = { authorization, 'content-type': 'application/json' };

  test('tells its health to anyone, and nothing else without the secret', async () => {
    const health = await fetch(`${stage.url}/health`);
    expect(await health.json()).toMatchObject({
      claude: packageJson.devDependencies['@anthropic-ai/claude-code'],
      sessions: 0,
      disk: { freeMiB: expect.any(Number), totalMiB: expect.any(Number) },
      atWork: 0,
    });
    for (const shown of ['', 'Bearer wrong', SERVER_SECRET]) {
      const headers = { authorization: shown };
      expect((await fetch(`${stage.url}/sessions/shop-1`, { headers })).status).toBe(401);
    }
  });

  test('knows no session it was not told of', async () => {
    expect((await fetch(`${stage.url}/sessions/shop-1`, { headers: json })).status).toBe(404);
    const command = await stage.command('shop-1', { type: 'stop', id: crypto.randomUUID(), turn: 1 });
    expect(command.status).toBe(404);
    expect((await fetch(`${stage.url}/elsewhere`, { headers: json })).status).toBe(404);
  });

  test('refuses ids and repository names that would become other paths', async () => {
    for (const id of ['..', '%2e%2e', 'a%2Fb', 'a.b', 'ä', 'x'.repeat(129)]) {
      const answer = await stage.put(id, stage.startBody());
      expect([400, 404]).toContain(answer.status);
    }
    for (const fullName of ['../evil', 'acme/..', '.git/x', 'acme/-x']) {
      const answer = await stage.put('shop-1', stage.startBody({ repository: { fullName } }));
      expect(answer.status).toBe(400);
    }
    expect(await readdir(`${stage.root}/sessions`)).toEqual([]);
  });

  test('refuses bodies that are wrong, too large or of another type, and names what is wrong', async () => {
    const body = JSON.stringify(stage.startBody());
    const put = (init: RequestInit) => fetch(`${stage.url}/sessions/shop-1`, { method: 'PUT', headers: json, ...init });
    expect((await put({ body, headers: { authorization, 'content-type': 'text/plain' } })).status).toBe(415);
    expect((await put({ body: 'nonsense' })).status).toBe(400);
    const wrong = await put({ body: JSON.stringify({ ...stage.startBody(), generation: 0 }) });
    expect(await wrong.json()).toMatchObject({ error: 'bad-request', message: expect.stringContaining('generation') });
    expect((await put({ body: ' '.repeat(5 * 1024 * 1024) })).status).toBe(413);
    expect((await put({ method: 'POST', body })).status).toBe(405);
  });

  test('ends a session and deletes its files when told to', async () => {
    await stage.start('shop-1');
    await stage.event('cli-started');
    const remove = (query = '') =>
      fetch(`${stage.url}/sessions/shop-1${query}`, { method: 'DELETE', headers: { authorization } });
    expect(await (await remove()).json()).toMatchObject({ state: 'closed' });
    expect(processesOf(stage, 'shop-1')).toEqual([]);
    const refused = await stage.command('shop-1', { type: 'prompt', id: crypto.randomUUID(), turn: 1, text: 'x' });
    expect(refused.status).toBe(409);
    expect((await remove('?purge=true&generation=0')).status).toBe(409);
    expect((await remove('?purge=true&generation=1')).status).toBe(200);
    expect(await readdir(`${stage.root}/sessions`)).toEqual([]);
    expect((await remove()).status).toBe(404);
    await stage.start('shop-1', { generation: 2 });
    await eventually(async () => (await stage.status('shop-1')).state === 'ready', 'a new session of the same name');
  });

  test('keeps a session that is started while it is deleted, or whose start came first', async () => {
    await stage.start('shop-1');
    await stage.event('ready');
    const purge = () =>
      fetch(`${stage.url}/sessions/shop-1?purge=true&generation=1`, { method: 'DELETE', headers: { authorization } });
    const [removed, again] = await Promise.all([purge(), purge(), stage.start('shop-1', { generation: 2 })]);
    // Which request the server takes first is open; a session that is deleted already is not known.
    for (const { status } of [removed, again]) expect([200, 404, 409]).toContain(status);
    await eventually(async () => (await stage.status('shop-1')).state === 'ready', 'the session that was started');
    expect(await stage.status('shop-1')).toMatchObject({ generation: 2 });
    const [later, kept] = await Promise.all([stage.start('shop-1', { generation: 3 }), purge()]);
    expect([later.generation, kept.status]).toEqual([3, 409]);
  });

  test('takes a closed session up again when it is started again', async () => {
    const { streamId } = await stage.start('shop-1');
    await stage.event('ready');
    await fetch(`${stage.url}/sessions/shop-1`, { method: 'DELETE', headers: { authorization } });
    expect(await stage.start('shop-1')).toMatchObject({ streamId });
    await stage.prompt('shop-1', '[script: no-change]');
    expect(await stage.result()).toMatchObject({ is_error: false });
  });
});

describe('the settings', () => {
  const problems = (env: Record<string, string>): string[] => {
    try {
      readSandboxConfig(env);
      return [];
    } catch (error) {
      return error instanceof SandboxConfigError ? error.problems : [String(error)];
    }
  };

  test('have a value for everything', () => {
    expect(readSandboxConfig({})).toMatchObject({
      root: '/workspace',
      port: 8080,
      host: '127.0.0.1',
      secret: null,
      idleMs: 300_000,
    });
  });

  test('that are wrong name themselves, all at once', () => {
    expect(problems({ PORT: 'http', CYRUS_IDLE_MINUTES: '-1', CYRUS_SANDBOX_SECRET: 'short' })).toEqual([
      'PORT: must be a port number',
      'CYRUS_SANDBOX_SECRET: must have at least 16 characters',
      'CYRUS_IDLE_MINUTES: must be more than 0 minutes',
    ]);
    // A timer that is set for longer than 24 days fires at once.
    expect(problems({ CYRUS_HELPER_MINUTES: '50000' })).toEqual([
      'CYRUS_HELPER_MINUTES: must be at most 20160 minutes (14 days)',
    ]);
    expect(problems({ CLAUDE_BIN: '/nowhere/claude' })[0]).toContain('CLAUDE_BIN: /nowhere/claude does not exist');
  });

  test('do not open the server to a network without a secret, but for a container of Cloudflare', () => {
    expect(problems({ HOST: '0.0.0.0' })[0]).toContain('CYRUS_SANDBOX_SECRET is not set although HOST is 0.0.0.0');
    expect(problems({ HOST: '0.0.0.0', CYRUS_SANDBOX_SECRET: 'a-secret-of-length-24' })).toEqual([]);
    expect(problems({ HOST: '0.0.0.0', CLOUDFLARE_DURABLE_OBJECT_ID: 'abc' })).toEqual([]);
  });
});

test('the health of a sandbox server counts the sessions at work, so that the owner of the machine knows whether to keep it', async () => {
  const stage = await setStage();
  try {
    await stage.start('shop-1');
    await stage.prompt('shop-1', '[script: long-text 400 10]');
    await stage.event('cli-started');
    const atWork = async () => ((await (await fetch(`${stage.url}/health`)).json()) as { atWork: number }).atWork;
    expect(await atWork()).toBe(1);
    await stage.result();
    await stage.event('saved');
    await expect.poll(atWork, { timeout: 10_000 }).toBe(0);
  } finally {
    await stage.close();
  }
});
