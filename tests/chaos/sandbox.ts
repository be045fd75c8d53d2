/**
 * `npm run chaos:sandbox`: tasks of many small steps, whose sandboxes are killed with -9 at random moments, every other one
 * with its disk; then the same with the Worker killed; then with both at once; before all that with Claude's process killed
 * alone (sandbox-cli.ts), and with servers that fall silent (sandbox-silent.ts). Each task finishes, with the tree of one that
 * nobody disturbed, no entry of its journal lost or doubled, and at most one batch of tools repeated for each kill. With
 * `--containers` the sandboxes are containers (see in-container.ts for the engine), which are killed whole. See
 * docs/benchmarks.md.
 */
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { scripts } from '../../dev/claude/scripts.ts';
import { SAMPLE_REPOSITORY } from '../../dev/git/sample-repository.ts';
import type { Stack } from '../../dev/stack.ts';
import type { JournalEntry } from '../../src/protocol/journal.ts';
import { ContainerMachine, findEngine } from '../e2e/container-machine.ts';
import type { CyrusSession } from '../e2e/cyrus-session.ts';
import { LinearThread } from '../e2e/linear-thread.ts';
import { until } from '../e2e/run.ts';
import { endProcesses, makeFolder, setStack } from '../e2e/stage.ts';
import { killWorker } from '../e2e/worker-runtime.ts';
import { Random } from '../unit/support/random.ts';
import { type CliFigures, playCli } from './sandbox-cli.ts';
import { Containers } from './sandbox-containers.ts';
import { egressLedger, fileLedger, type Ledger } from './sandbox-ledger.ts';
import { type Killable, Machines } from './sandbox-machines.ts';
import { playSilent, type Silence, tooLate } from './sandbox-silent.ts';
import { chaos } from './sandbox-task.ts';
import { type Disturbance, judge, type TaskFigures } from './sandbox-verdict.ts';

/** From the line in the journal that tells of a loss until Claude is back. */
const RESTORED_LIMIT_MS = 15_000;
/** A task that nobody finishes: far more than a lost disk takes to be noticed and restored, several times. */
const TASK_LIMIT_MS = 6 * 60_000;
const MAX_KILLS_A_TASK = 4;
const MODES = ['sandbox', 'worker', 'both'] as const;
/** Kills of Claude's process alone, unless `--kills` says otherwise. */
const CLI_KILLS = 200;
/** Servers that fall silent, unless `--kills` says otherwise. */
const SILENCES = 10;
type Mode = (typeof MODES)[number];

const { values } = parseArgs({
  options: {
    /** Kills of each mode. */
    kills: { type: 'string' },
    seed: { type: 'string', default: '1' },
    /** Tasks under way at once. */
    concurrency: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '4' },
    /** Milliseconds of thought before each call: about what the fastest models take. */
    thought: { type: 'string', default: '700' },
    /**
     * What is killed; in containers the sandbox alone. `cli`: Claude's process alone, with comments and stops under way. `silent`:
     * servers that are frozen, or dead and not started again.
     */
    modes: { type: 'string', default: [...MODES, 'cli', 'silent'].join(',') },
    containers: { type: 'boolean', default: false },
    /** Keep the folder with its logs. */
    keep: { type: 'boolean', default: false },
  },
});
const wantedKills = Number(values.kills ?? 100);
const rounds = Number(values.rounds);
const seed = Number(values.seed);

/** A task under way. */
interface Task {
  session: CyrusSession;
  ledger: Ledger;
  disturbances: Disturbance[];
  isOver: boolean;
}

interface ModeFigures {
  mode: Mode;
  kills: number;
  wiped: number;
  tasks: number;
  repeatedBatches: number;
  repeatedEffects: number;
  restoredMs: { median: number; most: number; count: number };
  noticedMs: { median: number; most: number };
  seconds: number;
}

scripts.chaos = chaos;
const folder = makeFolder();
const problems: string[] = [];
let ledgers = 0;

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    endProcesses(folder);
    process.exit(130);
  });
}

async function main(): Promise<void> {
  const { stack, machines } = values.containers ? await inContainers() : await onThisMachine();
  const figures: (ModeFigures | CliModeFigures | SilentFigures)[] = [];
  try {
    const modes = values.containers ? MODES.slice(0, 1) : MODES.filter((mode) => wanted(mode));
    if (machines instanceof Machines && wanted('cli')) figures.push(await playCliMode(stack, machines));
    if (machines instanceof Machines && wanted('silent')) figures.push(await playSilentMode(stack, machines));
    if (modes.length === 0) return;
    const undisturbed = await playUndisturbed(stack, machines);
    for (const mode of modes) figures.push(await playMode(mode, stack, machines, undisturbed));
  } finally {
    await machines.close();
    await stack.close();
    endProcesses(folder);
    if (values.keep || problems.length > 0) console.log(`Logs and disks are in ${folder}.`);
    else rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    for (const problem of problems) console.log(`✗ ${problem}`);
    console.log(JSON.stringify({ ok: problems.length === 0, seed, figures }));
    if (problems.length > 0) process.exitCode = 1;
  }
}

