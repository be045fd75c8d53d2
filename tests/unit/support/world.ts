import type { SandboxEventBody } from '../../../src/protocol/sandbox/events.ts';
import { laneOf } from '../../../src/session/lifecycle/effects/index.ts';
import type { EffectResult } from '../../../src/session/lifecycle/model/effect-results.ts';
import type { Effect } from '../../../src/session/lifecycle/model/effects.ts';
import type { SessionEvent } from '../../../src/session/lifecycle/model/events.ts';
import type { SessionState } from '../../../src/session/lifecycle/model/state.ts';
import type { Transition } from '../../../src/session/lifecycle/model/transition.ts';
import { Random } from './random.ts';
import { init, line, permission, question, result, SessionPlay, takenBack, text, usedUp } from './session-play.ts';

type Given = { id: string; turn: number };

/** Carries effects between a session and the world, if that is not left to the world. */
export interface Carrier {
  /** What is under way to the sandbox. */
  readonly waiting: readonly Effect[];
  /** It arrived, and brought this back. */
  settle(effect: Effect, result: EffectResult): void;
  /** It was refused. */
  refuse(effect: Effect, error: string): void;
}

/**
 * A sandbox with a CLI as the real one is (measured with CLI 2.1.330): it queues what it is given, tells when it reads it, folds
 * it into a running turn or gives it a turn of its own, begins turns unasked, writes its transcript with a delay, and dies alone
 * at any moment. Saves take long, batches arrive late, and so do Linear's webhooks, out of order.
 *
 * With trouble, Claude also asks people, meets limits, and loses its disk to the last checkpoint; effects are given up. Then words do
 * not always tell which request they answer, so which answer is told where is judged without trouble alone.
 */
export class World {
  readonly play: SessionPlay;
  readonly random: Random;
  readonly #seed: number;
  #outbox: Effect[] = [];
  /** What the sandbox has not posted yet, in order. */
  #unposted: SandboxEventBody[] = [];
  #seq = 0;
  /** Webhooks on their way. */
  #webhooks: SessionEvent[] = [];

  // The sandbox.
  #isUp = false;
  readonly #known = new Set<string>();
  #stoppedTurn = -1;
  #lastTurn = 0;
  #saves: { turn: number; after: number }[] = [];
  // The CLI.
  #queued: Given[] = [];
  #running: Given[] | null = null;
  /** Read, and not in the transcript on the disk yet. */
  #unwritten: Given[] = [];
  /** Something is in its conversation: what the disk that it was made from held, or what it has read since. */
  #hasRead = false;
  readonly #transcript = new Set<string>();

  // What people did, and what came of it.
  #asked = 0;
  /** When each request was asked, by Linear's clock, and in which thread. */
  readonly requests = new Map<string, { at: number; thread: string }>();
  /** What Claude answered to each. */
  /** What was found first: what takes in a batch goes on after an error. */
  #failure: Error | null = null;
  readonly #answers = new Map<string, string>();
  readonly #read = new Set<string>();
  readonly closed = new Map<string, string[]>();
  /** Requests that a stop has ended and the sandbox was told of, or that it was never given. */
  readonly #over = new Set<string>();
  /** A stop was final without the sandbox's word. */
  #isForced = false;

  // Trouble.
  readonly #hasTrouble: boolean;
  readonly #linearAhead: number;
  /** What was said while Claude asked: an answer, or a request of its own. */
  readonly #maybeAnswers = new Set<string>();
  /** Questions that wait in the CLI, and how many it has asked. */
  #open: string[] = [];
  #questions = 0;
  /** What the last checkpoint holds. */
  #kept: ReadonlySet<string> = new Set();
  #checkpoints = 0;
  /** The sandbox that runs, and how many there were. */
  #generation = 1;
  #disks = 1;

  readonly #carrier: Carrier | null;

