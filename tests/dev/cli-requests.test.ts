/** What the pinned CLI asks of Claude's API, beside what the gateway lets through: a newer CLI that asks for more fails here. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { type ScriptedModel, startScriptedModel } from '../../dev/claude/scripted-model.ts';
import { planMarker } from '../../dev/claude/scripts.ts';
import packageJson from '../../package.json' with { type: 'json' };
import { readConfig } from '../../src/config/read-config.ts';
import { checkBetas } from '../../src/gateway/claude/request.ts';
import { spyOnLog } from '../support/log-spy.ts';
import { serve, type WebServer } from '../unit/gateway/web-server.ts';
import { valid } from '../unit/support/variables.ts';
import { type CliConversation, startCli } from './cli-conversation.ts';

const PROJECT = join(import.meta.dirname, '../..');
const PINNED = packageJson.devDependencies['@anthropic-ai/claude-code'];
const TOKEN = 'sk-ant-oat-of-the-deployment';
const API_KEY = 'sk-ant-api03-of-the-deployment';
/** The smallest picture: one pixel. */
const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=';

/** As src/gateway/claude/anthropic.ts has it, whose types are of the Worker and not of Node. */
type ForwardToClaude = (request: Request, path: string, config: object, way: object) => Promise<Response>;
let forwardToClaude: ForwardToClaude;

/** Headers of the connection, of how a body is written, and of the credential, which the gateway sets itself. */
const GATEWAYS_OWN = [
  'accept-encoding',
  'authorization',
  'connection',
  'content-length',
  'content-type',
  'host',
  'x-api-key',
];
/**
 * Betas that the CLI's program names and the gateway refuses: what the API would fetch, run or keep for an account, or another product of
 * the same library. A newer CLI with another one fails here; then somebody decides which of the two lists it belongs to.
 */
const REFUSED_BETAS = [
  'advisor-tool-2026-03-01',
  'afk-mode-2026-01-31',
  'agent-memory-2026-07-22',
  'bedrock-2023-05-31',
  'ccr-byoc-2025-07-29',
  'ccr-triggers-2026-01-30',
  'dreaming-2026-04-21',
  'environments-2025-11-01',
  'fast-mode-2026-02-01',
  'files-api-2025-04-14',
  'managed-agents-2026-04-01',
  'mcp-servers-2025-12-04',
  'mcp-tunnels-2026-06-22',
  'message-batches-2024-09-24',
  'oidc-federation-2026-04-01',
  'program-use-case-ids-2026-09-17',
  'resumption-2026-10-08',
  'server-side-fallback-2026-06-01',
  'server-side-fallback-2026-07-01',
  'timing-2026-09-09',
  'user-profiles-2026-08-18',
  'vertex-2023-10-16',
];

// Each turn is a real process on a busy machine.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 30_000 });

let directory: string;
const logged = spyOnLog();
const closers: (() => unknown)[] = [];

beforeAll(async () => {
  const module: Record<string, unknown> = await import(join(PROJECT, 'src/gateway/claude/anthropic.ts'));
  if (typeof module.forwardToClaude !== 'function') throw new Error('the gateway has no forwardToClaude');
  forwardToClaude = module.forwardToClaude as ForwardToClaude;
  directory = await mkdtemp(join(tmpdir(), 'cyrus-cli-requests-'));
  await writeFile(join(directory, 'pixel.png'), Buffer.from(PIXEL, 'base64'));
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  logged.mockClear();
});
afterAll(() => rm(directory, { recursive: true, force: true, maxRetries: 5 }));

interface Asked {
  what: string;
  headers: string[];
  agent: string;
  status: number;
  /** The beginning of a refusal. */
  said: string;
  /** Names of the headers with which it went on; null if it did not. */
  passedOn: string[] | null;
}

interface Played {
  asked: Asked[];
  model: ScriptedModel;
  cli: (args: string[], environment?: Record<string, string>) => Promise<CliConversation>;
}

/** The gateway's own code between the CLI and the scripted model. */
async function gatewayOf(mode: 'subscription' | 'api-key'): Promise<Played> {
  const isKey = mode === 'api-key';
  const model = await startScriptedModel({
    expectedCredential: isKey ? { header: 'x-api-key', value: API_KEY } : { header: 'authorization', value: TOKEN },
  });
  closers.push(() => model.close());
  const { CLAUDE_CODE_OAUTH_TOKEN: _, ...rest } = valid;
  const credential = isKey
    ? { CLAUDE_CREDENTIAL: 'api-key', ANTHROPIC_API_KEY: API_KEY }
    : { CLAUDE_CODE_OAUTH_TOKEN: TOKEN };
  const config = readConfig({ ...rest, ...credential });
  const asked: Asked[] = [];
  const gateway: WebServer = await serve(async (request) => {
    const { pathname, search } = new URL(request.url);
    const one: Asked = {
      what: `${request.method} ${pathname}${search}`,
      headers: [...request.headers.keys()],
      agent: request.headers.get('user-agent') ?? '',
      status: 0,
      said: '',
      passedOn: null,
    };
    asked.push(one);
    const response = await forwardToClaude(
      request,
      pathname,
      { ...config, claude: { ...config.claude, apiUrl: model.url } },
      {
        asker: { session: 'session', workspace: 'workspace', repository: 'acme/shop' },
        models: ['sonnet', 'opus', 'haiku'],
        account: {
          choose: async () => ({ kind: 'token', name: config.limits.tokens[0]?.name ?? '', reservation: null }),
          record: async () => {},
          tokenRefused: async () => false,
          beyondPlan: async () => false,
        },
        fetcher: (outgoing: Request) => {
          one.passedOn = [...outgoing.headers.keys()];
          return fetch(outgoing);
        },
        later: () => {},
      },
    );
    one.status = response.status;
    if (!response.ok) one.said = (await response.clone().text()).slice(0, 300);
    return response;
  });
  closers.push(() => gateway.close());
  const cli = async (args: string[], environment: Record<string, string> = {}) => {
    const conversation = await startCli({
      baseUrl: gateway.url,
      directory,
      home: join(directory, `home-${mode}`),
      credential: isKey ? { ANTHROPIC_API_KEY: 'placeholder' } : { CLAUDE_CODE_OAUTH_TOKEN: 'placeholder' },
      arguments: args,
      environment,
    });
    closers.push(() => conversation.kill('SIGKILL'));
    return conversation;
  };
  return { asked, model, cli };
}

