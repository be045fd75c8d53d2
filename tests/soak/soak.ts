/**
 * `npm run soak`: ten sessions at once, each with hundreds of tool calls, comments every 30 s and viewers, for ten minutes: the
 * whole of Cyrus as `npm start` has it, with the real CLI, its real pacing and the scripted model. Held to: what people wait
 * for is in Linear in time, journals are whole and viewers see just them, the Worker's heap stays as it is, and no process is
 * left at rest. Then the tool loop in a large repository beside the CLI's alone (tests/bench/tools.ts). See docs/benchmarks.md.
 */
import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { scripts } from '../../dev/claude/scripts.ts';
import { freePorts } from '../../dev/settings.ts';
import type { Stack } from '../../dev/stack.ts';
import { MOST_LATE_MS } from '../../src/session/lifecycle/model/post-pacing.ts';
import { type Bar, conclude, median, percentile, round } from '../bench/figures.ts';
import type { CyrusSession } from '../e2e/cyrus-session.ts';
import { isClosing, LinearThread } from '../e2e/linear-thread.ts';
import { until } from '../e2e/run.ts';
import { endProcesses, makeFolder, nothingRuns, processesOf, setStack } from '../e2e/stage.ts';
import { workerRuntime } from '../e2e/worker-runtime.ts';
import { growth, WorkerMemory } from './heap.ts';
import { type Awaited, type Lateness, lateness } from './punctuality.ts';
import { soak } from './soak-script.ts';
import { Viewer } from './viewer.ts';
import { isWhole, transcriptOf } from './wholeness.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    sessions: { type: 'string', default: '10' },
    viewers: { type: 'string', default: '15' },
    /** Seconds between two comments on a session. */
    comments: { type: 'string', default: '30' },
    /** Ms of thought before each call. */
    thought: { type: 'string', default: '1500' },
    /** Files of the large repository, bytes of each, and calls in it; no calls: it is left out. */
    files: { type: 'string', default: '60000' },
    bytes: { type: 'string', default: '25000' },
    tools: { type: 'string', default: '30' },
    /** Keep the folder with its logs. */
    keep: { type: 'boolean', default: false },
  },
});
const MINUTES = Number(values.minutes);
const SESSIONS = Number(values.sessions);
const VIEWERS = Number(values.viewers);
const COMMENT_MS = Number(values.comments) * 1_000;
const THOUGHT_MS = Number(values.thought);
const TOOLS = Number(values.tools);

/** What a person waits for is in Linear so soon, in 95 of 100 cases, and in 99. */
const MOST_P95_MS = 2_000;
const MOST_P99_MS = 5_000;
/** What the heap may grow in an hour, measured after its first fifth: ten sessions of many hours stay far below an isolate's 128 MB. */
const MOST_GROWTH_MB_AN_HOUR = 24;
/** A shorter run says nothing of an hour: then the heap may grow by so much at all. */
const MOST_GROWN_MB = 6;
const SAMPLE_MS = 15_000;
/** Without a turn the CLI is ended after so long; in production after 5 min. */
const IDLE_MINUTES = 0.25;
const REST_LIMIT_MS = 60_000;
/** From the last comment until every session has answered: what was asked in between is done in the same turn. */
const END_LIMIT_MS = 5 * 60_000;

interface Person {
  number: number;
  thread: LinearThread;
  session: CyrusSession;
  /** Its first request lasts as long as the run; the others ask for many short ones. */
  isLong: boolean;
  parts: number;
}

scripts.soak = soak;
const folder = makeFolder();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    endProcesses(folder);
    process.exit(130);
  });
}
const problems: string[] = [];
let isOver = false;

