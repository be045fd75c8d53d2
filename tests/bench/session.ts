/**
 * `npm run bench:session [ref] [minutes]`: one scripted session of 20 minutes, in real time, with and without viewers: what it costs in
 * posts, SQL statements, rows, bytes of state and R2 operations, beside the same for a baseline (a commit, c172b38 unless another
 * is named), all four side by side in one run. The Worker as a deploy bundles it, in workerd with real D1, R2 and objects, and the
 * sandbox server's own journal and poster, each of its own checkout; stand-ins for Linear and the sandbox. See docs/benchmarks.md.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { plainEnvironment } from '../../dev/processes.ts';
import { PROJECT } from '../../dev/settings.ts';
import { MOST_LATE_MS } from '../../src/session/lifecycle/model/post-pacing.ts';
import { bundleCyrus } from './cyrus.ts';
import { type Bar, conclude, median, round } from './figures.ts';
import { startBundle } from './miniflare.ts';
import { BOOT_ID, beginSession, STREAM_ID, type Start, startOutside } from './session-outside.ts';

const BASELINE = process.argv[2] ?? 'c172b38';
const MINUTES = Number(process.argv[3] ?? 20);
const VIEWERS = 3;
const CYCLE_MS = 20_000;

/** What issue sessions have done: see session-counter.js. Rows are those of objects; D1's are counted apart. */
const countsSchema = z.object({
  posts: z.number(),
  statements: z.number(),
  rowsRead: z.number(),
  rowsWritten: z.number(),
  stateBytes: z.number(),
  kvWrites: z.number(),
  alarms: z.number(),
  d1: z.object({ statements: z.number(), rowsRead: z.number(), rowsWritten: z.number() }),
  r2: z.record(z.string(), z.number()),
  byTable: z.record(z.string(), z.number()),
});
type Counts = z.infer<typeof countsSchema>;
const answerSchema = z.object({ stored: z.number() });

/** Something the sandbox reports, and when, in ms since the beginning. `isCheckpoint`: a checkpoint is made of it. */
interface Timed {
  at: number;
  event: object;
  isCheckpoint?: boolean;
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
    events.push({ at: said + 5_000, event: callResult(cycle), isCheckpoint: true });
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

/** One session, with the sending side of a sandbox server. */
class Session {
  readonly url: string;
  readonly id: string;
  readonly #start: Start;
  /** Of the clock that the benchmark sets once the script is played, in ms since the epoch. */
  now = 0;
  #seq = 0;
  #checkpoints = 0;

  constructor(url: string, id: string, start: Start) {
    this.url = url;
    this.id = id;
    this.#start = start;
  }

  /** Plays events in real time, by the journal and the poster of a checkout. */
  async play(events: Timed[], project: string, folder: string): Promise<void> {
    const { EventJournal } = await containerOf<typeof import('../../container/events/journal.ts')>(project, [
      'events/journal',
      'journal',
    ]);
    const { EventPoster } = await containerOf<typeof import('../../container/events/event-poster.ts')>(project, [
      'events/event-poster',
      'post',
    ]);
    const { generation, gateway } = this.#start;
    const journal = await EventJournal.open(join(folder, 'events'));
    const poster = new EventPoster({
      journal,
      fresh: true,
      address: {
        sessionId: this.id,
        generation,
        bootId: BOOT_ID,
        streamId: STREAM_ID,
        gatewayUrl: `${this.url}${new URL(gateway.url).pathname}`,
        token: gateway.token,
      },
      isBusy: () => true,
      onSuperseded: (message) => {
        throw new Error(`superseded: ${message}`);
      },
      onReconnected: () => {},
    });
    const begun = performance.now();
    for (const { at, event, isCheckpoint } of events) {
      const wait = at - (performance.now() - begun);
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
      // Made by `script`, of the shapes that both versions know.
      journal.append(event as Parameters<typeof journal.append>[0]);
      if (!isCheckpoint) continue;
      if (!(await poster.flush(60_000))) throw new Error('the events of a checkpoint were not stored');
      await this.#checkpoint(journal.lastSeq);
    }
    if (!(await poster.flush(60_000))) throw new Error('not everything was stored');
    await poster.stop();
    this.#seq = journal.lastSeq;
    await journal.close();
    this.now = Date.now() + 1_000;
  }

