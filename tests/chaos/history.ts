/** One history: a workspace of its own in Linear, where people speak to the agent until everything has come to rest. */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { type LinearSimulator, startLinearSimulator } from '../../dev/linear/simulator.ts';
import { sessionPageSchema } from '../../src/protocol/api.ts';
import type { JournalEntry } from '../../src/protocol/journal.ts';
import { Random } from '../unit/support/random.ts';
import { type Cyrus, sessionIdOf, WEBHOOK_SECRET } from './cyrus.ts';
import { People } from './people.ts';
import { Mailbox, type PostOffice } from './post-office.ts';
import type { RunClock } from './run-clock.ts';
import { type ScriptedSandboxes, SessionSandbox } from './scripted-sandboxes.ts';
import { type Evidence, journalStory, judge } from './verdict.ts';

/** Of all calls to Linear, about 30 of 100 fail or are carried out without an answer. Real milliseconds for `slow` and `timeout-after-commit`. */
const FAULTS = [
  { fault: 'slow', probability: 0.1, ms: 30 },
  { fault: 'http-error', probability: 0.09, status: 503 },
  { fault: 'http-error', probability: 0.03, status: 500 },
  { fault: 'rate-limited', probability: 0.03, ms: 4_000 },
  { fault: 'success-false', probability: 0.1 },
  { fault: 'timeout-after-commit', probability: 0.12, ms: 3 },
] as const;

const LOOK_EVERY_MS = 100;
/** What a person waits for is in Linear so soon after it is known, in ms of the run's clock, if nothing fails. */
const MOST_LATE_MS = 2_000;
/**
 * What the machine itself needs for that, in real ms, is no lateness of Cyrus's, and the clock is fast: some, and so many
 * times what the Worker took just then to answer a request that asks for nothing.
 */
const REAL_LATE_MS = 300;
const ANSWERS_LATE = 4;
/** After a failed call the next is put off by so much at most, in ms of the run's clock. */
const TROUBLE_LASTS_MS = 90_000;

export interface Surroundings {
  clock: RunClock;
  cyrus: Cyrus;
  office: PostOffice;
  sandboxes: ScriptedSandboxes;
  /** Simulators whose clocks have to leap along. */
  simulators: Set<LinearSimulator>;
  /** Longest a history may be without rest while nothing happens in it, in real ms. */
  patience: number;
}

export interface HistoryReport {
  seed: number;
  violations: string[];
  givenUp: string[];
  threads: number;
  closings: number;
  activities: number;
  prompts: number;
  deliveries: number;
  attempts: number;
  duplicates: number;
  lost: number;
  delayed: number;
  calls: number;
  failedCalls: number;
  reposts: number;
  lives: number;
  /** How late what a person waited for was in Linear if nothing had failed, in ms of the run's clock. */
  lateMs: number[];
}

/** Plays one history and judges it. @param seed decides what people do, what the sandbox does, and what fails */
export async function playHistory(seed: number, surroundings: Surroundings): Promise<HistoryReport> {
  const history = await History.begin(seed, surroundings);
  try {
    return await history.play();
  } finally {
    await history.end();
  }
}

/** Moves a simulator's clock to where the run's has leapt. */
export async function catchUp(linear: LinearSimulator, clock: RunClock): Promise<void> {
  const moved = (moving.get(linear) ?? Promise.resolve()).then(async () => {
    const behind = clock.now() - Date.parse(linear.state().clock.now);
    if (behind > 0) await linear.advance(behind);
  });
  moving.set(linear, moved);
  await moved;
}

/** Moves under way: one that waits for another must not go the same way again. */
const moving = new WeakMap<LinearSimulator, Promise<void>>();

const inspectionSchema = z.object({ state: z.string(), outbox: z.array(z.string()) }).nullable();
const stateSchema = z.looseObject({
  phase: z.looseObject({ name: z.string() }),
  expectedThread: z.looseObject({}).nullable(),
  queue: z.array(z.looseObject({ promptId: z.string() })),
  closed: z.array(z.object({ id: z.string(), how: z.string() })).default([]),
});
const eventSchema = z.looseObject({
  type: z.string(),
  action: z.string(),
  notification: z.looseObject({ id: z.string() }).optional(),
  agentSession: z.looseObject({ id: z.string(), externalUrls: z.array(z.looseObject({})) }).optional(),
});

/** The chance that decides which of `FAULTS` hit a call, which the simulator asks once for each of them. */
class CountedFaults {
  calls = 0;
  /** When calls failed, by the run's clock. */
  readonly failures: number[] = [];
  readonly #random: Random;
  readonly #now: () => number;
  #rule = 0;
  #isHit = false;

