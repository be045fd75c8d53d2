/**
 * `npm run chaos:linear`: random histories of what people do in Linear, with deliveries that are lost, doubled, late and
 * out of order, a Linear that fails 30 of 100 calls, objects that break down between any two steps, and a workerd that is
 * killed now and then. In the end everybody has been answered, once. See docs/benchmarks.md.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { percentile } from '../bench/figures.ts';
import { Random } from '../unit/support/random.ts';
import { Cyrus, SANDBOX_SECRET } from './cyrus.ts';
import { catchUp, type HistoryReport, playHistory, type Surroundings } from './history.ts';
import { PostOffice } from './post-office.ts';
import { RunClock } from './run-clock.ts';
import { ScriptedSandboxes } from './scripted-sandboxes.ts';

/** Probability of a crash at each of an object's crash points. */
const CRASHES = 0.006;
/** Real time without a delivery after which everybody waits for the clock. */
const QUIET_MS = 8_000;
const HOUR_MS = 3_600_000;

const { values } = parseArgs({
  options: {
    histories: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
    /** Histories under way at once. */
    concurrency: { type: 'string', default: '50' },
    /** Real seconds after which a history in which nothing happens any more will never come to rest. */
    patience: { type: 'string', default: '120' },
    /** Milliseconds of the run's clock for each real one. */
    speed: { type: 'string', default: '20' },
    /** Keep the log. */
    keep: { type: 'boolean', default: false },
  },
});
const count = Number(values.histories);
const firstSeed = Number(values.seed);

const startedAt = Date.now();
const folder = mkdtempSync(join(tmpdir(), 'cyrus-chaos-'));
const clock = new RunClock(Number(values.speed));
const sandboxes = await ScriptedSandboxes.open(SANDBOX_SECRET);
const cyrus = await Cyrus.start({ folder, clock, seed: firstSeed, crashes: CRASHES, sandboxUrl: sandboxes.url });
const office = await PostOffice.open(clock, () => `${cyrus.url}/webhooks/linear`);
const surroundings: Surroundings = {
  clock,
  cyrus,
  office,
  sandboxes,
  simulators: new Set(),
  patience: Number(values.patience) * 1000,
};

const reports: HistoryReport[] = [];
const run = { isOver: false, leaps: 0 };
const killing = killNowAndThen(new Random(firstSeed));
const measuring = measureAnswers();
await Promise.all(Array.from({ length: Math.min(count, Number(values.concurrency)) }, (_, lane) => playLane(lane)));
run.isOver = true;
await Promise.all([killing, measuring]);
await cyrus.end();
await office.close();
await sandboxes.close();
report();

/** Histories one after the other, as many lanes as there are. */
async function playLane(lane: number): Promise<void> {
  const lanes = Math.min(count, Number(values.concurrency));
  for (let index = lane; index < count; index += lanes) {
    const seed = firstSeed + index;
    const done = await playHistory(seed, surroundings).catch((error: unknown) => failed(seed, error));
    reports.push(done);
    for (const violation of done.violations) console.error(`seed ${seed}: ${violation}`);
    if (reports.length % 50 === 0) progress();
  }
}

function failed(seed: number, error: unknown): HistoryReport {
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const nothing = { threads: 0, closings: 0, activities: 0, prompts: 0, deliveries: 0, attempts: 0, duplicates: 0 };
  const more = { lost: 0, delayed: 0, calls: 0, failedCalls: 0, reposts: 0, lives: 0, lateMs: [] };
  return { seed, violations: [`could not be played: ${message}`], givenUp: [], ...nothing, ...more };
}