  /** What a sandbox stores after a batch of tools: a bundle, what is new of the transcript, and the manifest. */
  async #checkpoint(eventSeq: number): Promise<void> {
    this.#checkpoints += 1;
    const sequence = this.#checkpoints;
    const { generation, repository, claude } = this.#start;
    const object = async (kind: 'bundle' | 'part') => {
      const name = `${String(sequence).padStart(8, '0')}-0123abcd.${kind}`;
      const body = `${kind} ${sequence} `.repeat(200);
      await this.#put(`/checkpoint/${name}`, body);
      const sha256 = createHash('sha256').update(body).digest('hex');
      return { name, bytes: body.length, sha256 };
    };
    const bundle = await object('bundle');
    const part = await object('part');
    const commit = 'b'.repeat(40);
    const worktree = { commit, index: commit, head: commit, headRef: null, branchHead: commit, bundles: [bundle] };
    const manifest = {
      version: 1,
      generation,
      sequence,
      at: Date.now(),
      conversationId: claude.conversationId,
      repository: repository.fullName,
      branch: repository.branch,
      eventSeq,
      prompts: [],
      worktree: { ...worktree, skipped: [] },
      files: [{ path: 'projects/shop/conversation.jsonl', bytes: part.bytes, sha256: part.sha256, parts: [part] }],
    };
    await this.#put('/checkpoint', JSON.stringify(manifest));
  }

  async #put(path: string, body: string): Promise<void> {
    const { gateway } = this.#start;
    const headers = { authorization: `Bearer ${gateway.token}`, 'content-type': 'application/json' };
    const address = `${this.url}${new URL(gateway.url).pathname}${path}`;
    const response = await fetch(address, { method: 'PUT', headers, body });
    if (!response.ok) throw new Error(`${path} was answered ${response.status}: ${await response.text()}`);
  }

  /** Posts a batch by itself, under the clock that the benchmark sets. */
  async post(events: object[]): Promise<void> {
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
    const { stored } = answerSchema.parse(await response.json());
    if (stored !== this.#seq) throw new Error(`stored ${stored} instead of ${this.#seq}`);
  }

  /** Lets the object look whether something is due, under the clock that the benchmark sets. */
  async tick(): Promise<void> {
    await fetch(`${this.url}/bench/tick?session=${this.id}`, { headers: { 'x-bench-now': String(this.now) } });
  }

  async counts(): Promise<Counts> {
    return countsSchema.parse(await (await fetch(`${this.url}/bench/counts`)).json());
  }
}

/** A module of a checkout's sandbox server. */
function containerOf<Module>(project: string, names: readonly string[]): Promise<Module> {
  const files = names.map((name) => join(project, 'container', `${name}.ts`));
  const file = files.find((one) => existsSync(one));
  if (file === undefined) throw new Error(`${project} has none of ${files.join(', ')}`);
  return import(file);
}

/** A session that waits for what its sandbox reports. */
interface Contender {
  name: string;
  project: string;
  folder: string;
  session: Session;
  /** Process id of its workerd. */
  pid: number;
  end: () => Promise<void>;
}

/** Bundles the Worker of a checkout and begins a session in it. */
async function start(name: string, project: string, folder: string, viewers: number): Promise<Contender> {
  const outside = await startOutside();
  const { variables } = await bundleOf(project, folder);
  const others = workerds();
  const { url, miniflare } = await startBundle(
    join(folder, 'cyrus'),
    { ...variables, PAUSED: 'false', LINEAR_API_URL: `${outside.url}/graphql`, SANDBOX_ENDPOINT_URL: outside.url },
    { entry: readFileSync(join(PROJECT, 'tests/bench/session-counter.js'), 'utf8'), project },
  );
  const sockets: WebSocket[] = [];
  const end = async () => {
    for (const socket of sockets) socket.close();
    await miniflare.dispose();
    outside.close();
  };
  try {
    const started = await beginSession(url, outside);
    const session = new Session(url, started.id, started.start);
    for (let viewer = 0; viewer < viewers; viewer += 1) sockets.push(await watch(url, session.id));
    const pid = workerds().find((one) => !others.includes(one)) ?? 0;
    return { name, project, folder, session, pid, end };
  } catch (error) {
    await end();
    throw error;
  }
}

