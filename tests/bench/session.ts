/**
 * `npm run bench:session [ref] [minutes]`: one scripted session of 20 minutes, with and without viewers, on a clock of its own: what it
 * costs in posts, SQL statements, rows, bytes of state and R2 operations, beside the same for a baseline (a commit, c172b38
 * unless another is named), all in one run. The Worker as a deploy bundles it, in workerd with real D1, R2 and objects;
 * stand-ins for Linear and the sandbox. See docs/benchmarks.md.
 */
import { execFileSync } from 'node:child_process';
import { createHmac, randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { convertV4MiniflareOptions, Miniflare } from 'miniflare';
import { z } from 'zod';
import { plainEnvironment } from '../../dev/processes.ts';
import { PROJECT } from '../../dev/settings.ts';
import { ADMIN_TOKEN, bundleCyrus, WEBHOOK_SECRET } from './cyrus.ts';
import { type Bar, conclude, round } from './figures.ts';

const BASELINE = process.argv[2] ?? 'c172b38';
const MINUTES = Number(process.argv[3] ?? 20);
const VIEWERS = 3;
const CYCLE_MS = 20_000;
const ORGANIZATION = 'bench-organization';
const BOOT_ID = randomUUID();
const STREAM_ID = randomUUID();

const countsSchema = z.object({
  statements: z.number(),
  rowsRead: z.number(),
  rowsWritten: z.number(),
  stateBytes: z.number(),
  r2: z.number(),
  kvWrites: z.number(),
  byTable: z.record(z.string(), z.number()),
});
type Counts = z.infer<typeof countsSchema>;
const startSchema = z.object({ generation: z.number(), gateway: z.object({ url: z.string(), token: z.string() }) });
const answerSchema = z.object({ stored: z.number(), watched: z.boolean().optional() });

/** Something the sandbox reports, and when, in ms since the beginning. `urgent`: a checkpoint waits for it. */
interface Timed {
  at: number;
  event: object;
  urgent?: boolean;
}

const line = (object: object) => ({ type: 'line', line: JSON.stringify(object) });
const streamed = (id: string, event: object) =>
  line({ type: 'stream_event', event, parent_tool_use_id: null, api_message_id: id });

/** Claude works: every 20 s a message of streamed text, a call of a tool, and its result. */
function script(): Timed[] {
  const events: Timed[] = [
    { at: 0, event: { type: 'cli-started', pid: 1, resumed: false } },
    { at: 5, event: init },
  ];
  for (let cycle = 0; cycle < (MINUTES * 60_000) / CYCLE_MS; cycle += 1) {
    const begin = 1_000 + cycle * CYCLE_MS;
    const id = `msg_${cycle}`;
    const usage = { input_tokens: 4, cache_read_input_tokens: 12_000, output_tokens: 1 };
    events.push({ at: begin, event: streamed(id, { type: 'message_start', message: { id, usage } }) });
    const open = { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } };
    events.push({ at: begin + 1, event: streamed(id, open) });
    let text = '';
    for (let piece = 0; piece < 60; piece += 1) {
      const words = `words ${piece} of what Claude says. `;
      text += words;
      const delta = { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: words } };
      events.push({ at: begin + 100 + piece * 100, event: streamed(id, delta) });
    }
    const said = begin + 6_200;
    events.push({ at: said, event: assistant(id, { type: 'text', text }) });
    events.push({ at: said + 1, event: call(id, cycle) });
    events.push({ at: said + 5_000, event: callResult(cycle), urgent: true });
  }
  return events;
}

const init = line({
  type: 'system',
  subtype: 'init',
  cwd: '/workspace/shop',
  session_id: 's',
  tools: ['Bash'],
  mcp_servers: [],
  model: 'claude-sonnet-5-5',
  claude_code_version: '2.1.330',
});
const assistant = (id: string, content: object) =>
  line({
    type: 'assistant',
    message: { id, role: 'assistant', model: 'm', content: [content] },
    parent_tool_use_id: null,
  });