/** @throws (by expect) naming what the CLI sent and the gateway did not take */
function expectAllTaken({ asked }: Played): void {
  expect(asked.length).toBeGreaterThan(3);
  expect(asked.filter(({ status }) => status !== 200)).toEqual([]);
  const left = asked.flatMap(({ what, headers, passedOn }) =>
    headers
      .filter((name) => !GATEWAYS_OWN.includes(name) && passedOn?.includes(name) !== true)
      .map((name) => `${what}: ${name}`),
  );
  expect([...new Set(left)]).toEqual([]);
  const agents = new Set(asked.map(({ agent }) => agent).filter((agent) => agent.startsWith('claude-cli/')));
  expect([...agents].every((agent) => agent.startsWith(`claude-cli/${PINNED} `))).toBe(true);
  expect(agents.size).toBeGreaterThan(0);
}

test('all that the pinned CLI asks with a subscription goes through the gateway, its headers too', async () => {
  const played = await gatewayOf('subscription');
  const conversation = await played.cli(['--fallback-model', 'haiku'], { MAX_THINKING_TOKENS: '4000' });
  const helper = planMarker({ steps: [{ sh: 'echo helped' }], text: 'The helper is done.' });
  const plan = planMarker({
    steps: [
      { name: 'Read', input: { file_path: join(directory, 'pixel.png') } },
      { name: 'Agent', input: { description: 'Help', prompt: helper, subagent_type: 'general-purpose' } },
      { name: 'WebSearch', input: { query: 'a query' } },
    ],
    text: 'Done.',
  });
  expect((await conversation.ask(plan)).result).toContain('Done.');
  await conversation.ask('/compact');
  expect((await conversation.ask('[script: no-change]')).is_error).toBe(false);
  await conversation.end();
  expectAllTaken(played);
  const tools = played.model.requests().map((request) => request.tools.join());
  // The search is a request of its own, and so is each step of the helper.
  expect([tools.includes('web_search'), new Set(tools).size > 2]).toEqual([true, true]);
});

test('and so does what it asks with an API key, of another model, and when it continues with a conversation', async () => {
  const played = await gatewayOf('api-key');
  const id = crypto.randomUUID();
  const first = await played.cli(['--model', 'opus', '--session-id', id]);
  expect((await first.ask('[script: parallel-tools 3]')).is_error).toBe(false);
  await first.end();
  const second = await played.cli(['--model', 'haiku', '--effort', 'high', '--resume', id]);
  expect((await second.ask('[script: no-change]')).is_error).toBe(false);
  await second.end();
  expectAllTaken(played);
});

test('each beta that the pinned CLI names is one that the gateway knows or one that it refuses on purpose', async () => {
  const program = join(PROJECT, 'node_modules/@anthropic-ai/claude-code/bin/claude.exe');
  const names = '"[a-z][a-z0-9-]*-20[0-9][0-9]-?[0-1][0-9]-?[0-3][0-9]"';
  const { stdout } = await promisify(execFile)('grep', ['-aoE', names, program], { maxBuffer: 64 * 1024 * 1024 });
  const named = [...new Set(stdout.split('\n').map((line) => line.replaceAll('"', '')))];
  // Models and versions of tools are named in the same way.
  const betas = named.filter((name) => /-20\d\d-\d\d-\d\d$/.test(name) || name.startsWith('claude-code-2'));
  const isTaken = (beta: string) => {
    try {
      checkBetas(beta, { betas: [], keys: [], tools: [], models: [] });
      return true;
    } catch {
      return false;
    }
  };
  expect(betas.filter((beta) => !isTaken(beta)).sort()).toEqual(REFUSED_BETAS);
  // None is allowed that this CLI has no use for.
  const source = await readFile(join(PROJECT, 'src/gateway/claude/request.ts'), 'utf8');
  const listed = [...(/const BETAS = new Set\(\[([^\]]*)\]/.exec(source)?.[1] ?? '').matchAll(/'([^']+)'/g)];
  expect(listed.length).toBeGreaterThan(20);
  expect(listed.map(([, beta = '']) => beta).filter((beta) => !betas.includes(beta))).toEqual([]);
});
