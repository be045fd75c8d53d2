/** What the doctor says of a deployment in which something is wrong: what it is, and what to do. */
import { env } from 'cloudflare:workers';
import { sql } from 'drizzle-orm';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import worker from '../../src/index.ts';
import { operationsOf } from '../../src/operations/operations.ts';
import type { Finding, WorkerReport } from '../../src/protocol/doctor.ts';
import { repositorySettingsSchema } from '../../src/protocol/settings/repository.ts';
import { openDatabase } from '../../src/store/database.ts';
import { putSandboxSecret } from '../../src/store/sandbox-secrets.ts';
import { upsertRepository } from '../../src/store/workspaces/repositories.ts';
import { upsertWorkspace } from '../../src/store/workspaces/workspaces.ts';
import { spyOnLog } from '../support/log-spy.ts';
import { Browser } from './support/browser.ts';

const db = openDatabase(env.DB, env.ENCRYPTION_KEY);
const HOUR_MS = 3_600_000;
const CLONE = 'https://git.example/acme/shop.git';

/** Bindings in the place of the test's own; undefined: not there. */
type Bindings = Record<string, unknown>;

/** How the world answers, by a part of the address; what is not named answers as it should. */
let answers: Record<string, () => Response | Promise<Response>>;

beforeEach(async () => {
  spyOnLog();
  answers = {};
  vi.spyOn(globalThis, 'fetch').mockImplementation(async (input, init) => {
    const { url, method } = new Request(input, init);
    const own = Object.keys(answers).find((part) => url.includes(part));
    return (own === undefined ? undefined : await answers[own]?.()) ?? usual(url, method);
  });
});

afterEach(async () => {
  vi.restoreAllMocks();
  for (const table of ['repositories', 'workspaces', 'settings']) await db.orm.run(sql.raw(`DELETE FROM ${table}`));
});

function usual(url: string, method: string): Response {
  if (method === 'HEAD') return new Response(null, { headers: { date: new Date().toUTCString() } });
  if (url.endsWith('/oauth/token')) return Response.json({ error: 'invalid_grant' }, { status: 400 });
  if (url.endsWith('/graphql')) {
    const organization = { id: 'w1', name: 'Acme', urlKey: 'acme' };
    return Response.json({ data: { viewer: { id: 'app-1', name: 'Cyrus', app: true, organization } } });
  }
  if (url.endsWith('/v1/messages')) return Response.json({ content: [] });
  if (url.includes('/info/refs')) return new Response('001f# service=git-receive-pack\n0000 refs/heads/main\0report\n');
  if (url.endsWith('/health')) return Response.json({ claude: '2.1.330', disk: { freeMiB: 90_000 } });
  return Response.json({ error: 'no-session', message: 'none' }, { status: 404 });
}

async function ask(bindings: Bindings = {}, path = '/api/admin/doctor', token = env.ADMIN_TOKEN) {
  const request = { method: 'POST', headers: { authorization: `Bearer ${token}` } };
  return worker.request(`https://cyrus.example${path}`, request, { ...env, ...bindings } as Env);
}

async function findings(bindings: Bindings = {}, path?: string): Promise<Finding[]> {
  const response = await ask(bindings, path);
  expect(response.status).toBe(200);
  return ((await response.json()) as WorkerReport).findings;
}

/** What is said of one thing. */
async function finding(name: string, bindings: Bindings = {}): Promise<Finding[]> {
  return (await findings(bindings)).filter((found) => found.name === name);
}

async function installed(settings: object = {}): Promise<void> {
  const workspace = { name: 'Acme', urlKey: 'acme', appUserId: 'app-1', accessToken: 'lin_oauth_of_acme' };
  await env.LINEAR_WORKSPACE.getByName('w1').install(workspace);
  const credential = { username: 'x-access-token', password: 'git-password-of-acme' };
  const input = { cloneUrl: CLONE, baseBranch: 'main', credential };
  await upsertRepository(db, 'w1', 'acme/shop', { ...input, settings: repositorySettingsSchema.parse(settings) }, 1);
}