function wanted(mode: string): boolean {
  return values.modes.split(',').includes(mode);
}

interface CliModeFigures extends CliFigures {
  mode: 'cli';
  tasks: number;
  seconds: number;
}

/** Plays tasks whose CLI alone is killed, until it was killed often enough. */
async function playCliMode(stack: Stack, machines: Machines): Promise<CliModeFigures> {
  const since = Date.now();
  const wantedOfCli = Number(values.kills ?? CLI_KILLS);
  const all: CliFigures[] = [];
  let kills = 0;
  let tasks = 0;
  const lane = async () => {
    while (kills < wantedOfCli) {
      const number = ++tasks;
      try {
        const figures = await playCli(
          {
            linear: stack.linear,
            machines,
            random: new Random(seed * 10_007 + number),
            rounds,
            thought: Number(values.thought),
            takeKill: () => {
              if (kills >= wantedOfCli) return false;
              kills += 1;
              return true;
            },
            giveBack: () => {
              kills -= 1;
            },
          },
          number,
        );
        all.push(figures);
      } catch (error) {
        problems.push(`cli, task ${number}: ${inWords(error)}`);
      }
      if (process.stderr.isTTY || number % 10 === 0) console.log(`  cli: ${kills} kills, ${number} tasks`);
    }
  };
  await Promise.all(Array.from({ length: Number(values.concurrency) }, lane));
  const figures: CliModeFigures = {
    mode: 'cli',
    tasks,
    kills: sum(all.map((each) => each.kills)),
    comments: sum(all.map((each) => each.comments)),
    stops: sum(all.map((each) => each.stops)),
    read: sum(all.map((each) => each.read)),
    seconds: Math.round((Date.now() - since) / 1000),
  };
  console.log(JSON.stringify(figures));
  return figures;
}

interface SilentFigures {
  mode: 'silent';
  servers: number;
  frozenMs: { median: number; most: number };
  deadMs: { median: number; most: number };
  seconds: number;
}

/** Servers that fall silent, every other one frozen, a few at once. */
async function playSilentMode(stack: Stack, machines: Machines): Promise<SilentFigures> {
  const since = Date.now();
  const servers = Number(values.kills ?? SILENCES);
  const all: Silence[] = [];
  let begun = 0;
  const lane = async () => {
    while (begun < servers) {
      const number = ++begun;
      const random = new Random(seed * 10_009 + number);
      try {
        all.push(await playSilent(stack, machines, random, number % 2 === 0 ? 'frozen' : 'dead'));
      } catch (error) {
        problems.push(`silent, task ${number}: ${inWords(error)}`);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(Number(values.concurrency), servers) }, lane));
  problems.push(...tooLate(all));
  const times = (how: Silence['how']) => {
    const found = all.filter((one) => one.how === how).map(({ noticedMs }) => noticedMs);
    return { median: median(found), most: Math.max(0, ...found) };
  };
  const seconds = Math.round((Date.now() - since) / 1000);
  const figures: SilentFigures = { mode: 'silent', servers, frozenMs: times('frozen'), deadMs: times('dead'), seconds };
  console.log(JSON.stringify(figures));
  return figures;
}

interface Place {
  stack: Stack;
  machines: Killable;
}

async function onThisMachine(): Promise<Place> {
  const secret = 'secret-of-the-machines-0123456789';
  const machines = new Machines(folder, secret);
  await machines.open();
  const variables = { SANDBOX_ENDPOINT_URL: machines.url, SANDBOX_ENDPOINT_SECRET: secret };
  return { stack: await setStack({ folder, variables }), machines };
}

async function inContainers(): Promise<Place> {
  const machine = await ContainerMachine.over(await findEngine());
  await machine.build();
  return { stack: await setStack({ folder, containers: machine.engine }), machines: new Containers(machine) };
}

type Undisturbed = Parameters<typeof judge>[2];