  /**
   * @param linearAhead how far Linear's clock is ahead of the Worker's, in ms
   * @param session with effects that it carries itself; null: one whose effects this world carries
   */
  constructor(seed: number, hasTrouble = false, linearAhead = 0, session: (SessionPlay & Carrier) | null = null) {
    this.#carrier = session;
    this.play = session ?? new SessionPlay();
    this.play.onTransition = (transition, before) => this.#noted(transition, before);
    this.#linearAhead = linearAhead;
    // Far from the beginning of time, before which Linear's clock has none.
    if (linearAhead !== 0) this.play.now += 24 * 3_600_000;
    this.#seed = seed;
    this.random = new Random(seed);
    this.#hasTrouble = hasTrouble;
  }

  /** The time by Linear's clock. */
  get #linearNow(): number {
    return this.play.now + this.#linearAhead;
  }

  #happens(share: number): boolean {
    return this.#hasTrouble && this.random.chance(share);
  }

  fail(what: string): never {
    this.#failure ??= new Error(`seed ${this.#seed}: ${what}`);
    throw this.#failure;
  }

  /** The id under which people asked. */
  #origin(id: string): string {
    const copy = this.play.copied.find(({ promptId }) => promptId === id);
    return copy ? this.#origin(copy.of) : id;
  }

  // --- People ---

  ask(): void {
    const id = `p${++this.#asked}`;
    const thread = `thread-${1 + this.random.below(3)}`;
    const at = this.#linearNow;
    this.requests.set(id, { at, thread });
    this.#send({
      type: 'prompted',
      promptId: id,
      agentSessionId: thread,
      author: 'Ada',
      person: { id: 'ada', email: null },
      source: 'comment',
      text: id,
      at,
    });
  }

  /** Somebody answers what Claude asks, on the page or in words. */
  answer(): void {
    const { phase } = this.play.state;
    if (phase.name !== 'asking' || phase.about.kind === 'repository') return;
    const { requestId, kind } = phase.about;
    const id = `a${++this.#asked}`;
    const thread = `thread-${1 + this.random.below(3)}`;
    const at = this.#linearNow;
    this.requests.set(id, { at, thread });
    this.#maybeAnswers.add(id);
    const said = { type: 'prompted', promptId: id, author: 'Ada' } as const;
    if (this.random.chance(0.6)) {
      const answers =
        kind === 'claude'
          ? { question: `${requestId}:0`, options: [this.random.pick(['o1', 'o2'])] }
          : { question: requestId, options: [this.random.pick(['once', 'deny'])] };
      this.#take({ ...said, agentSessionId: null, person: null, source: 'page', text: 'x', answers });
      return;
    }
    const words = this.random.pick(['yes', 'no', '1', 'This', 'because']);
    this.#send({
      ...said,
      agentSessionId: thread,
      person: { id: 'ada', email: null },
      source: 'comment',
      text: words,
      at,
    });
  }

  stop(): void {
    const at = this.#linearNow;
    const thread = `thread-${1 + this.random.below(3)}`;
    const id = `stop-${at}`;
    const how = this.random.next();
    if (how < 0.3) this.#send({ type: 'withdrawn', id, why: 'unassigned', author: 'Ada', teamIds: [], at });
    else if (how < 0.5) {
      this.#take({ type: 'stop-requested', id, agentSessionId: null, author: 'Ada', source: 'page' });
    } else this.#send({ type: 'stop-requested', id, agentSessionId: thread, author: 'Ada', source: 'comment', at });
  }

  #send(event: SessionEvent): void {
    this.play.now += 20;
    this.#webhooks.push(event);
    if (this.random.chance(0.8)) this.#deliver();
  }

  #deliver(): void {
    const event = this.random.pick(this.#webhooks);
    this.#webhooks = this.#webhooks.filter((one) => one !== event);
    this.#take(event);
  }

  // --- The session ---

  #take(event: SessionEvent): void {
    if (event.type === 'prompted' && this.play.state.phase.name === 'asking') this.#maybeAnswers.add(event.promptId);
    this.play.play(event);
    const { phase } = this.play.state;
    const isEnding = phase.name === 'stopping' || phase.name === 'saving';
    if (event.type !== 'deadline' && !isEnding && this.#happens(0.02)) this.play.deadline(60_000);
  }

  /** What a transition changed, in the world's books. */
  #noted({ effects, cancelledLanes }: Transition, before: SessionState): void {
    const { state } = this.play;
    if (!this.#carrier) {
      this.#outbox = this.#outbox.filter((effect) => !cancelledLanes.includes(laneOf(effect)));
      this.#outbox.push(...effects.filter(({ kind }) => kind.endsWith('-sandbox')));
    }
    const known = new Set((before.closed ?? []).map(({ id, closedAt }) => `${id} ${closedAt}`));
    for (const closed of state.closed ?? []) {
      if (known.has(`${closed.id} ${closed.closedAt}`)) continue;
      this.closed.set(closed.id, [...(this.closed.get(closed.id) ?? []), closed.how]);
      if (closed.how === 'answered') {
        if (!this.#hasTrouble) this.#isToldItsAnswer(closed.id, effects);
      } else if (closed.how !== 'failed') this.#over.add(closed.id);
    }
    if (effects.some((effect) => effect.kind === 'say' && isForced(effect))) this.#isForced = true;
  }

  /** An effect came to this. @param result null: to nothing that the session has to be told */
  #settled(effect: Effect, result: EffectResult): void {
    if (this.#carrier) this.#carrier.settle(effect, result);
    else if (result !== null) this.#take({ type: 'effect-done', effect, result });
  }

  #refused(effect: Effect, attempts: number, error: string): void {
    if (this.#carrier) this.#carrier.refuse(effect, error);
    else this.#take({ type: 'effect-failed', effect, attempts, error, hint: null });
  }

  /** An answer is the request's own, and goes to its thread. */
  #isToldItsAnswer(id: string, effects: Effect[]): void {
    const asked = this.requests.get(id);
    if (!asked) return;
    const words = this.#answers.get(id) ?? this.fail(`${id} is closed as answered, and Claude gave no answer`);
    const told = effects.flatMap((effect) =>
      effect.kind === 'say' && effect.agentSessionId === asked.thread && effect.activity.content.type === 'response'
        ? [effect.activity.content.body]
        : [],
    );
    if (!told.some((body) => body.includes(words)))
      this.fail(`${id} was answered "${words}", told: ${told.join('; ')}`);
  }

  // --- The sandbox ---

  step(calm: boolean): boolean {
    if (this.#hasTrouble && (calm ? this.#calmly() : this.#badly())) return true;
    const lane = this.random.chance(0.5) ? 'stop' : 'sandbox';
    const waiting = this.#carrier?.waiting ?? this.#outbox;
    const effect = waiting.find((one) => laneOf(one) === lane) ?? waiting[0];
    const what = this.random.next();
    if (this.#webhooks.length > 0 && (calm || this.random.chance(0.1))) {
      this.#deliver();
      return true;
    }
    if (effect && what < 0.4) {
      this.#outbox = this.#outbox.filter((one) => one !== effect);
      this.#carryOut(effect, calm);
      return true;
    }
    if (this.#unposted.length > 0 && what < 0.7) {
      this.#post();
      return true;
    }
    if (!calm && this.#isUp && this.random.chance(0.05)) {
      this.#killCli();
      return true;
    }
    if (this.#saves.length > 0 && this.random.chance(calm ? 0.5 : 0.15)) {
      this.#save();
      return true;
    }
    return this.#claude(calm) || effect !== undefined || this.#unposted.length > 0 || this.#saves.length > 0;
  }

  /** What waits for people is answered in the end. */
  #calmly(): boolean {
    this.answer();
    return false;
  }

  #badly(): boolean {
    if (!this.#isUp) return false;
    const isCurrent = this.#generation === this.play.state.sandbox.generation;
    if (isCurrent && this.#happens(0.01)) {
      this.#loseDisk();
      return true;
    }
    if (isCurrent && this.#unposted.length === 0 && this.#happens(0.05)) {
      this.#checkpoint();
      return true;
    }
    return false;
  }

  /** The sandbox is gone, with what no checkpoint holds. */
  #loseDisk(): void {
    this.#beginDisk();
    this.#take({ type: 'sandbox-ended', generation: this.play.state.sandbox.generation });
  }

  #beginDisk(): void {
    this.#disks += 1;
    this.#isUp = false;
    this.#unposted = [];
    this.#saves = [];
    this.#queued = [];
    this.#running = null;
    this.#unwritten = [];
    this.#open = [];
    this.#known.clear();
    this.#seq = 0;
    this.#stoppedTurn = -1;
    this.play.restartNumbers();
    this.#transcript.clear();
    for (const id of this.#kept) this.#transcript.add(id);
    this.#hasRead = this.#transcript.size > 0;
  }

  #checkpoint(): void {
    this.#kept = new Set(this.#transcript);
    const { generation } = this.play.state.sandbox;
    const checkpoint = { generation, sequence: ++this.#checkpoints, at: this.play.now, eventSeq: this.#seq };
    this.#take({ type: 'checkpointed', checkpoint: { ...checkpoint, prompts: [...this.#transcript] } });
  }

  #stream(): string {
    return `5b7d9a3e-0000-4000-8000-${String(this.#disks).padStart(12, '0')}`;
  }

  #carryOut(effect: Effect, calm: boolean): void {
    if (!calm && effect.kind !== 'stop-sandbox' && this.#happens(0.02)) {
      this.#refused(effect, 6, 'away');
      return;
    }
    const answer = this.#deed(effect);
    if (answer === 'refused') this.#refused(effect, 1, '409');
    else this.#settled(effect, answer);
  }

  /** The sandbox is asked, and the session that asked has ended meanwhile: nobody hears what it answers. */
  carryOutUnheard(effect: Effect): void {
    if (effect.kind !== 'start-sandbox' || effect.generation >= this.#generation) this.#deed(effect);
  }

  /** What the sandbox does, once for each command, and what it answers. @returns null: done; `refused`: it does not do that */
  #deed(effect: Effect): EffectResult | 'refused' {
    if (effect.kind === 'answer-sandbox' || effect.kind === 'decide-sandbox') {
      if (this.#known.has(effect.id)) return null;
      const { requestId } = effect;
      if (!this.#open.includes(requestId)) return 'refused';
      this.#known.add(effect.id);
      this.#open = this.#open.filter((one) => one !== requestId);
      return null;
    }
    const { generation } = this.play.state.sandbox;
    if (effect.kind === 'start-sandbox') {
      if (effect.generation !== this.#generation) {
        this.#beginDisk();
        this.#generation = effect.generation;
      }
      this.#isUp = true;
      const isBusy = this.#running !== null || this.#queued.length > 0 || this.#saves.length > 0;
      const status = { generation, lastSeq: this.#seq };
      return this.play.startedResult(this.#stream(), isBusy ? 'working' : 'ready', status);
    }
    if (effect.kind === 'prompt-sandbox') {
      if (!this.#isUp || this.#generation !== generation) return { kind: 'lost', generation };
      const { promptId: id, turn } = effect;
      if (this.#known.has(id)) return null;
      this.#known.add(id);
      this.#lastTurn = Math.max(this.#lastTurn, turn);
      if (turn > this.#stoppedTurn) {
        this.#queued.push({ id, turn });
        this.#tell(lifecycle(id, 'queued'));
      }
    }
    if (effect.kind === 'stop-sandbox' && !this.#known.has(effect.id)) {
      this.#known.add(effect.id);
      this.#stopCli(effect.turn);
    }
    return null;
  }

  #tell(...bodies: SandboxEventBody[]): void {
    this.#unposted.push(...bodies);
    this.#seq += bodies.length;
  }

  #post(): void {
    const bodies = this.#unposted.splice(0, 1 + this.random.below(4));
    const batch = { ...this.play.batch(...bodies), streamId: this.#stream() };
    if (this.#generation !== this.play.state.sandbox.generation || this.play.isRefused(batch)) {
      // A superseded sandbox is told so, and stops posting.
      this.#unposted = [];
      return;
    }
    this.#take({ type: 'sandbox-reported', batch });
    if (this.random.chance(0.1)) this.#take({ type: 'sandbox-reported', batch });
  }

  #save(): void {
    const save = this.#saves.shift();
    if (!save) return;
    this.#tell({
      type: 'saved',
      ...save,
      branch: 'cyrus/eng-1',
      head: 'a'.repeat(40),
      commits: [],
      files: [],
      newCommits: 0,
      pushed: true,
      patchBytes: null,
    });
  }

  #saveSoon(turn: number): void {
    this.#saves.push({ turn: Math.max(1, turn), after: this.#seq });
  }

  #end(cause: 'crash' | 'stop', stop?: { turn: number; dropped: Given[] }): void {
    const given = [...(this.#running ?? []), ...this.#queued];
    const duringTurn = this.#running !== null || given.length > 0 || (stop?.dropped.length ?? 0) > 0;
    // What was not written in time is not in the conversation.
    const lost = new Set(this.#unwritten.map(({ id }) => id));
    const read = given.filter(({ id }) => this.#transcript.has(id) && !lost.has(id)).map(({ id }) => id);
    const unread = [...given.map(({ id }) => id).filter((id) => !read.includes(id))];
    for (const id of lost) this.#transcript.delete(id);
    this.#unwritten = [];
    this.#running = null;
    this.#queued = [];
    this.#open = [];
    const turn = stop?.turn ?? (given.length > 0 ? Math.max(...given.map((one) => one.turn)) : undefined);
    this.#tell({
      type: 'cli-exited',
      code: null,
      signal: 'SIGKILL',
      duringTurn,
      cause,
      ...(turn !== undefined && { turn }),
      prompts: { read, unread },
    });
    if (duringTurn || stop) this.#saveSoon(this.#lastTurn);
  }

  #killCli(): void {
    this.#end('crash');
  }

  #stopCli(turn: number): void {
    this.#stoppedTurn = Math.max(this.#stoppedTurn, turn);
    const isLate = [...(this.#running ?? []), ...this.#queued].some((one) => one.turn > turn);
    if (isLate) {
      this.#saveSoon(this.#lastTurn);
      return;
    }
    if (this.#running !== null) {
      const ids = this.#running.map(({ id }) => id);
      this.#tell(
        result('', ids, { is_error: true, subtype: 'error_during_execution', terminal_reason: 'aborted_tools' }),
      );
      this.#running = null;
    }
    this.#end('stop', { turn, dropped: [] });
  }

  #readBy(given: Given): void {
    const origin = this.#origin(given.id);
    if (this.#over.has(origin)) this.fail(`${origin} is read by Claude after it was stopped`);
    this.#read.add(origin);
    this.#hasRead = true;
    this.#transcript.add(given.id);
    this.#unwritten.push(given);
    this.#tell(lifecycle(given.id, 'started'));
  }

  #claude(calm: boolean): boolean {
    if (!this.#isUp) return false;
    if (this.random.chance(0.5)) this.#unwritten = [];
    if (this.#running === null) {
      const next = this.#queued.shift();
      if (next) {
        this.#readBy(next);
        this.#running = [next];
        this.#tell(named(init, [next.id]));
        return true;
      }
      // What it begins by itself comes of something it was asked before, on this disk or one that this goes on from.
      if (calm || !this.#hasRead || !this.random.chance(0.06)) return false;
      this.#running = [];
      this.#tell(init);
      return true;
    }
    if (this.#queued.length > 0 && this.random.chance(0.3)) {
      const next = this.#queued.shift();
      if (next) {
        this.#readBy(next);
        this.#running.push(next);
      }
      return true;
    }
    if (this.#hasTrouble) {
      if (this.#open.length > 0) return !calm && this.#takesBack();
      if (this.random.chance(0.12)) return this.#asks();
      if (!calm && this.#running.length > 0 && this.random.chance(0.03)) return this.#meetsLimit(this.#running);
    }
    if (this.random.chance(0.4)) {
      // It runs a tool. What was posted of it is all that the session can know.
      if (
        this.#unposted.length === 0 &&
        !this.#isForced &&
        !this.#hasTrouble &&
        this.play.state.phase.name === 'waiting'
      ) {
        this.fail('a tool runs while people are told that nothing does');
      }
      this.#tell(text(`words ${this.random.below(1e9)}`));
      return true;
    }
    const answered = this.#running;
    this.#running = null;
    const words = `answer ${this.random.below(1e9)}`;
    const all = [...answered.map(({ id }) => this.#origin(id)), ...this.#inherited(answered)];
    for (const id of all) this.#answers.set(id, words);
    const turn = Math.max(this.#lastTurn, ...answered.map((one) => one.turn));
    this.#tell(
      result(
        words,
        answered.map(({ id }) => id),
      ),
    );
    this.#saveSoon(turn);
    return true;
  }

  /** Claude asks a question or for a permission, at times two at once. */
  #asks(): true {
    const id = `q${++this.#questions}`;
    this.#open.push(id);
    this.#tell(this.random.chance(0.5) ? question(id) : permission(id, `command ${id}`));
    if (this.random.chance(0.3)) {
      const other = `q${++this.#questions}`;
      this.#open.push(other);
      this.#tell(permission(other, `command ${other}`));
    }
    return true;
  }

  /** The CLI does not wait for an answer any more. */
  #takesBack(): boolean {
    const [first] = this.#open;
    if (first === undefined || !this.random.chance(0.05)) return false;
    this.#open.shift();
    this.#tell(takenBack(first));
    return true;
  }

  #meetsLimit(running: Given[]): true {
    this.#running = null;
    this.#tell(usedUp(running.map(({ id }) => id)));
    this.#saveSoon(this.#lastTurn);
    return true;
  }

  /** What was read by a process that died is answered by whatever goes on with it. */
  #inherited(answered: Given[]): string[] {
    const isResumption = answered.some(({ id }) =>
      this.play.asked.some(({ promptId }) => promptId === this.#origin(id)),
    );
    return isResumption ? [...this.#read].filter((id) => !this.closed.has(id) && !this.#answers.has(id)) : [];
  }

  /** Nobody asks any more, and no process dies. */
  settle(): void {
    for (const _ of this.settling());
  }

  /** The same, a step at a time. */
  *settling(): Generator<void, void, undefined> {
    for (let steps = 0; steps < 4_000; steps++) {
      if (!this.step(true)) {
        if (this.play.state.phase.name === 'waiting') return;
        this.play.rest(50_000);
      }
      yield;
    }
    this.fail(`never came to rest: ${JSON.stringify(this.play.state.phase)}`);
  }

  /** Lives on for a while: people ask, stop and answer at random, mostly the sandbox goes on. @param shares of the steps, added up */
  live(steps: number, shares: { stop: number; answer?: number }): void {
    for (let step = 0; step < steps; step++) this.act(shares);
  }

  /** One such step. */
  act({ stop, answer = 0 }: { stop: number; answer?: number }): void {
    const what = this.random.next();
    if (what < 0.12) this.ask();
    else if (what < stop) this.stop();
    else if (what < answer) this.answer();
    else this.step(false);
  }

  judge(): void {
    if (this.#failure) throw this.#failure;
    for (const id of this.requests.keys()) {
      const how = this.closed.get(id) ?? [];
      if (this.#maybeAnswers.has(id)) {
        if (how.length > 1) this.fail(`${id} was closed ${how.length} times: ${how.join(', ')}`);
        continue;
      }
      if (how.length !== 1) this.fail(`${id} was closed ${how.length} times: ${how.join(', ')}`);
      if (how[0] === 'answered' && !this.#read.has(id)) this.fail(`${id} is answered and was never read`);
    }
  }
}

function isForced(effect: Extract<Effect, { kind: 'say' }>): boolean {
  const { content } = effect.activity;
  return 'body' in content && content.body.includes('did not confirm in time');
}

function lifecycle(id: string, state: 'queued' | 'started'): SandboxEventBody {
  return line({ type: 'command_lifecycle', command_uuid: id, state, uuid: `${id}-${state}` });
}

function named(body: SandboxEventBody, ids: string[]): SandboxEventBody {
  if (body.type !== 'line') return body;
  return { ...body, line: JSON.stringify({ ...JSON.parse(body.line), user_message_uuids: ids }) };
}