describe('a deployment that lacks nothing', () => {
  it('is good in everything that was looked at, and tells no secret', async () => {
    await installed();
    await operationsOf(env).noteWebhooks({ goodAt: Date.now(), faults: [], types: ['AgentSessionEvent', 'Issue'] });
    await operationsOf(env).watched([], []);
    const response = await ask({
      ALERT_SLACK_URL: 'https://hooks.slack.com/services/slack-secret',
      HEARTBEAT_URL: 'https://heartbeat.example/heartbeat-secret',
      OTLP_ENDPOINT: 'https://otlp.example',
      OTLP_HEADERS: 'x-honeycomb-team=otlp-secret',
      OWNERS: 'ada@acme.example',
      FOREIGN_TOKEN: 'foreign-secret',
    });
    const text = await response.text();
    const report: WorkerReport = JSON.parse(text);
    expect(report.findings.filter(({ verdict }) => verdict !== 'good')).toEqual([]);
    const names = report.findings.map(({ name }) => name);
    for (const name of ['configuration', 'bindings', 'database', 'database size', 'bucket', 'pause', 'clock']) {
      expect(names).toContain(name);
    }
    const others = ['linear application', 'webhooks', 'webhook events', 'linear workspace acme', 'git acme/shop'];
    for (const name of [...others, 'claude default', 'sandbox']) expect(names).toContain(name);
    expect(report.variables).toMatchObject({ ENVIRONMENT: 'local', CLAUDE_MODEL: 'sonnet' });
    const secrets = [env.ADMIN_TOKEN, env.ENCRYPTION_KEY, env.LINEAR_CLIENT_SECRET, env.ACCESS_PASSWORD];
    const addresses = ['slack-secret', 'heartbeat-secret', 'otlp-secret', 'ada@acme.example', 'foreign-secret'];
    expect(report.variables).toMatchObject({ OTLP_ENDPOINT: 'https://otlp.example' });
    for (const secret of [
      ...secrets,
      ...addresses,
      env.LINEAR_CLIENT_ID,
      'git-password-of-acme',
      'lin_oauth_of_acme',
    ]) {
      expect(text).not.toContain(secret);
    }
  });
});

describe('the doctor', () => {
  it('answers admins alone', async () => {
    expect((await ask({}, undefined, 'another-token-0123456789abcdef')).status).toBe(401);
    expect((await ask({ ADMIN_TOKEN: '' }, undefined, '')).status).toBe(503);
  });

  it('names each variable and secret that is wrong, and looks at what it can all the same', async () => {
    const found = await findings({ ENCRYPTION_KEY: 'short', CLAUDE_PLAN: 'gold' });
    expect(found).toContainEqual({
      name: 'configuration',
      verdict: 'bad',
      words: expect.stringContaining('ENCRYPTION_KEY: must be 32 random bytes in base64'),
      remedy: 'Store it: npx wrangler secret put ENCRYPTION_KEY',
    });
    expect(found).toContainEqual(
      expect.objectContaining({
        words: expect.stringMatching(/^CLAUDE_PLAN: /),
        remedy: 'Correct wrangler.toml and run npm run deploy.',
      }),
    );
    expect(found).toContainEqual(expect.objectContaining({ name: 'database', verdict: 'good' }));
  });

  it('says of an address that is a secret, and of how people sign in, that they are stored', async () => {
    const found = await findings({ HEARTBEAT_URL: 'no address', SIGN_IN: 'by magic' });
    for (const name of ['HEARTBEAT_URL', 'SIGN_IN']) {
      expect(found).toContainEqual(expect.objectContaining({ remedy: `Store it: npx wrangler secret put ${name}` }));
    }
  });

  it('names a variable that is set and changes nothing', async () => {
    const [, found] = await finding('configuration', { CLAUDE_BUDGET_MONTH_USD: '100' });
    expect(found?.verdict).toBe('warn');
    expect(found?.words).toContain('CLAUDE_BUDGET_MONTH_USD is set and limits nothing');
  });

  it('names a binding that the deploy left out', async () => {
    expect(await finding('bindings', { SANDBOX_CONTAINER_LARGE: undefined })).toMatchObject([
      { verdict: 'bad', words: 'The Worker was deployed without SANDBOX_CONTAINER_LARGE' },
    ]);
  });

  it('says which table or column the database lacks, and how to apply the migrations', async () => {
    await db.orm.run(sql`ALTER TABLE settings RENAME COLUMN updated_by TO former`);
    try {
      expect(await finding('database')).toEqual([
        {
          name: 'database',
          verdict: 'bad',
          words: 'D1 is behind this version: it lacks settings.updated_by',
          remedy: 'Apply the migrations: npx wrangler d1 migrations apply DB --remote',
        },
      ]);
    } finally {
      await db.orm.run(sql`ALTER TABLE settings RENAME COLUMN former TO updated_by`);
    }
  });

  it('says how full the database is, before it is full', async () => {
    const prepare = (query: string) =>
      query === 'SELECT 1' ? { all: async () => ({ meta: { size_after: 9_100_000_000 } }) } : env.DB.prepare(query);
    const [found] = await finding('database size', { DB: { ...env.DB, prepare } as unknown as D1Database });
    expect(found).toMatchObject({ verdict: 'warn', words: 'The database has 9100.0 MB of 10 GB' });
  });

  it('says that the bucket refuses, or loses what it took', async () => {
    const refusing = { put: async () => Promise.reject(new Error('no such bucket')) } as unknown as R2Bucket;
    expect(await finding('bucket', { LOGS: refusing })).toMatchObject([
      { verdict: 'bad', words: 'It does not answer: no such bucket' },
    ]);
    const losing = { put: async () => null, get: async () => null, delete: async () => {} } as unknown as R2Bucket;
    expect(await finding('bucket', { LOGS: losing })).toMatchObject([
      { verdict: 'bad', words: 'R2 took an object and did not give it back' },
    ]);
  });

  it('says that the clock is wrong, and by how much', async () => {
    answers['/graphql'] = () =>
      new Response(null, { headers: { date: new Date(Date.now() - 10 * 60_000).toUTCString() } });
    const [found] = await finding('clock');
    expect(found?.verdict).toBe('bad');
    expect(found?.words).toMatch(/differ by (599|600) s/);
  });

  it('says that an admin has paused the deployment', async () => {
    expect(await finding('pause', { PAUSED: 'true' })).toMatchObject([
      { verdict: 'warn', remedy: 'npm run settings -- set PAUSED false' },
    ]);
  });
});