  constructor(random: Random, now: () => number) {
    this.#random = random;
    this.#now = now;
  }

  get failed(): number {
    return this.failures.length;
  }

  next(): number {
    const value = this.#random.next();
    const rule = FAULTS[this.#rule];
    if (rule && rule.fault !== 'slow' && value < rule.probability) this.#isHit = true;
    this.#rule += 1;
    if (this.#rule === FAULTS.length) {
      this.calls += 1;
      if (this.#isHit) this.failures.push(this.#now());
      this.#rule = 0;
      this.#isHit = false;
    }
    return value;
  }
}

class History {
  readonly #seed: number;
  readonly #surroundings: Surroundings;
  readonly #linear: LinearSimulator;
  readonly #people: People;
  readonly #random: Random;
  readonly #box: Mailbox;
  readonly #sandbox: SessionSandbox;
  readonly #faults: CountedFaults;
  #sessionId = '';
  #lateMs: number[] = [];

  private constructor(
    seed: number,
    surroundings: Surroundings,
    { linear, box, faults }: { linear: LinearSimulator; box: Mailbox; faults: CountedFaults },
  ) {
    this.#faults = faults;
    this.#seed = seed;
    this.#surroundings = surroundings;
    this.#linear = linear;
    this.#box = box;
    this.#random = new Random(seed);
    this.#people = People.meet(linear, this.#random);
    // Every fifth meets a sandbox server of the version before.
    this.#sandbox = new SessionSandbox(`h${seed}`, surroundings.clock, new Random(seed * 31 + 7), seed % 5 === 0);
  }

  static async begin(seed: number, surroundings: Surroundings): Promise<History> {
    const { clock, cyrus, office, simulators } = surroundings;
    const box = new Mailbox(new Random(seed * 37 + 11));
    const faults = new CountedFaults(new Random(seed * 41 + 13), () => clock.now());
    const workspace = { id: randomUUID(), name: `History ${seed}`, urlKey: `history-${seed}` };
    const linear = await startLinearSimulator({
      workspace,
      webhookUrl: null,
      // The machine may be busy; that answers are lost is up to the post.
      webhookTimeoutMs: 60_000,
      webhookSecret: WEBHOOK_SECRET,
      accessToken: 'replaced as soon as the port is known',
      random: () => faults.next(),
    });
    linear.setClockSpeed(clock.speed);
    await catchUp(linear, clock);
    const accessToken = `chaos.${new URL(linear.url).port}.${workspace.id}`;
    linear.setAccessToken(accessToken);
    linear.setWebhookUrl(office.addressFor(String(seed), box));
    linear.setFaults({ graphql: [...FAULTS] });
    simulators.add(linear);
    await cyrus.register({ ...workspace, appUserId: linear.appUserId, accessToken }, ['acme/shop']);
    return new History(seed, surroundings, { linear, box, faults });
  }

  async end(): Promise<void> {
    const { office, sandboxes, simulators } = this.#surroundings;
    simulators.delete(this.#linear);
    sandboxes.remove(this.#sessionId);
    office.forget(String(this.#seed));
    await this.#linear.close();
  }

  async play(): Promise<HistoryReport> {
    const { clock } = this.#surroundings;
    const random = this.#random;
    this.#begin();
    for (let left = random.below(7); left > 0; left -= 1) {
      await clock.sleep(random.next() * (random.chance(0.3) ? 2_000 : 30_000));
      if (random.chance(0.03)) this.#sandbox.loseDisk();
      this.#people.act();
    }
    const stuck = await this.#rest();
    if (stuck) return this.#report([stuck], []);
    const { evidence, head } = await this.#evidence();
    const { violations, givenUp } = judge(evidence);
    const { late, lateMs } = this.#lateness(evidence);
    violations.push(...late);
    this.#lateMs = lateMs;
    if (violations.length === 0) violations.push(...(await this.#repeatDeliveries(head)));
    return this.#report(violations, givenUp);
  }

  /** The sandbox is put up before anybody asks: its address is the session's id. */
  #begin(): void {
    const { scene } = this.#people;
    const { sandboxes } = this.#surroundings;
    const workspaceId = this.#linear.workspace.id;
    if (scene.kind === 'document') this.#people.begin();
    const [thread] = this.#people.sessions();
    const name =
      scene.kind === 'issue' ? `${workspaceId}:issue:${scene.id}` : `${workspaceId}:agent-session:${thread?.id}`;
    this.#sessionId = sessionIdOf(name);
    sandboxes.add(this.#sessionId, this.#sandbox);
    if (scene.kind === 'issue') this.#people.begin();
  }

  /**
   * Waits until nothing is under way any more; questions are answered meanwhile. The object is asked only once all looks
   * done from outside: to be asked wakes it, and it has to wake by itself.
   * @returns null, or what never came to rest
   */
  async #rest(): Promise<string | null> {
    let seen = '';
    let since = Date.now();
    let why = '';
    while (Date.now() - since < this.#surroundings.patience) {
      const now = this.#progress();
      if (now !== seen || this.#isRepeatPlanned()) {
        seen = now;
        since = Date.now();
      }
      why = this.#unrest() ?? (await this.#innerUnrest()) ?? '';
      if (why === '') return null;
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
      if (this.#random.chance(0.05)) this.#people.answer();
    }
    const inspection = await this.#inspect().catch(() => null);
    const phase = inspection && JSON.stringify(stateSchema.parse(JSON.parse(inspection.state)).phase);
    const outbox = why.includes('outbox') ? '' : `, outbox ${inspection?.outbox.join(', ')}`;
    const journal = await this.#journal().then(
      (read) => journalStory(read.journal),
      (error: unknown) => String(error),
    );
    return `session ${this.#sessionId} never came to rest: ${why}; phase ${phase}${outbox} | ${journal}`;
  }

  /** Changes whenever something happens. */
  #progress(): string {
    const delivered = this.#linear.deliveries({ state: 'delivered' }).length;
    return `${delivered} ${this.#countActivities()} ${this.#faults.calls}`;
  }

  /** Linear repeats a delivery after a minute, and after an hour: until then nothing need happen. */
  #isRepeatPlanned(): boolean {
    const now = Date.parse(this.#linear.state().clock.now);
    const isPlanned = (at: string | null) => at !== null && Date.parse(at) > now;
    return this.#linear.deliveries().some((one) => one.state === 'waiting' && isPlanned(one.nextAttemptAt));
  }

  #unrest(): string | null {
    const undelivered = this.#linear.deliveries().find(({ state }) => state !== 'delivered');
    if (undelivered) return `the delivery ${undelivered.event}.${undelivered.action} is ${undelivered.state}`;
    if (this.#box.underway > 0) return 'copies of deliveries are under way';
    for (const { id, activities } of this.#people.sessions()) {
      const last = activities.findLast(({ ephemeral }) => !ephemeral);
      if (last?.type !== 'response' && last?.type !== 'error') return `the thread ${id} waits after ${last?.type}`;
    }
    return this.#sandbox.isAtRest ? null : 'the sandbox is at work';
  }

  async #innerUnrest(): Promise<string | null> {
    const inspection = await this.#inspect().catch((error: unknown) => String(error));
    if (typeof inspection === 'string') return `the object does not answer: ${inspection}`;
    if (!inspection) return 'there is no session';
    const { phase, expectedThread, queue } = stateSchema.parse(JSON.parse(inspection.state));
    if (phase.name !== 'waiting') return `the session is ${phase.name}`;
    if (expectedThread !== null) return 'a thread is expected';
    if (queue.length > 0) return `requests wait: ${queue.map(({ promptId }) => promptId).join(', ')}`;
    return inspection.outbox.length > 0 ? `the outbox holds ${inspection.outbox.join(', ')}` : null;
  }

  async #inspect() {
    return inspectionSchema.parse(await this.#surroundings.cyrus.get(`/chaos/sessions/${this.#sessionId}`));
  }

  async #evidence(): Promise<{ evidence: Evidence; head: number }> {
    const { journal, head } = await this.#journal();
    const threads = this.#people.sessions();
    const mustBe = new Set<string>();
    const mayBe = new Set<string>();
    for (const { activities } of threads) {
      for (const { id, type, signal } of activities) if (type === 'prompt' && signal === null) mustBe.add(id);
    }
    for (const { body } of this.#linear.deliveries()) {
      const { type, action, notification, agentSession } = eventSchema.parse(JSON.parse(body));
      // One that begins with an address was opened by Cyrus, for a request of which a notification told: nobody asks in it.
      const isLinears = agentSession?.externalUrls.length === 0;
      if (type === 'AgentSessionEvent' && action === 'created' && isLinears) mustBe.add(agentSession.id);
      if (type === 'AppUserNotification' && notification) mayBe.add(notification.id);
    }
    const acknowledged = this.#sandbox.lives.map((life) => life.acknowledged);
    const inspection = inspectionSchema.parse(await this.#persist(`/chaos/sessions/${this.#sessionId}`));
    const { closed } = stateSchema.parse(JSON.parse(inspection?.state ?? '{}'));
    const reads = this.#sandbox.lives.flatMap((life) => life.reads);
    return { evidence: { threads, journal, acknowledged, asked: { mustBe, mayBe }, closed, reads }, head };
  }

  /** What a person waited for, held against when it was known; where a call failed or an object ended meanwhile, that is why. */
  #lateness({ threads }: Evidence): { late: string[]; lateMs: number[] } {
    const { clock, cyrus } = this.#surroundings;
    const crashes = [this.#sessionId, this.#linear.workspace.id].flatMap((of) => cyrus.crashTimes.get(of) ?? []);
    const troubles = [...this.#faults.failures, ...crashes];
    const late: string[] = [];
    const lateMs: number[] = [];
    for (const thread of threads) {
      for (const { id, type, createdAt } of thread.activities) {
        const known = cyrus.awaited.get(id);
        if (known === undefined) continue;
        const seen = Date.parse(createdAt);
        const isTroubled =
          troubles.some((at) => at >= known - TROUBLE_LASTS_MS && at <= seen) ||
          cyrus.outages.some(({ from, to }) => from <= seen && to >= known);
        if (isTroubled) continue;
        lateMs.push(seen - known);
        const limit = MOST_LATE_MS + (REAL_LATE_MS + ANSWERS_LATE * cyrus.slowest(known, seen)) * clock.speed;
        if (seen - known > limit)
          late.push(`thread ${thread.id} was told a ${type} ${seen - known} ms after it was known`);
      }
    }
    return { late, lateMs };
  }

  async #journal(): Promise<{ journal: JournalEntry[]; head: number }> {
    const journal: JournalEntry[] = [];
    for (;;) {
      const after = journal.at(-1)?.seq ?? 0;
      const page = sessionPageSchema.parse(await this.#persist(`/api/sessions/${this.#sessionId}?after=${after}`));
      journal.push(...page.entries);
      if (page.entries.length === 0 || journal.at(-1)?.seq === page.head) return { journal, head: page.head };
    }
  }

  /** Workerd may just be down. */
  async #persist(path: string): Promise<unknown> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#surroundings.cyrus.get(path);
      } catch (error) {
        if (attempt === 50) throw error;
        await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
      }
    }
  }

  /** Linear repeats, hours later, what was taken in long ago: nothing may come of it. */
  async #repeatDeliveries(head: number): Promise<string[]> {
    const activities = this.#countActivities();
    const letters = [...this.#box.sent.values()];
    for (let left = 3; left > 0; left -= 1) {
      const letter = this.#random.pick(letters);
      for (let status = 0; status !== 200; ) {
        status = await this.#surroundings.office.repeat(this.#box, letter);
        if (status !== 200) await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
      }
    }
    const stuck = await this.#rest();
    if (stuck) return [`after a repeated delivery: ${stuck}`];
    const after = await this.#journal();
    if (after.head !== head) {
      const news = after.journal.filter(({ seq }) => seq > head).map((entry) => JSON.stringify(entry).slice(0, 200));
      return [`a repeated delivery changed the journal: ${news.join(', ')}`];
    }
    return this.#countActivities() === activities ? [] : ['a repeated delivery was told in Linear'];
  }

  #countActivities(): number {
    return this.#people.sessions().reduce((sum, thread) => sum + thread.activities.length, 0);
  }

  #report(violations: string[], givenUp: string[]): HistoryReport {
    const threads = this.#people.sessions();
    const all = threads.flatMap(({ activities }) => activities);
    const { attempts, duplicates, lost, answersLost, delayed } = this.#box.counts;
    return {
      seed: this.#seed,
      violations,
      givenUp,
      threads: threads.length,
      closings: all.filter(({ type }) => type === 'response' || type === 'error').length,
      activities: all.filter(({ type }) => type !== 'prompt').length,
      prompts: threads.length + all.filter(({ type }) => type === 'prompt').length,
      deliveries: this.#linear.deliveries().length,
      attempts,
      duplicates,
      lost: lost + answersLost,
      delayed,
      calls: this.#faults.calls,
      failedCalls: this.#faults.failed,
      reposts: this.#sandbox.reposts,
      lives: this.#sandbox.lives.length,
      lateMs: this.#lateMs,
    };
  }
}