/** Cuts the power of workerd; mostly an hour has passed when it is back, and Linear repeats what it did not take. */
async function killNowAndThen(random: Random): Promise<void> {
  for (;;) {
    const enough = office.attempts + 200 + random.below(600);
    let seen = { attempts: office.attempts, at: Date.now() };
    const isQuiet = () => Date.now() - seen.at > QUIET_MS;
    while (office.attempts < enough && !isQuiet() && !run.isOver) {
      await clock.sleep(1_000);
      if (office.attempts !== seen.attempts) seen = { attempts: office.attempts, at: Date.now() };
    }
    if (run.isOver) return;
    await cyrus.kill();
    // If nothing is delivered, it is the retries after an hour that are waited for.
    const leaps = isQuiet() || random.chance(0.5);
    if (leaps) clock.leap(HOUR_MS);
    await cyrus.restart();
    if (!leaps) continue;
    run.leaps += 1;
    // Not waited for: a simulator first waits for what it has under way.
    for (const linear of surroundings.simulators) void catchUp(linear, clock);
  }
}

/** How quick the machine is, all the time: what a person waits for is held against that. */
async function measureAnswers(): Promise<void> {
  while (!run.isOver) {
    await cyrus.measure();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function progress(): void {
  const violations = reports.reduce((sum, done) => sum + done.violations.length, 0);
  const seconds = Math.round((Date.now() - startedAt) / 1000);
  console.error(
    `${reports.length} of ${count} histories, ${violations} violations, ${cyrus.kills} kills, ${seconds} s`,
  );
}

/** How late what people waited for was if nothing had failed, in ms of the run's clock. */
function lateFigures(times: number[]): { count: number; p50Ms: number; p99Ms: number; mostMs: number } {
  const sorted = times.toSorted((a, b) => a - b);
  const most = sorted.at(-1) ?? 0;
  return { count: sorted.length, p50Ms: percentile(sorted, 0.5), p99Ms: percentile(sorted, 0.99), mostMs: most };
}

function report(): void {
  const sum = (pick: (done: HistoryReport) => number) => reports.reduce((total, done) => total + pick(done), 0);
  const violated = reports.filter(({ violations }) => violations.length > 0);
  const objectCrashes = [...cyrus.crashes.values()].reduce((total, times) => total + times, 0);
  const calls = sum((done) => done.calls);
  const failedCalls = sum((done) => done.failedCalls);
  const figures = {
    chaos: 'linear',
    histories: reports.length,
    seeds: [firstSeed, firstSeed + count - 1],
    threads: sum((done) => done.threads),
    prompts: sum((done) => done.prompts),
    activities: sum((done) => done.activities),
    closings: sum((done) => done.closings),
    deliveries: sum((done) => done.deliveries),
    attempts: sum((done) => done.attempts),
    duplicates: sum((done) => done.duplicates),
    lost: sum((done) => done.lost),
    delayed: sum((done) => done.delayed),
    calls,
    failedCalls,
    failedShare: Number((failedCalls / Math.max(1, calls)).toFixed(3)),
    sandboxLives: sum((done) => done.lives),
    repostedBatches: sum((done) => done.reposts),
    objectCrashes,
    crashesByPlace: Object.fromEntries([...cyrus.crashes].toSorted()),
    kills: cyrus.kills,
    leaps: run.leaps,
    late: lateFigures(reports.flatMap((done) => done.lateMs)),
    givenUp: reports.flatMap((done) => done.givenUp),
    selfTriggersIgnored: cyrus.logged.get('linear.webhook.ignored') ?? 0,
    logged: Object.fromEntries([...cyrus.logged].toSorted()),
    violations: sum((done) => done.violations.length),
    violatedSeeds: violated.map(({ seed }) => seed),
    seconds: Math.round((Date.now() - startedAt) / 1000),
    ok: violated.length === 0,
  };
  for (const { seed } of violated) console.error(`repeat with: npm run chaos:linear -- --seed ${seed} --histories 1`);
  if (violated.length === 0 && !values.keep) rmSync(folder, { recursive: true, force: true });
  else console.error(`what Cyrus logged: ${join(folder, 'worker.log')}`);
  console.log(JSON.stringify(figures));
  if (violated.length > 0) process.exitCode = 1;
}