async function main(): Promise<void> {
  // Nothing listens on it: the first ports are kept for the parts.
  const { cyrus: inspectorPort } = await freePorts();
  const sandboxVariables = { CYRUS_IDLE_MINUTES: String(IDLE_MINUTES) };
  const stack = await setStack({ folder, inspectorPort, sandboxVariables, pace: 2 });
  try {
    const memory = new WorkerMemory(inspectorPort, stack.url, () => workerRuntime(stack));
    const measured = await play(stack, memory);
    await stack.close();
    await nothingRuns(folder).catch((error) => problems.push(String(error)));
    const tools = TOOLS > 0 ? await toolLoop() : null;
    report(measured, memory, tools);
  } finally {
    isOver = true;
    await stack.close();
    endProcesses(folder);
    if (!values.keep && problems.length === 0) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    else console.error(`Logs are in ${folder}.`);
  }
}

interface Measured {
  late: Lateness[];
  calls: number[];
  prompts: number;
  answers: number;
  entries: number;
  reconnections: number;
  seconds: number;
}

async function play(stack: Stack, memory: WorkerMemory): Promise<Measured> {
  const since = Date.now();
  const people = await Promise.all(Array.from({ length: SESSIONS }, (_, number) => begin(stack, number)));
  const viewers = Array.from({ length: VIEWERS }, (_, at) => watch(stack, people[at % SESSIONS]));
  const end = since + MINUTES * 60_000;
  const sampling = sampleMemory(memory, end);
  await Promise.all(people.map((person) => comment(stack, person, end)));
  await sampling;
  const telling = setInterval(() => {
    for (const { thread, number } of people)
      console.error(`session ${number}: ${thread.shown.slice(-3).join(' → ').slice(0, 300)}`);
  }, 20_000);
  await Promise.all(people.map(finished)).finally(() => clearInterval(telling));
  const played = Date.now();
  console.error(`all have answered after ${Math.round((played - since) / 1_000)} s`);
  await atRest();
  const measured: Measured = { late: [], calls: [], prompts: 0, answers: 0, entries: 0, reconnections: 0, seconds: 0 };
  for (const person of people) await judge(stack, person, viewers, measured);
  for (const { viewer } of viewers) {
    measured.reconnections += viewer.connections - 1;
    viewer.close();
  }
  return { ...measured, seconds: Math.round((played - since) / 1_000) };
}

async function begin(stack: Stack, number: number): Promise<Person> {
  const isLong = number % 2 === 0;
  // A tool takes about a second and a half more than the thought before it while all of them work.
  const calls = isLong ? Math.max(10, Math.round((MINUTES * 60_000) / (THOUGHT_MS + 500))) : 12;
  const thread = LinearThread.assign(stack.linear, `Soak ${number}`, request(number, 0, calls));
  return { number, thread, session: await thread.livePage(), isLong, parts: 1 };
}

function request(number: number, part: number, calls: number): string {
  return `[script: soak ${number} ${part} ${calls} ${THOUGHT_MS}]`;
}

function watch(stack: Stack, person: Person | undefined): { viewer: Viewer; id: string } {
  const id = person?.session.id ?? '';
  return { viewer: new Viewer(stack.url, id), id };
}

/** Writes in the thread now and then; now and then what it asks leads to a question, which is answered. */
async function comment(stack: Stack, person: Person, end: number): Promise<void> {
  const { linear } = stack;
  const answering = setInterval(() => {
    const { id, status } = person.thread.session;
    if (status === 'awaitingInput') linear.choose(id, optionOf(person.thread));
  }, 1_000);
  try {
    // Not all at the same moment.
    await pause(Math.min(COMMENT_MS, end - Date.now()) * ((person.number + 1) / (SESSIONS + 1)));
    while (Date.now() + COMMENT_MS / 2 < end) {
      linear.replyToSession(person.thread.session.id, nextWords(person));
      await pause(Math.min(COMMENT_MS, Math.max(0, end - Date.now())));
    }
  } finally {
    // A question of the last turn is still to be answered.
    void finished(person).finally(() => clearInterval(answering));
  }
}

function nextWords(person: Person): string {
  const part = person.parts++;
  if (person.isLong) return `Remark ${part}: mind the shipping costs. [script: no-change]`;
  if (part % 4 === 3) return `Request ${part} [script: question]`;
  return `Request ${part} ${request(person.number, part, 8)}`;
}