describe('of Linear the doctor says', () => {
  it('that the application is not there yet, or that its id and secret are wrong, or that it cannot tell', async () => {
    const name = 'linear application';
    expect(await finding(name, { LINEAR_CLIENT_ID: '' })).toMatchObject([
      { verdict: 'bad', remedy: expect.stringContaining('/install') },
    ]);
    answers['/oauth/token'] = () => Response.json({ error: 'invalid_client' }, { status: 401 });
    expect(await finding(name)).toMatchObject([{ verdict: 'bad', words: expect.stringContaining('does not accept') }]);
    answers['/oauth/token'] = () => new Response('down', { status: 503 });
    expect(await finding(name)).toMatchObject([{ verdict: 'warn', words: expect.stringContaining('cannot be told') }]);
  });

  it('that no workspace is there, or which has no repository', async () => {
    expect(await finding('linear workspaces')).toMatchObject([
      { verdict: 'warn', words: 'Cyrus is installed in no workspace' },
    ]);
    await upsertWorkspace(db, 'w2', { name: 'Globex', urlKey: 'globex', appUserId: 'a', accessToken: 'lin_x' }, 1);
    expect(await finding('repositories globex')).toMatchObject([
      { verdict: 'warn', words: 'Globex has no repository, so Cyrus cannot work there' },
    ]);
  });

  it('that a token is refused, that a scope is missing, or that the token is a person’s', async () => {
    await installed();
    const name = 'linear workspace acme';
    const refused = { message: 'no', extensions: { type: 'authentication error', code: 'AUTHENTICATION_ERROR' } };
    answers['/graphql'] = () => Response.json({ errors: [refused] }, { status: 401 });
    expect(await finding(name)).toMatchObject([
      { verdict: 'bad', remedy: expect.stringContaining('add Cyrus to the workspace again') },
    ]);
    await installed();
    const organization = { id: 'w1', name: 'Acme', urlKey: 'acme' };
    answers['/graphql'] = () => Response.json({ data: { viewer: { id: 'p', name: 'Ada', app: false, organization } } });
    expect(await finding(name)).toMatchObject([
      { verdict: 'bad', words: expect.stringContaining('acts for a person') },
    ]);
    await db.orm.run(sql`UPDATE workspaces SET scope = 'read write'`);
    expect(await finding(name)).toMatchObject([
      { verdict: 'bad', words: 'Linear granted Cyrus no app:assignable, app:mentionable' },
    ]);
    await db.orm.run(sql`UPDATE workspaces SET status = 'reinstall-needed'`);
    expect(await finding(name)).toMatchObject([{ verdict: 'bad', words: 'Linear takes the tokens of Acme no more' }]);
  });

  it('that no webhook has come, or that none matches the secret', async () => {
    const OPERATIONS = {
      getByName: () => ({ webhooks: async () => ({ goodAt: null, bad: null, hours: [] }) }),
    } as unknown as Env['OPERATIONS'];
    expect(await finding('webhooks', { OPERATIONS })).toMatchObject([
      { verdict: 'warn', remedy: expect.stringContaining('https://cyrus.example/webhooks/linear') },
    ]);
    const bad = { count: 3, since: 1, at: 1 };
    const wrong = { getByName: () => ({ webhooks: async () => ({ goodAt: null, bad, hours: [] }) }) };
    expect(await finding('webhooks', { OPERATIONS: wrong as unknown as Env['OPERATIONS'] })).toMatchObject([
      { verdict: 'bad', words: expect.stringContaining('does not match LINEAR_WEBHOOK_SECRET') },
    ]);
  });

  it('which event an application made by hand is not subscribed to, and what does not work without it', async () => {
    const types = { AgentSessionEvent: Date.now() - 2 * HOUR_MS };
    const OPERATIONS = {
      getByName: () => ({ webhooks: async () => ({ goodAt: 1, bad: null, hours: [], types }) }),
    } as unknown as Env['OPERATIONS'];
    expect(await finding('webhook events', { OPERATIONS })).toEqual([
      {
        name: 'webhook events',
        verdict: 'warn',
        words: 'No event Issue has ever come, so work goes on when its issue is completed, canceled or moved',
        remedy: 'In Linear, open the application (Settings, API) and tick Issue among the events of its webhook.',
      },
    ]);
    types.AgentSessionEvent = Date.now();
    expect(await finding('webhook events', { OPERATIONS })).toMatchObject([{ verdict: 'skipped' }]);
  });
});

