/**
 * `npm run e2e:versions`: this version beside another one, for real: an older sandbox server under this Worker, this sandbox server
 * under the older Worker, and a session that began under the older Worker and goes on, on the same storage, under this one. The
 * older one is a commit of this repository (`--before`), checked out beside it. See docs/design/lifecycle.md, "Versions of what is stored".
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { freePorts, PROJECT } from '../../dev/settings.ts';
import type { Stack, StackOptions } from '../../dev/stack.ts';
import { Viewer } from '../soak/viewer.ts';
import { type CyrusSession, isNumberedWithoutGaps } from './cyrus-session.ts';
import { isSaidOnce, LinearThread } from './linear-thread.ts';
import { Recorder, scrubbed } from './recorder.ts';
import { holds, Run, same, until } from './run.ts';
import { endProcesses, makeFolder, setStack } from './stage.ts';

const { values } = parseArgs({
  options: {
    /** The other version; left out: c172b38, or the commit before this one. */
    before: { type: 'string' },
    /** Folder into which the exchanges of a session are written: of this version, or with `--record-before` of the older one. */
    record: { type: 'string' },
    'record-before': { type: 'boolean', default: false },
    /** Keep the folder with its logs. */
    keep: { type: 'boolean', default: false },
  },
});
const LIMIT_MS = 120_000;

const run = new Run();
const folder = makeFolder();
let kept = values.keep;