async function playUndisturbed(stack: Stack, machines: Killable): Promise<Undisturbed> {
  const task = await begin(stack, 'Undisturbed');
  await task.session.turnEnded(1, TASK_LIMIT_MS);
  const { entries, session } = await task.session.read();
  const calls = entries.filter((entry) => entry.kind === 'tool-call').map(({ name, input }) => ({ name, input }));
  const reference = {
    calls: calls.map((call) => normalized(call, entries, task)),
    tree: treeOf(session.branch),
    ledger: await task.ledger.read(task.session),
  };
  await machines.end(task.session.id);
  console.log(`Undisturbed: ${calls.length} calls, tree ${reference.tree.slice(0, 10)}`);
  return reference;
}

/** Plays tasks until so many kills have hit one, and lets all of them finish. */
async function playMode(mode: Mode, stack: Stack, machines: Killable, undisturbed: Undisturbed): Promise<ModeFigures> {
  const since = Date.now();
  const random = new Random(seed + MODES.indexOf(mode) * 7_919);
  const state = { kills: 0, wiped: 0, workerKills: Promise.resolve() };
  const all: TaskFigures[] = [];
  const running = new Set<Task>();
  let tasks = 0;
  let beginning = 0;

  /**
   * Nobody is killed meanwhile: Linear delivers a webhook that was refused a minute later, and then an hour later. What
   * becomes of that is tried by chaos:linear.
   */
  const beginUndisturbed = async (title: string) => {
    beginning += 1;
    try {
      await again(() => isUp(stack));
      return await begin(stack, title);
    } finally {
      beginning -= 1;
    }
  };

  const lane = async () => {
    while (state.kills < wantedKills) {
      const number = ++tasks;
      const task = await beginUndisturbed(`Task ${number} (${mode})`);
      running.add(task);
      try {
        if (mode !== 'worker') await disturb(task);
        await settled(task);
        all.push(await verdictOf(task));
      } catch (error) {
        problems.push(`${mode}, task ${number} (${task.session.pageUrl}): ${inWords(error)}`);
      }
      task.isOver = true;
      running.delete(task);
      const { kills, wiped } = state;
      if (process.stderr.isTTY || number % 10 === 0)
        console.log(`  ${mode}: ${kills} kills, ${wiped} with the disk, ${number} tasks`);
      await machines.end(task.session.id).catch(() => {});
    }
  };

  /** Kills at random moments until the task is over, or has had its share. */
  const disturb = async (task: Task) => {
    while (task.disturbances.length < MAX_KILLS_A_TASK && state.kills < wantedKills) {
      if (!(await atWork(task))) return;
      await pause(random.next() * 2_500);
      while (mode === 'both' && beginning > 0) await pause(100);
      const { phase } = (await read(task)).session;
      if (phase === 'waiting' || state.kills >= wantedKills) return;
      const wipes = values.containers || state.kills % 2 === 1;
      const kind = mode === 'both' ? (wipes ? 'worker-and-disk' : 'worker-and-process') : wipes ? 'disk' : 'process';
      const at = Date.now();
      state.kills += 1;
      if (wipes) state.wiped += 1;
      for (const each of mode === 'both' ? running : [task]) {
        if (each !== task) each.disturbances.push({ at, kind: 'worker' });
      }
      task.disturbances.push({ at, kind });
      const [isKilled] = await Promise.all([
        machines.kill(task.session.id, wipes),
        mode === 'both' ? killWorkerOnce(stack, state) : null,
      ]);
      // A container may just be on its way.
      if (isKilled) continue;
      state.kills -= 1;
      if (wipes) state.wiped -= 1;
      task.disturbances.pop();
    }
  };

  const killingWorkers = async () => {
    while (state.kills < wantedKills) {
      await pause(500 + random.next() * 2_000);
      if (running.size === 0 || beginning > 0) continue;
      state.kills += 1;
      for (const task of running) task.disturbances.push({ at: Date.now(), kind: 'worker' });
      await killWorker(stack);
    }
  };

  const verdictOf = async (task: Task): Promise<TaskFigures> => {
    const { entries, session } = await read(task);
    const seen = { tree: treeOf(session.branch), ledger: await task.ledger.read(task.session) };
    const plain = entries.map((entry) =>
      entry.kind === 'tool-call' ? { ...entry, ...normalized(entry, entries, task) } : entry,
    );
    return judge(plain, task.disturbances, undisturbed, seen);
  };

  const lanes = Array.from({ length: Number(values.concurrency) }, lane);
  await Promise.all([...lanes, ...(mode === 'worker' ? [killingWorkers()] : [])]);

  const restored = all.flatMap((each) => each.restoredMs);
  const noticed = all.flatMap((each) => each.noticedMs);
  const most = Math.max(0, ...restored);
  if (most > RESTORED_LIMIT_MS) problems.push(`${mode}: restored after ${most} ms, allowed are ${RESTORED_LIMIT_MS}`);
  const figures: ModeFigures = {
    mode,
    kills: state.kills,
    wiped: state.wiped,
    tasks,
    repeatedBatches: sum(all.map((each) => each.repeatedBatches)),
    repeatedEffects: sum(all.map((each) => each.repeatedEffects)),
    restoredMs: { median: median(restored), most, count: restored.length },
    noticedMs: { median: median(noticed), most: Math.max(0, ...noticed) },
    seconds: Math.round((Date.now() - since) / 1000),
  };
  console.log(JSON.stringify(figures));
  return figures;
}