describe('of Claude the doctor says', () => {
  const refusal = (status: number, message: string) => () =>
    Response.json({ type: 'error', error: { type: 'x', message } }, { status });

  it.each([
    [
      401,
      'invalid bearer token',
      'bad',
      /does not take it: it answered 401: invalid bearer token/,
      /claude setup-token/,
    ],
    [403, 'not allowed', 'bad', /does not take it/, /claude setup-token/],
    [429, 'limit', 'warn', /takes it, and its limit is used up/, /wait for the reset/],
    [400, 'Your credit balance is too low', 'bad', /serves nothing/, /Add credit/],
    [400, 'model: no such model', 'warn', /refused a request of one word/, /Update Cyrus/],
    [529, 'Overloaded', 'warn', /is disturbed: it answered 529/, /status.claude.com/],
  ])('what an answer %i (%s) means', async (status, message, verdict, words, remedy) => {
    answers['/v1/messages'] = refusal(status, message);
    expect(await finding('claude default')).toMatchObject([
      { verdict, words: expect.stringMatching(words), remedy: expect.stringMatching(remedy) },
    ]);
  });

  it('that the API cannot be reached, and of an API key where to store another', async () => {
    answers['/v1/messages'] = () => Promise.reject(new TypeError('no route'));
    expect(await finding('claude default')).toMatchObject([
      { verdict: 'warn', words: 'Claude’s API cannot be reached: no route' },
    ]);
    answers['/v1/messages'] = refusal(401, 'invalid x-api-key');
    const byKey = { CLAUDE_CREDENTIAL: 'api-key', ANTHROPIC_API_KEY: 'sk-ant-api03-of-the-test' };
    const response = await ask({ ...byKey, CLAUDE_CODE_OAUTH_TOKEN: undefined });
    expect(JSON.stringify(await response.json())).toContain('npx wrangler secret put ANTHROPIC_API_KEY');
  });
});