async function main(): Promise<void> {
  const commit = findCommit();
  const before = checkOut(commit);
  const figures: Record<string, number> = {};
  const since = performance.now();
  try {
    if (values.record) await record(values['record-before'] ? before : PROJECT, values.record);
    else {
      await run.promise(`A sandbox server of ${commit} works under this Worker`, () =>
        mixed('old-sandbox', { sandbox: before }, before),
      );
      await run.promise(`This sandbox server works under the Worker of ${commit}`, () =>
        mixed('old-worker', { worker: before }, before),
      );
      await run.promise(`A session that began under the Worker of ${commit} goes on under this one`, () =>
        replaced(before),
      );
    }
    figures.seconds = Math.round((performance.now() - since) / 1_000);
    console.log(JSON.stringify({ e2e: 'versions', before: commit, ...figures, ok: true }));
  } catch (error) {
    run.explain(error);
    kept = true;
    console.log(JSON.stringify({ e2e: 'versions', before: commit, failed: run.current, ok: false }));
    process.exitCode = 1;
  } finally {
    git('worktree', 'remove', '--force', before);
    endProcesses(folder);
    if (kept) console.error(`Logs are in ${folder}.`);
    else rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** @throws Error saying what a shallow clone lacks */
function findCommit(): string {
  for (const name of values.before === undefined ? ['c172b38', 'HEAD~1'] : [values.before]) {
    try {
      return git('rev-parse', '--verify', '--short', `${name}^{commit}`);
    } catch {
      // The next one, or the words below.
    }
  }
  const wanted = values.before ?? 'the commit before this one';
  console.error(
    `${wanted} is not in this clone, so there is no other version to try this one with. Fetch it first: git fetch --deepen=100 (or --unshallow).`,
  );
  rmSync(folder, { recursive: true, force: true });
  process.exit(2);
}

/** A checkout of a commit, with this one's packages and web app. */
function checkOut(commit: string): string {
  const path = join(folder, 'before');
  git('worktree', 'add', '--detach', path, commit);
  symlinkSync(join(PROJECT, 'node_modules'), join(path, 'node_modules'));
  mkdirSync(join(path, 'dist', 'web'), { recursive: true });
  return path;
}

function git(...args: string[]): string {
  return execFileSync('git', args, { cwd: PROJECT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
}

async function inStack<T>(
  name: string,
  options: Pick<StackOptions, 'projects' | 'variables' | 'ports'> | Pick<StackOptions, 'projects'>,
  act: (stack: Stack) => Promise<T>,
): Promise<T> {
  const stack = await setStack({ folder: join(folder, name), ...options });
  try {
    return await act(stack);
  } finally {
    await stack.close();
  }
}

/** A whole session, watched by the page of this version and of the one before. */
async function mixed(name: string, projects: StackOptions['projects'] & object, before: string): Promise<void> {
  await inStack(name, { projects }, async (stack) => {
    const issue = LinearThread.assign(stack.linear, 'Three steps', '[script: steps 3 300]');
    const session = await issue.livePage();
    const viewer = new Viewer(stack.url, session.id);
    try {
      await comment(stack, issue);
      await answered(issue, session, 1);
      await answerQuestion(stack, issue, session);
      await stopWork(stack, issue, session);
      const { entries } = await session.read();
      isNumberedWithoutGaps(entries);
      isSaidOnce(issue.activities);
      await until('the page to have everything', () => viewer.entries.length >= entries.length);
      same('What the page could not trust', viewer.problems, []);
      same('What the page shows', viewer.entries.length, entries.length);
      await pageOfBefore(stack, before, session, entries.length);
    } finally {
      viewer.close();
    }
  });
}

/** Somebody writes while Claude works: it is answered in the same turn. */
async function comment(stack: Stack, issue: LinearThread): Promise<void> {
  await until('the first step', () => issue.shown.some((line) => line.startsWith('action Ran echo')), {
    limitMs: LIMIT_MS,
  });
  stack.linear.replyToSession(issue.session.id, 'And mind the shipping costs. [script: no-change]');
}

async function answered(issue: LinearThread, session: CyrusSession, nth: number): Promise<void> {
  await issue.closing(nth, LIMIT_MS);
  const ended = await session.turnEnded(nth, LIMIT_MS);
  same(`The outcome of turn ${nth}`, ended.outcome, 'completed');
}

async function answerQuestion(stack: Stack, issue: LinearThread, session: CyrusSession): Promise<void> {
  const { id } = issue.session;
  stack.linear.replyToSession(id, 'Which colour do you take? [script: question]');
  const asked = await until('the question', () => issue.activities.findLast(({ type }) => type === 'elicitation'), {
    limitMs: LIMIT_MS,
  });
  const { options }: { options?: { value: string }[] } = Object(asked.signalMetadata);
  stack.linear.choose(id, options?.[1]?.value ?? 'Blue');
  await answered(issue, session, 2);
  const answer = JSON.stringify(issue.activities.findLast(({ type }) => type === 'response')?.content);
  holds('Claude got what was chosen', answer.includes('Blue'), 'Blue', answer);
}

async function stopWork(stack: Stack, issue: LinearThread, session: CyrusSession): Promise<void> {
  const { id } = issue.session;
  stack.linear.replyToSession(id, 'Many more steps [script: steps 200 300]');
  // Steps of an older thread are told in Linear by and by.
  const atWork = async () => (await session.entries('tool-call')).filter(({ turn }) => turn === 3).length > 1;
  await until('a call of the third turn', atWork, { limitMs: LIMIT_MS, everyMs: 200 });
  stack.linear.stopSession(id);
  await issue.closing(3, LIMIT_MS);
  const ended = await session.turnEnded(3, LIMIT_MS);
  same('The outcome of what was stopped', ended.outcome, 'stopped');
}

/** What the page of the version before makes of what this Worker sends it, by its own code. */
async function pageOfBefore(stack: Stack, before: string, session: CyrusSession, entries: number): Promise<void> {
  const load = (name: string) => import(pathToFileURL(join(before, 'src', 'web', 'live', name)).href);
  const [{ decodeFrame }, { applyFrame, emptyTimeline }] = await Promise.all([load('decode.ts'), load('timeline.ts')]);
  const socket = new WebSocket(`${stack.url.replace('http', 'ws')}/api/sessions/${session.id}/live?after=0`);
  let timeline = emptyTimeline;
  const problems: unknown[] = [];
  socket.addEventListener('message', ({ data }) => {
    for (const line of String(data).split('\n')) {
      const frame = decodeFrame(line);
      // It closes the connection over a frame that it does not know.
      const applied =
        frame === null || typeof frame === 'string' ? { ok: false, problem: line } : applyFrame(timeline, frame);
      if (applied.ok) timeline = applied.timeline;
      else problems.push(applied.problem);
    }
  });
  try {
    await until(
      'the page of the version before to have everything',
      () => timeline.entries.length >= entries || problems.length > 0,
    );
    same('What the page of the version before could not trust', problems, []);
  } finally {
    socket.close();
  }
}

/** The Worker is replaced between two turns, and again in the middle of one. */
async function replaced(before: string): Promise<void> {
  await inStack('replaced', { projects: { worker: before, sandbox: before } }, async (stack) => {
    const resting = LinearThread.assign(stack.linear, 'Done before', '[script: steps 1 50]');
    const rested = await resting.livePage();
    await answered(resting, rested, 1);
    const asking = LinearThread.assign(stack.linear, 'A question is open', '[script: question]');
    const asked = await asking.livePage();
    await until('the question', () => asking.activities.some(({ type }) => type === 'elicitation'), {
      limitMs: LIMIT_MS,
    });
    const working = LinearThread.assign(stack.linear, 'At work meanwhile', '[script: steps 40 500]');
    const worked = await working.livePage();
    await until('the first step', () => working.shown.some((line) => line.startsWith('action Ran echo')), {
      limitMs: LIMIT_MS,
    });
    const known = await Promise.all([rested, asked, worked].map(async (one) => (await one.read()).entries.length));
    await stack.replaceWorker();
    for (const [index, one] of [rested, asked, worked].entries()) {
      const { session, entries } = await one.read();
      same('Nothing keeps the session from going on', session.readOnly, undefined);
      holds('The journal is there', entries.length >= (known[index] ?? 0), known[index], entries.length);
    }
    await answered(working, worked, 1);
    // What the older Worker asked has the options as that one sent them.
    stack.linear.choose(asking.session.id, 'Blue');
    await answered(asking, asked, 1);
    stack.linear.replyToSession(resting.session.id, 'And now? [script: no-change]');
    await answered(resting, rested, 2);
    for (const one of [rested, asked, worked]) isNumberedWithoutGaps((await one.read()).entries);
  });
}

/** Writes down a session of one version: a start, a comment, a question, a stop, and what a page is sent. */
async function record(project: string, into: string): Promise<void> {
  const ports = await freePorts();
  const recorder = new Recorder(`http://127.0.0.1:${ports.sandbox}`);
  await recorder.open();
  const projects = { worker: project, sandbox: project };
  const variables = { SANDBOX_ENDPOINT_URL: recorder.url };
  await inStack('recorded', { projects, ports, variables }, async (stack) => {
    const issue = LinearThread.assign(stack.linear, 'Three steps', '[script: steps 3 300]');
    const session = await issue.livePage();
    const protocol = project === PROJECT ? '&protocol=2' : '';
    const socket = recorder.watch(
      `${stack.url.replace('http', 'ws')}/api/sessions/${session.id}/live?after=0${protocol}`,
    );
    await comment(stack, issue);
    await answered(issue, session, 1);
    await answerQuestion(stack, issue, session);
    await stopWork(stack, issue, session);
    socket.close();
  });
  recorder.close();
  mkdirSync(into, { recursive: true });
  writeFileSync(join(into, 'session.jsonl'), scrubbed(recorder.lines, folder));
  console.error(`${recorder.lines.length} exchanges are in ${into}`);
}

await main();