/** Plays the script, then looks at single steps and at the end of a long turn. */
async function measure({ project, folder, session, pid }: Contender) {
  await session.play(script(), project, folder);
  const played = await session.counts();
  const peakMemoryMb = round(memory(pid) / 1024, 0);
  return async () => ({ ...played, peakMemoryMb, ...(await marginal(session)), ...(await endOfTurn(session)) });
}

/** Calls that are looked at one by one; the median counts, for now and then a snapshot of the state is written beside. */
const CALLS = 11;

/** Rows of one piece of streamed text, and of one call with its result and all that Linear is told of it, each posted by itself. */
async function marginal(session: Session) {
  const rows = async (act: () => Promise<void>, isWaiting = false) => {
    const before = await session.counts();
    await act();
    const after = await session.counts();
    // The sandbox's signs of life are no part of a call.
    const signs = isWaiting ? (after.byTable.progress ?? 0) - (before.byTable.progress ?? 0) : 0;
    return after.rowsWritten - before.rowsWritten - signs;
  };
  const delta = { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'more ' } };
  await session.post([streamed('m', { type: 'message_start', message: { id: 'm', usage: {} } })]);
  await settled(session);
  session.now += 200;
  const rowsOfDelta = await rows(() => session.post([streamed('m', delta)]));
  const calls: number[] = [];
  for (let number = 9_000; number < 9_000 + CALLS; number += 1) {
    const asked = await rows(() => session.post([call(`n${number}`, number)]));
    session.now += 10_000;
    const answered = await rows(() => session.post([callResult(number)]));
    const told = await rows(async () => {
      for (let waited = 0; waited < MOST_LATE_MS; waited += 10_000) {
        session.now += 10_000;
        await session.post([]);
        await session.tick();
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }, true);
    calls.push(asked + answered + told);
  }
  return { rowsOfDelta, rowsOfCall: median(calls), rowsOfCallMean: round(calls.reduce((a, b) => a + b, 0) / CALLS) };
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
  const r2 = (counts: Counts) => Object.values(counts.r2).reduce((sum, number) => sum + number, 0);
  return { rowsOfTurnEnd: after.rowsWritten - before.rowsWritten, r2OfTurnEnd: r2(after) - r2(before) };
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

/** Process ids of the workerds that this process has started. */
function workerds(): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => {
      const status = statusOf(pid);
      return /^Name:\s+workerd/m.test(status) && new RegExp(`^PPid:\\s+${process.pid}$`, 'm').test(status);
    });
}

/** Most memory that a process has held, in KiB (proc(5), VmHWM). */
function memory(pid: number): number {
  return Number(/^VmHWM:\s+(\d+)/m.exec(statusOf(pid))?.[1] ?? 0);
}

function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8');
  } catch {
    // Gone meanwhile.
    return '';
  }
}

async function bundleOf(project: string, folder: string): Promise<{ variables: Record<string, string> }> {
  if (project === PROJECT) return bundleCyrus(folder);
  // A bundle needs the page's folder, although no benchmark loads the page.
  mkdirSync(join(project, 'dist', 'web'), { recursive: true });
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
  const contenders: Contender[] = [];
  const runs: Record<string, Awaited<ReturnType<Awaited<ReturnType<typeof measure>>>>> = {};
  try {
    for (const [name, project, viewers] of [
      ['now', PROJECT, 0],
      ['nowWatched', PROJECT, VIEWERS],
      ['before', baseline, 0],
      ['beforeWatched', baseline, VIEWERS],
    ] as const) {
      contenders.push(await start(name, project, join(folder, name), viewers));
    }
    console.error(`${MINUTES} minutes`);
    const played = await Promise.all(contenders.map(measure));
    for (const [index, { name }] of contenders.entries()) {
      const figures = await played[index]?.();
      if (figures) runs[name] = figures;
      console.error(name, JSON.stringify(figures));
    }
  } finally {
    await Promise.all(contenders.map(({ end }) => end()));
  }
  const { now, nowWatched, before } = runs;
  if (!now || !nowWatched || !before) throw new Error('a run is missing');
  const bars: Bar[] = [
    bar('posts without viewers, as a share of before', now.posts / before.posts, 1 / 3),
    bar('rows written for a piece of streamed text', Math.max(now.rowsOfDelta, nowWatched.rowsOfDelta), 1),
    bar(
      'rows written for a call with its result, and for telling Linear of it',
      Math.max(now.rowsOfCall, nowWatched.rowsOfCall),
      4,
    ),
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