function optionOf({ activities }: LinearThread): string {
  const asked: { options?: { value: string }[] } = Object(
    activities.findLast(({ type }) => type === 'elicitation'),
  ).signalMetadata;
  return asked.options?.[0]?.value ?? 'Red';
}

/** Until every request has its answer. */
async function finished({ thread, session }: Person): Promise<void> {
  const isDone = async () => {
    const last = thread.activities.filter((one) => one.type === 'prompt' || isClosing(one)).at(-1);
    return last !== undefined && last.type !== 'prompt' && (await session.phase()) === 'waiting';
  };
  await until(`the last answer on ${thread.issue}`, isDone, {
    limitMs: MINUTES * 60_000 + END_LIMIT_MS,
    everyMs: 500,
    describe: () => thread.shown.slice(-4),
  });
}

async function sampleMemory(memory: WorkerMemory, end: number): Promise<void> {
  while (Date.now() < end && !isOver) {
    const { heap, rss } = await memory.sample();
    console.error(`heap ${megabytes(heap)} MB, process ${megabytes(rss)} MB`);
    await pause(Math.max(0, Math.min(SAMPLE_MS, end - Date.now())));
  }
}

/** Waits until Claude's processes and what they started are gone; the server stays. */
async function atRest(): Promise<void> {
  const left = () => processesOf(folder).filter(({ command }) => command.includes('--input-format stream-json'));
  await until('the end of every process of Claude', () => left().length === 0, {
    limitMs: IDLE_MINUTES * 60_000 + REST_LIMIT_MS,
    everyMs: 500,
    describe: left,
  }).catch((error) => problems.push(String(error)));
}

async function judge(
  stack: Stack,
  { number, thread, session }: Person,
  viewers: { viewer: Viewer; id: string }[],
  measured: Measured,
): Promise<void> {
  const { entries } = await session.read();
  const late = new Viewer(stack.url, session.id);
  try {
    await until('a replay for a viewer who comes last', () => late.entries.length >= entries.length);
    const watched = viewers.filter(({ id }) => id === session.id).map(({ viewer }) => viewer);
    isWhole(entries, transcriptOf(stack.sandboxRoot, session.id), [...watched, late]);
    const { late: times, missing } = lateness(entries, thread.activities);
    problems.push(...missing.map((what) => `session ${number}: ${what}: ${thread.shown.slice(-6).join(' → ')}`));
    measured.late.push(...times);
    const slow = times.filter(({ of, ms }) => of !== 'news' && ms > MOST_P95_MS);
    for (const { of, ms } of slow) console.error(`session ${number}: ${of} after ${ms} ms`);
  } catch (error) {
    problems.push(`session ${number}: ${inWords(error)}`);
  } finally {
    late.close();
  }
  const failed = entries.filter((entry) => entry.kind === 'effect-failed');
  if (failed.length > 0) problems.push(`session ${number}: ${JSON.stringify(failed[0])}`);
  const ended = entries.filter((entry) => entry.kind === 'turn-ended' && entry.outcome !== 'completed');
  if (ended.length > 0) problems.push(`session ${number}: ${JSON.stringify(ended[0])}`);
  measured.calls.push(entries.filter(({ kind }) => kind === 'tool-call').length);
  measured.prompts += entries.filter(({ kind }) => kind === 'prompt').length;
  measured.answers += thread.activities.filter(isClosing).length;
  measured.entries += entries.length;
}

/** The tool loop of a large repository in a session, beside the CLI's alone. @returns what the benchmark prints */
async function toolLoop(): Promise<{ ok: boolean }> {
  const bench = join(import.meta.dirname, '..', 'bench', 'tools.ts');
  const args = [bench, values.files, values.bytes, values.tools];
  const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 64 * 1024 * 1024 }).catch(
    // Bars that were missed are in what it printed.
    (error: unknown) => Object(error) as { stdout: string },
  );
  const last = stdout.trim().split('\n').at(-1) ?? '';
  return Object(JSON.parse(last || '{"ok":false}'));
}