const call = (id: string, number: number) =>
  assistant(id, { type: 'tool_use', id: `toolu_${number}`, name: 'Bash', input: { command: `npm test -- ${number}` } });
const callResult = (number: number) =>
  line({
    type: 'user',
    message: {
      role: 'user',
      content: [{ type: 'tool_result', tool_use_id: `toolu_${number}`, content: `${'ok '.repeat(300)}${number}` }],
    },
    parent_tool_use_id: null,
  });

/** Linear's API and a sandbox server, as far as a session needs them. */
async function startStandIns() {
  const starts: { id: string; start: z.infer<typeof startSchema> }[] = [];
  const server = createServer(async (request, response) => {
    const body = await read(request);
    const [, kind, id = ''] = (request.url ?? '').split('/');
    response.setHeader('content-type', 'application/json');
    if (kind === 'graphql') return response.end(JSON.stringify({ data: linearData(body) }));
    if (kind !== 'sessions') return response.writeHead(404).end('{}');
    if (request.method === 'GET') return response.end('{"files":[]}');
    if (request.method === 'POST') return response.writeHead(202).end('{}');
    const start = startSchema.parse(JSON.parse(body));
    starts.push({ id, start });
    const { generation } = start;
    const identity = { sessionId: id, generation, bootId: BOOT_ID, streamId: STREAM_ID };
    response.end(JSON.stringify({ ...identity, lastSeq: 0, state: 'preparing' }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, starts, close: () => server.close() };
}

async function read(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

function linearData(body: string): object {
  const { variables = {} } = z
    .object({ variables: z.record(z.string(), z.unknown()).optional() })
    .parse(JSON.parse(body));
  const said = Object.keys(variables).filter((name) => /^a\d+$/.test(name));
  if (said.length > 0 || 'change' in variables)
    return Object.fromEntries(said.map((name) => [name, { success: true }]));
  const states = { nodes: [{ id: 'started', position: 1 }] };
  const team = { key: 'ENG', name: 'Engineering', states };
  return {
    viewer: { id: 'app-user' },
    issue: { description: 'It fails.', labels: { nodes: [] }, project: null, team, state: { type: 'started' } },
    issueUpdate: { success: true },
    issueRepositorySuggestions: { suggestions: [] },
  };
}

/** One session under a clock that the benchmark sets. */
class Session {
  readonly url: string;
  readonly #id: string;
  readonly #start: z.infer<typeof startSchema>;
  posts = 0;
  now: number;
  #seq = 0;
  #flushMs = 15;

  constructor(url: string, id: string, start: z.infer<typeof startSchema>, now: number) {
    this.url = url;
    this.#id = id;
    this.#start = start;
    this.now = now;
  }

  get id(): string {
    return this.#id;
  }

  async post(events: object[]): Promise<void> {
    this.posts += 1;
    const numbered = events.map((event) => ({ ...event, seq: ++this.#seq, at: this.now }));
    const { generation, gateway } = this.#start;
    const response = await fetch(`${this.url}${new URL(gateway.url).pathname}/events`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${gateway.token}`,
        'content-type': 'application/json',
        'x-bench-now': String(this.now),
      },
      body: JSON.stringify({ protocol: 2, generation, bootId: BOOT_ID, streamId: STREAM_ID, events: numbered }),
    });
    if (!response.ok) throw new Error(`a batch was answered ${response.status}: ${await response.text()}`);
    const { stored, watched } = answerSchema.parse(await response.json());
    if (stored !== this.#seq) throw new Error(`stored ${stored} instead of ${this.#seq}`);
    this.#flushMs = watched === false ? 1_000 : 15;
  }

  /** Plays events as a sandbox posts them: gathered, with an empty batch where 10 s pass without one. */
  async play(events: Timed[]): Promise<void> {
    const begun = this.now;
    let posted = Number.NEGATIVE_INFINITY;
    let gathered: object[] = [];
    let ticked = 0;
    const flush = async (at: number) => {
      this.now = begun + at;
      await this.post(gathered);
      if (at - ticked >= 1_000) {
        ticked = at;
        await this.tick();
      }
      gathered = [];
      posted = at;
    };
    for (const { at, event, urgent } of events) {
      if (gathered.length > 0 && at >= posted + this.#flushMs) await flush(Math.max(posted + this.#flushMs, at - 1));
      while (gathered.length === 0 && at - posted > 10_000 && posted > 0) await flush(posted + 10_000);
      gathered.push(event);
      if (urgent || at >= posted + this.#flushMs) await flush(at);
    }
    if (gathered.length > 0) await flush((events.at(-1)?.at ?? 0) + 1);
  }

  /** Lets the object look whether something is due. */
  async tick(): Promise<void> {
    await fetch(`${this.url}/bench/tick?session=${this.#id}`, { headers: { 'x-bench-now': String(this.now) } });
  }

  async counts(): Promise<Counts> {
    return countsSchema.parse(await (await fetch(`${this.url}/bench/counts`)).json());
  }
}

/** Bundles the Worker of a checkout and plays the session to it. */
async function measure(project: string, folder: string, viewers: number) {
  const outside = await startStandIns();
  const { variables } = await bundleOf(project, folder);
  const module = join(folder, 'cyrus', 'index.js');
  const objects = (className: string) => ({ className, useSQLite: true });
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      name: 'cyrus',
      modules: [
        {
          type: 'ESModule',
          path: join(folder, 'cyrus', 'counter.js'),
          contents: readFileSync(join(PROJECT, 'tests/bench/session-counter.js'), 'utf8'),
        },
        { type: 'ESModule', path: module, contents: readFileSync(module, 'utf8') },
      ],
      modulesRoot: join(folder, 'cyrus'),
      compatibilityDate: '2026-10-01',
      durableObjects: {
        ISSUE_SESSION: objects('IssueSession'),
        SANDBOX_CONTAINER: objects('SandboxContainer'),
        LINEAR_WORKSPACE: objects('LinearWorkspace'),
        CLAUDE_ACCOUNT: objects('ClaudeAccount'),
        WORKSPACE_QUEUE: objects('WorkspaceQueue'),
      },
      d1Databases: ['DB'],
      r2Buckets: ['LOGS'],
      bindings: {
        ...variables,
        PAUSED: 'false',
        LINEAR_API_URL: `${outside.url}/graphql`,
        SANDBOX_ENDPOINT_URL: outside.url,
      },
      unsafeDirectSockets: [{ host: '127.0.0.1', port: 0 }],
    }),
  );
  const sockets: WebSocket[] = [];
  try {
    const database = await miniflare.getD1Database('DB');
    const migrations = join(project, 'migrations');
    for (const file of readdirSync(migrations)
      .filter((name) => name.endsWith('.sql'))
      .toSorted()) {
      for (const statement of readFileSync(join(migrations, file), 'utf8').split('--> statement-breakpoint')) {
        await database.prepare(statement).run();
      }
    }
    const url = (await miniflare.unsafeGetDirectURL('cyrus')).origin;
    const session = await begin(url, outside.starts);
    for (let viewer = 0; viewer < viewers; viewer += 1) sockets.push(await watch(url, session.id));
    await session.play(script());
    const before = await session.counts();
    const atPlay = { posts: session.posts, ...before };
    const figures = await marginal(session);
    const turnEnd = await endOfTurn(session);
    return { ...atPlay, ...figures, ...turnEnd, peakMemoryMb: round(peakMemory() / 1024, 0) };
  } finally {
    for (const socket of sockets) socket.close();
    await miniflare.dispose();
    outside.close();
  }
}

/** Rows of one piece of streamed text, and of one call with its result, each posted by itself. */
async function marginal(session: Session) {
  const rows = async (...batches: object[][]) => {
    const before = await session.counts();
    for (const batch of batches) {
      session.now += 200;
      await session.post(batch);
    }
    const after = await session.counts();
    const outbox = (after.byTable.outbox ?? 0) - (before.byTable.outbox ?? 0);
    return { all: after.rowsWritten - before.rowsWritten, outbox };
  };
  const delta = { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'more ' } };
  await session.post([streamed('m', { type: 'message_start', message: { id: 'm', usage: {} } })]);
  const one = await rows([streamed('m', delta)]);
  const apart = await rows([call('n', 9_001)], [callResult(9_001)]);
  return {
    rowsOfDelta: one.all,
    rowsOfCall: apart.all - apart.outbox,
    rowsOfCallInOutbox: apart.outbox,
  };
}

/** A turn of 3,000 entries ends: rows written by the end alone. */
async function endOfTurn(session: Session) {
  for (let number = 10_000; number < 11_500; number += 1) {
    session.now += 1_000;
    await session.post([call(`e${number}`, number), callResult(number)]);
    if (number % 50 === 0) await session.tick();
  }
  await settled(session);
  const before = await session.counts();
  const usage = { input_tokens: 10, output_tokens: 5 };
  const result = { type: 'result', subtype: 'success', is_error: false, result: 'Done.', num_turns: 2, duration_ms: 1 };
  await session.post([line({ ...result, duration_api_ms: 1, total_cost_usd: 0.01, usage, permission_denials: [] })]);
  const head = 'a'.repeat(40);
  const saved = { type: 'saved', turn: 1, branch: 'cyrus/eng-1', head, commits: [], files: [], newCommits: 0 };
  await session.post([{ ...saved, pushed: true, patchBytes: null }]);
  await settled(session);
  const after = await session.counts();
  return { rowsOfTurnEnd: after.rowsWritten - before.rowsWritten, r2OfTurnEnd: after.r2 - before.r2 };
}

/** Until nothing is stored any more. */
async function settled(session: Session): Promise<void> {
  for (let same = 0, rows = -1; same < 5; ) {
    session.now += 5_000;
    await session.tick();
    await new Promise((resolve) => setTimeout(resolve, 100));
    const { statements } = await session.counts();
    same = statements === rows ? same + 1 : 0;
    if (statements - rows <= 2) same += 1;
    rows = statements;
  }
}

async function begin(url: string, starts: { id: string; start: z.infer<typeof startSchema> }[]): Promise<Session> {
  const admin = { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' };
  const workspace = { name: 'Bench', urlKey: 'bench', appUserId: 'app-user', accessToken: 'lin_oauth_bench' };
  const repository = { cloneUrl: 'https://git.example/acme/shop.git', baseBranch: 'main' };
  for (const [path, body] of [
    [`/api/admin/workspaces/${ORGANIZATION}`, workspace],
    [`/api/admin/workspaces/${ORGANIZATION}/repositories/acme/shop`, repository],
  ] as const) {
    const response = await fetch(url + path, { method: 'PUT', headers: admin, body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`${path} was answered ${response.status}: ${await response.text()}`);
  }
  const id = randomUUID();
  const issueId = randomUUID();
  const issue = { id: issueId, identifier: 'ENG-1', title: 'Bench', url: 'https://linear.app/acme/issue/ENG-1' };
  const now = Date.now();
  const body = JSON.stringify({
    type: 'AgentSessionEvent',
    action: 'created',
    organizationId: ORGANIZATION,
    appUserId: 'app-user',
    webhookTimestamp: now,
    agentSession: { id, issueId, issue, creatorId: 'user', creator: { id: 'user', name: 'Ada' } },
    promptContext: null,
    guidance: null,
  });
  const response = await fetch(`${url}/webhooks/linear`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'linear-delivery': randomUUID(),
      'linear-signature': createHmac('sha256', WEBHOOK_SECRET).update(body).digest('hex'),
      'x-bench-now': String(now),
    },
    body,
  });
  if (!response.ok) throw new Error(`the webhook was answered ${response.status}: ${await response.text()}`);
  for (let waited = 0; starts.length === 0; waited += 50) {
    if (waited > 30_000) throw new Error('the sandbox was not started');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const [started] = starts;
  if (!started) throw new Error('the sandbox was not started');
  return new Session(url, started.id, started.start, now + 1_000);
}

async function watch(url: string, id: string): Promise<WebSocket> {
  const live = new URL(`/api/sessions/${id}/live?after=0&protocol=2`, url);
  live.protocol = 'ws:';
  const socket = new WebSocket(live);
  // As a page does: a sign that it reads.
  const ping = setInterval(() => socket.readyState === WebSocket.OPEN && socket.send('ping'), 500);
  socket.addEventListener('close', () => clearInterval(ping));
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve, { once: true });
    socket.addEventListener('error', () => reject(new Error('the socket was refused')), { once: true });
  });
  return socket;
}

/** Most memory that a workerd of this process has held, in KiB. */
function peakMemory(): number {
  let most = 0;
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      const status = readFileSync(`/proc/${name}/status`, 'utf8');
      if (!/^Name:\s+workerd/m.test(status) || !new RegExp(`^PPid:\\s+${process.pid}$`, 'm').test(status)) continue;
      most = Math.max(most, Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0));
    } catch {
      // Gone meanwhile.
    }
  }
  return most;
}

async function bundleOf(project: string, folder: string): Promise<{ variables: Record<string, string> }> {
  // Nothing asks for the page; a bundle wants its folder all the same.
  for (const checkout of [PROJECT, project]) mkdirSync(join(checkout, 'dist', 'web'), { recursive: true });
  if (project === PROJECT) return bundleCyrus(folder);
  const { variables } = await bundleCyrus(join(folder, 'own'));
  const args = ['deploy', '--dry-run', '--containers-rollout=none', '--outdir', join(folder, 'cyrus')];
  const env = { ...plainEnvironment(), CI: 'true', WRANGLER_SEND_METRICS: 'false' };
  execFileSync(join(project, 'node_modules', '.bin', 'wrangler'), args, { cwd: project, env, stdio: 'pipe' });
  return { variables };
}

const folder = mkdtempSync(join(tmpdir(), 'cyrus-bench-'));
const baseline = join(folder, 'baseline');
const git = (...args: string[]) => execFileSync('git', args, { cwd: PROJECT, stdio: 'pipe' });
try {
  git('worktree', 'add', '--detach', baseline, BASELINE);
  symlinkSync(join(PROJECT, 'node_modules'), join(baseline, 'node_modules'));
  const runs: Record<string, Awaited<ReturnType<typeof measure>>> = {};
  for (const [name, project, viewers] of [
    ['now', PROJECT, 0],
    ['nowWatched', PROJECT, VIEWERS],
    ['before', baseline, 0],
    ['beforeWatched', baseline, VIEWERS],
  ] as const) {
    console.error(`${name}: ${MINUTES} minutes, ${viewers} viewers`);
    runs[name] = await measure(project, join(folder, name), viewers);
    console.error(JSON.stringify(runs[name]));
  }
  const { now, nowWatched, before } = runs;
  if (!now || !nowWatched || !before) throw new Error('a run is missing');
  const bars: Bar[] = [
    bar('posts without viewers, as a share of before', now.posts / before.posts, 1 / 3),
    bar('rows written for a piece of streamed text', Math.max(now.rowsOfDelta, nowWatched.rowsOfDelta), 1),
    bar('rows written for a call with its result', Math.max(now.rowsOfCall, nowWatched.rowsOfCall), 4),
    bar('rows written at the end of a turn of 3,000 entries', now.rowsOfTurnEnd, 1_000),
    bar('bytes of state written, as a share of before', now.stateBytes / before.stateBytes, 0.5),
  ];
  conclude({ bench: 'session', minutes: MINUTES, viewers: VIEWERS, baseline: BASELINE, ...runs }, bars);
} finally {
  git('worktree', 'remove', '--force', baseline);
  rmSync(folder, { recursive: true, force: true });
}

function bar(words: string, measured: number, most: number): Bar {
  return { bar: `${words}: at most ${round(most)}`, measured: round(measured, 3), holds: measured <= most };
}