async function begin(stack: Stack, title: string): Promise<Task> {
  ledgers += 1;
  const ledger = values.containers ? egressLedger() : fileLedger(join(folder, 'ledgers'), ledgers);
  const description = `[script: chaos ${rounds} ${values.thought} ${ledger.address}]`;
  const issue = await again(() => LinearThread.assign(stack.linear, title, description));
  return { session: await issue.livePage(), ledger, disturbances: [], isOver: false };
}

/**
 * Waits until Claude has made a call since the last disturbance; after two that let no call finish, until one has finished:
 * three losses in a row end a turn, as they should.
 * @returns false when the task is over
 */
function atWork(task: Task): Promise<boolean> {
  const since = task.disturbances.at(-1)?.at ?? 0;
  return until(
    'the task to be at work',
    async () => {
      const { session, entries } = await read(task);
      if (session.phase === 'waiting' && entries.some((entry) => entry.kind === 'turn-ended')) return 'over';
      const finishedAt = entries.findLast(({ kind }) => kind === 'tool-result')?.at ?? 0;
      const isNearTheEnd = task.disturbances.filter(({ at }) => at > finishedAt).length >= 2;
      const awaited = isNearTheEnd ? 'tool-result' : 'tool-call';
      return entries.some((entry) => entry.kind === awaited && entry.at > since) ? 'working' : null;
    },
    { limitMs: TASK_LIMIT_MS, everyMs: 200, describe: () => task.session.pageUrl },
  ).then((found) => found === 'working');
}

async function settled(task: Task): Promise<void> {
  let last: unknown = null;
  await until(
    'the end of the task',
    async () => {
      const { session, entries } = await read(task);
      last = { phase: session.phase, reason: session.reason, entry: entries.at(-1) };
      return session.phase === 'waiting' && entries.some((entry) => entry.kind === 'turn-ended');
    },
    { limitMs: TASK_LIMIT_MS, everyMs: 250, describe: () => last },
  );
}

/** @throws where the Worker is away */
async function isUp(stack: Stack): Promise<void> {
  const { ok, status } = await fetch(`${stack.url}/health`, { signal: AbortSignal.timeout(5_000) });
  if (!ok) throw new Error(`the Worker answers ${status}`);
}

/** The Worker may just be away. */
function read(task: Task): ReturnType<CyrusSession['read']> {
  return again(() => task.session.read());
}

async function again<T>(attempt: () => T | Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await attempt();
    } catch (error) {
      if (tries > 100) throw error;
      await pause(200);
    }
  }
}

/** Two kills of the Worker at once are one. */
function killWorkerOnce(stack: Stack, state: { workerKills: Promise<void> }): Promise<void> {
  state.workerKills = state.workerKills
    .then(() => killWorker(stack))
    .catch((error) => {
      problems.push(`the Worker did not come back: ${inWords(error)}`);
    });
  return state.workerKills;
}

/** A call without what differs from task to task: its worktree and its ledger. */
function normalized(
  { name, input }: { name: string; input: unknown },
  entries: readonly JournalEntry[],
  task: Task,
): { name: string; input: unknown } {
  const cwd = entries.find((entry) => entry.kind === 'claude-started')?.cwd ?? '';
  const text = JSON.stringify(input).replaceAll(task.ledger.address, 'LEDGER').replaceAll(cwd, 'WORKTREE');
  return { name, input: JSON.parse(text) };
}

function treeOf(branch: string | null): string {
  const repository = join(folder, 'git', `${SAMPLE_REPOSITORY}.git`);
  const args = ['--git-dir', repository, 'rev-parse', '--verify', `refs/heads/${branch}^{tree}`];
  return execFileSync('git', args, { encoding: 'utf8' }).trim();
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

function median(numbers: number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;
}

function inWords(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { expected, seen }: { expected?: unknown; seen?: unknown } = Object(error);
  const more =
    expected === undefined ? '' : ` expected ${String(expected).slice(0, 800)}, seen ${String(seen).slice(0, 1_500)}`;
  return `${error.message}${more}`;
}

await main();