function report(measured: Measured, memory: WorkerMemory, tools: { ok: boolean } | null): void {
  const of = (...kinds: Awaited[]) =>
    measured.late
      .filter((one) => kinds.includes(one.of))
      .map(({ ms }) => ms)
      .toSorted((a, b) => a - b);
  const awaited = of('answer', 'question', 'acknowledgement');
  const figure = (times: number[]) => ({
    count: times.length,
    p50Ms: percentile(times, 0.5),
    p95Ms: percentile(times, 0.95),
    p99Ms: percentile(times, 0.99),
    mostMs: times.at(-1) ?? Number.NaN,
  });
  const all = figure(awaited);
  const news = figure(of('news'));
  const settled = memory.samples.filter(({ at }) => at > MINUTES * 12_000);
  const firstHalf = settled.slice(0, Math.ceil(settled.length / 2));
  const grownMb =
    (median(settled.slice(-firstHalf.length).map(({ heap }) => heap)) - median(firstHalf.map(({ heap }) => heap))) /
    1e6;
  const slope = (growth(settled, ({ heap }) => heap) * 60) / 1e6;
  const isLongEnough = MINUTES >= 5;
  const flat = isLongEnough
    ? {
        bar: `the heap grows by at most ${MOST_GROWTH_MB_AN_HOUR} MB an hour`,
        measured: round(slope, 1),
        holds: slope <= MOST_GROWTH_MB_AN_HOUR,
      }
    : {
        bar: `the heap grows by at most ${MOST_GROWN_MB} MB`,
        measured: round(grownMb, 1),
        holds: grownMb <= MOST_GROWN_MB,
      };
  const bars: Bar[] = [
    { bar: `95 of 100 answers within ${MOST_P95_MS} ms`, measured: all.p95Ms, holds: all.p95Ms <= MOST_P95_MS },
    { bar: `99 of 100 answers within ${MOST_P99_MS} ms`, measured: all.p99Ms, holds: all.p99Ms <= MOST_P99_MS },
    {
      bar: `gathered news within ${MOST_LATE_MS + MOST_P99_MS} ms`,
      measured: news.mostMs,
      holds: news.mostMs <= MOST_LATE_MS + MOST_P99_MS,
    },
    flat,
    { bar: 'nothing is missing, doubled or left over', measured: problems.length, holds: problems.length === 0 },
    ...(tools
      ? [{ bar: "the large repository's tool loop meets its bars", measured: Number(tools.ok), holds: tools.ok }]
      : []),
  ];
  for (const problem of problems) console.error(`✗ ${problem}`);
  conclude(
    {
      soak: true,
      minutes: MINUTES,
      sessions: SESSIONS,
      viewers: VIEWERS,
      commentSeconds: COMMENT_MS / 1_000,
      calls: measured.calls,
      prompts: measured.prompts,
      answers: measured.answers,
      entries: measured.entries,
      reconnections: measured.reconnections,
      seconds: measured.seconds,
      lateness: {
        all,
        answer: figure(of('answer')),
        question: figure(of('question')),
        acknowledgement: figure(of('acknowledgement')),
        news,
      },
      heapMb: memory.samples.map(({ heap }) => megabytes(heap)),
      buffersMb: memory.samples.map(({ buffers }) => megabytes(buffers)),
      rssMb: memory.samples.map(({ rss }) => megabytes(rss)),
      heapMbAnHour: round(slope, 1),
      ...(tools && { tools }),
    },
    bars,
  );
}

function megabytes(bytes: number): number {
  return round(bytes / 1e6, 1);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
}

function inWords(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { expected, seen }: { expected?: unknown; seen?: unknown } = Object(error);
  const more =
    expected === undefined ? '' : ` expected ${String(expected).slice(0, 400)}, seen ${String(seen).slice(0, 400)}`;
  return `${error.message}${more}`;
}

await main();