describe('of a repository the doctor says', () => {
  const refs = '/info/refs';

  it.each([
    [401, 'bad', /does not accept the credential stored for acme\/shop/],
    [403, 'bad', /forbids this for the credential stored for acme\/shop/],
    [404, 'bad', /has no acme\/shop, or its stored credential may not see it/],
    [500, 'warn', /answered 500/],
  ])('what an answer %i of its git host means', async (status, verdict, words) => {
    await installed();
    answers[refs] = () => new Response('no', { status });
    expect(await finding('git acme/shop')).toMatchObject([{ verdict, words: expect.stringMatching(words) }]);
  });

  it('that its base branch is not there, and that its host cannot be reached', async () => {
    await installed();
    answers[refs] = () => new Response('0000 refs/heads/master\0report\n');
    expect(await finding('git acme/shop')).toMatchObject([
      { verdict: 'bad', words: 'The credential may push, and there is no branch main to begin from' },
    ]);
    answers[refs] = () => Promise.reject(new TypeError('no such host'));
    expect(await finding('git acme/shop')).toMatchObject([
      { verdict: 'warn', words: 'The git host cannot be reached: no such host' },
    ]);
  });

  it('that its credential was encrypted with another key', async () => {
    await installed();
    await db.orm.run(sql`UPDATE repositories SET credential = 'v1.other.AAAAAAAAAAAAAAAA.AAAA'`);
    expect(await finding('git acme/shop')).toMatchObject([
      { verdict: 'bad', words: expect.stringContaining('another ENCRYPTION_KEY') },
    ]);
  });

  it('that the secret of its own sandbox server is not stored, or is wrong', async () => {
    await installed({ sandbox: { kind: 'endpoint', url: 'https://build.example' } });
    const name = 'sandbox server of acme/shop';
    expect(await finding(name)).toMatchObject([
      { verdict: 'bad', words: expect.stringContaining('No secret is stored') },
    ]);
    const server = { workspaceId: 'w1', fullName: 'acme/shop', url: 'https://build.example' };
    await putSandboxSecret(db, server, 'secret-of-the-build-machine', 1);
    answers['build.example/sessions'] = () => Response.json({ error: 'unauthorized' }, { status: 401 });
    expect(await finding(name)).toMatchObject([
      { verdict: 'bad', words: 'The sandbox server build.example does not take the secret' },
    ]);
  });
});

describe('of the sandbox the doctor says', () => {
  it('that its server is away, is something else, or has a full disk', async () => {
    answers['127.0.0.1:1/health'] = () => Response.json({ claude: '2.1.330', disk: { freeMiB: 100 } });
    expect(await finding('sandbox')).toMatchObject([
      { verdict: 'warn', words: expect.stringContaining('100 MiB of disk') },
    ]);
    answers['127.0.0.1:1/health'] = () => new Response('<html>');
    expect(await finding('sandbox')).toMatchObject([
      { verdict: 'bad', words: expect.stringContaining('no sandbox server') },
    ]);
    answers['127.0.0.1:1'] = () => Promise.reject(new TypeError('refused'));
    delete answers['127.0.0.1:1/health'];
    expect(await finding('sandbox')).toMatchObject([
      { verdict: 'bad', words: expect.stringContaining('cannot be reached') },
    ]);
  });

  it('why no container starts, and that none was started unless that was asked for', async () => {
    const stopped = vi.fn(async () => {});
    const warm = vi.fn(async () => Promise.reject(new Error('containers have not been enabled for this object')));
    const SANDBOX_CONTAINER = { getByName: () => ({ warm, stop: stopped }) } as unknown as Env['SANDBOX_CONTAINER'];
    const bindings = { SANDBOX: 'container', SANDBOX_ENDPOINT_URL: '', SANDBOX_CONTAINER };
    expect(await finding('sandbox', bindings)).toMatchObject([{ verdict: 'skipped' }]);
    expect(warm).not.toHaveBeenCalled();
    const found = await findings(bindings, '/api/admin/doctor?sandbox=true');
    expect(found.filter(({ name }) => name === 'sandbox')).toMatchObject([
      {
        verdict: 'bad',
        words: expect.stringContaining('containers have not been enabled'),
        remedy: expect.stringMatching(/^Deploy with the \[\[containers\]\]/),
      },
    ]);
    expect(stopped).toHaveBeenCalled();
  });

  it('that a container starts, with which Claude CLI, and it is ended again', async () => {
    const ended = vi.fn(async () => {});
    const health = { status: 200, text: JSON.stringify({ claude: '2.1.330', atWork: 0 }) };
    const container = { warm: async () => {}, ask: async () => health, stop: ended };
    const SANDBOX_CONTAINER = { getByName: () => container } as unknown as Env['SANDBOX_CONTAINER'];
    const bindings = { SANDBOX: 'container', SANDBOX_ENDPOINT_URL: '', SANDBOX_CONTAINER };
    const found = await findings(bindings, '/api/admin/doctor?sandbox=true');
    expect(found).toContainEqual(
      expect.objectContaining({ verdict: 'good', words: 'A container starts, with the Claude CLI 2.1.330' }),
    );
    expect(ended).toHaveBeenCalledWith('SIGTERM');
  });
});

describe('of alerts the doctor says', () => {
  const about = (alerts: object) => {
    const known = { channels: [], open: [], waiting: [], watchedAt: Date.now(), unwatchedSince: null, ...alerts };
    return {
      getByName: () => ({ alerts: async () => known, webhooks: async () => ({ goodAt: 1, bad: null, hours: [] }) }),
    };
  };

  it('that nobody is told, or that a channel takes none', async () => {
    expect(await finding('alerts', { OPERATIONS: about({}) })).toMatchObject([
      { verdict: 'warn', words: 'Nobody is told when something goes wrong' },
    ]);
    const waiting = [{ channel: 'slack', words: 'w', since: 1, tries: 5, problem: 'it answered 503' }];
    const ALERT_SLACK_URL = 'https://hooks.slack.com/services/x';
    expect(await finding('alerts', { OPERATIONS: about({ waiting }), ALERT_SLACK_URL })).toMatchObject([
      { verdict: 'bad', words: 'slack takes no alerts: it answered 503' },
    ]);
  });

  it('that nothing looks at the deployment any more, or has not yet', async () => {
    expect(await finding('watch', { OPERATIONS: about({ unwatchedSince: Date.now() - 3 * HOUR_MS }) })).toMatchObject([
      { verdict: 'bad', words: expect.stringContaining('Nothing has looked at this deployment since') },
    ]);
    expect(await finding('watch', { OPERATIONS: about({ watchedAt: null }) })).toMatchObject([{ verdict: 'skipped' }]);
  });

  it('what is open', async () => {
    const open = [{ key: 'k', words: '1 session is stuck: ENG-1', remedy: 'Open its page.' }];
    expect(await finding('open alert', { OPERATIONS: about({ open }) })).toMatchObject([
      { verdict: 'warn', words: '1 session is stuck: ENG-1', remedy: 'Open its page.' },
    ]);
  });
});

it('an admin sends a test of alerts by a button on the page, which says where it goes, once a minute', async () => {
  const open = async (bindings: object) =>
    (await new Browser({ ...env, ...bindings }).open('/install/doctor?alerts=test')).text;
  vi.spyOn(globalThis, 'fetch').mockImplementation(async () => new Response('ok'));
  const tryChannels = vi.fn(async (): Promise<string[] | null> => ['slack']);
  const OPERATIONS = { getByName: () => ({ tryChannels, alerts: async () => Promise.reject(new Error('not asked')) }) };
  expect(await open({ OPERATIONS })).toContain('A test is on its way to slack.');
  tryChannels.mockResolvedValue(null);
  expect(await open({ OPERATIONS })).toContain('A test was sent within the last minute');
  tryChannels.mockResolvedValue([]);
  const text = await open({ OPERATIONS });
  expect(text).toContain('Nobody is told of alerts');
  expect(text).toContain('/install/doctor?alerts=test');
  expect(tryChannels).toHaveBeenCalledTimes(3);
});

it('an admin reads the same on a page, what does not work first', async () => {
  const { status, text } = await new Browser({ ...env, PAUSED: 'true', LINEAR_CLIENT_ID: '' } as Env).open(
    '/install/doctor',
  );
  expect(status).toBe(200);
  expect(text.indexOf('does not work')).toBeLessThan(text.indexOf('look at it'));
  expect(text).toContain('LINEAR_CLIENT_ID or LINEAR_CLIENT_SECRET is not set');
  expect(text).toContain('npm run settings -- set PAUSED false');
  expect(text).toContain('/install/doctor?sandbox=true');
});
