/**
 * A life of a sandbox without git and without a CLI, true to the protocol all the same: commands are carried out once,
 * events are numbered, kept until acknowledged, and posted again and again. What Claude does in it is drawn by lot. It
 * follows container/session/incarnation.ts and container/claude/conversation.ts, and speaks the present version of the protocol or the one before.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Backoff, fullBackoff } from '../../src/lib/backoff.ts';
import { eventBatchAnswerSchema, HEARTBEAT_MS } from '../../src/protocol/sandbox/batches.ts';
import type { SandboxCommand } from '../../src/protocol/sandbox/commands.ts';
import type { SandboxEvent, SandboxEventBody } from '../../src/protocol/sandbox/events.ts';
import type { SandboxStatus, StartSession } from '../../src/protocol/sandbox/start.ts';
import { SANDBOX_PROTOCOL } from '../../src/protocol/version.ts';
import type { Random } from '../unit/support/random.ts';
import * as claude from './claude-lines.ts';
import type { RunClock } from './run-clock.ts';

type Prompt = Extract<SandboxCommand, { type: 'prompt' }>;

const RETRIES: Backoff = { initialMs: 200, coefficient: 2, maximumMs: 30_000 };

/** What all lives of a session have in common. */
export interface LifeSurroundings {
  /** The version before, whose server named neither its version, nor what a save came after, nor which prompts were read. */
  isOlder: boolean;
  clock: RunClock;
  random: Random;
  /** A mark that no other line of the run bears. */
  nextMark: () => string;
  /** How often something was posted that was posted before. */
  onRepost: () => void;
}

/** A prompt that Claude has read, and when, by the run's clock. */
export type Read = Prompt & { at: number };

export class ScriptedLife {
  readonly generation: number;
  readonly streamId = randomUUID();
  readonly #bootId = randomUUID();
  readonly #sessionId: string;
  readonly #surroundings: LifeSurroundings;
  #start: StartSession;
  #isOver = false;

  readonly #events: SandboxEvent[] = [];
  /** Last number known to be stored. */
  #stored = 0;
  #postedAt = 0;
  #wake: (() => void) | null = null;

  readonly #known = new Set<string>();
  #stoppedTurn = -1;
  #lastTurn = 1;
  #isPrepared = false;
  #saveWhenPrepared = false;
  #isCliUp = false;
  /** Accepted, but not handed to the CLI. */
  #waiting: Prompt[] = [];
  /** What Claude has read, in the order in which it did. */
  readonly reads: Read[] = [];
  /** In the CLI's queue, and what its running turn is about. */
  #queued: Prompt[] = [];
  #running: Prompt[] | null = null;
  /** Changes whenever the CLI is ended: what it was doing stops. */
  #process = 0;
  #question: { requestId: string; answered: () => void } | null = null;
  #committing = 0;
  #saving = 0;

  constructor(sessionId: string, start: StartSession, surroundings: LifeSurroundings) {
    this.#sessionId = sessionId;
    this.#start = start;
    this.generation = start.generation;
    this.#surroundings = surroundings;
    void this.#prepare();
    void this.#post();
  }

  get status(): SandboxStatus {
    const state = this.#isOver ? 'closed' : this.#isPrepared ? (this.isBusy ? 'working' : 'ready') : 'preparing';
    const { generation, streamId } = this;
    const lastSeq = this.#events.length;
    return {
      ...this.#protocol,
      sessionId: this.#sessionId,
      generation,
      bootId: this.#bootId,
      streamId,
      lastSeq,
      state,
    };
  }

  get #protocol(): { protocol?: number } {
    return this.#surroundings.isOlder ? {} : { protocol: SANDBOX_PROTOCOL };
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  get isBusy(): boolean {
    if (this.#isOver) return false;
    return !this.#isPrepared || this.#isClaudeBusy || this.#waiting.length > 0 || this.#saving > 0;
  }

  /** Nothing to do, and everything told. */
  get isAtRest(): boolean {
    return this.#isOver || (!this.isBusy && this.#stored === this.#events.length);
  }

  get #isClaudeBusy(): boolean {
    return this.#running !== null || this.#queued.length > 0;
  }

  /** Marks of the lines that were acknowledged, in their order. */
  get acknowledged(): string[] {
    return this.#events.slice(0, this.#stored).flatMap((event) => (event.type === 'line' ? [event.line] : []));
  }

  renew(start: StartSession): void {
    this.#start = start;
    this.#wake?.();
  }

  /** The machine is gone, without a word. */
  end(): void {
    this.#isOver = true;
    this.#process += 1;
    this.#question = null;
    this.#wake?.();
  }

  /** @returns the status to answer with */
  command(command: SandboxCommand): number {
    this.#wake?.();
    if (command.type === 'answer' && !this.#known.has(command.id) && this.#question?.requestId !== command.requestId) {
      return 409;
    }
    if (this.#known.has(command.id)) return 200;
    this.#known.add(command.id);
    switch (command.type) {
      case 'prompt':
        if (command.turn <= this.#stoppedTurn) return 200;
        this.#lastTurn = Math.max(this.#lastTurn, command.turn);
        this.#waiting.push(command);
        this.#deliver();
        return 200;
      case 'answer':
        this.#question?.answered();
        this.#question = null;
        return 200;
      case 'stop':
        this.#stoppedTurn = Math.max(this.#stoppedTurn, command.turn);
        void this.#stop(command.turn);
        return 200;
      default:
        return 200;
    }
  }

  async #prepare(): Promise<void> {
    this.#emit({ type: 'step', step: 'mirror', status: 'started' });
    await this.#pause(4_000);
    this.#emit({ type: 'step', step: 'mirror', status: 'done', detail: '20 commits fetched', durationMs: 40 });
    const { branch } = this.#start.repository;
    this.#emit({ type: 'ready', branch, baseCommit: 'b'.repeat(40), worktree: '/workspace/shop', resumed: false });
    this.#isPrepared = true;
    if (this.#saveWhenPrepared) void this.#save();
    this.#deliver();
  }

  #deliver(): void {
    if (!this.#isPrepared || this.#isOver || this.#committing > 0 || this.#waiting.length === 0) return;
    if (!this.#isCliUp) this.#startCli();
    for (const prompt of this.#waiting.splice(0)) {
      this.#queued.push(prompt);
      if (!this.#surroundings.isOlder) this.#line(claude.lifecycle(prompt.id, 'queued'));
    }
    if (this.#running === null) void this.#work(this.#process);
  }

  #startCli(): void {
    this.#isCliUp = true;
    this.#process += 1;
    this.#emit({ type: 'cli-started', pid: 100 + this.#process, resumed: false });
  }

  /** Turns, one after the other, until nothing is queued. @param process the CLI's life in which they happen */
  async #work(process: number): Promise<void> {
    const { random } = this.#surroundings;
    const isGone = () => this.#process !== process;
    while (this.#queued.length > 0) {
      this.#running = this.#queued.splice(0, random.chance(0.3) ? 1 : this.#queued.length);
      this.#read(this.#running);
      this.#line(claude.init());
      for (let steps = random.below(6); steps > 0; steps -= 1) {
        await this.#pause(6_000);
        if (isGone()) return;
        if (random.chance(0.6)) {
          const folded = this.#queued.splice(0);
          this.#running.push(...folded);
          this.#read(folded);
        }
        if (random.chance(0.02)) return this.#crash();
        await this.#act(isGone);
        if (isGone()) return;
      }
      await this.#pause(3_000);
      if (isGone()) return;
      const ids = this.#running.map(({ id }) => id);
      if (await this.#waitForHelpers(isGone)) return;
      this.#running = null;
      if (random.chance(0.05)) this.#line(claude.overloaded(ids));
      else {
        const mark = this.#surroundings.nextMark();
        this.#line(claude.text(mark));
        this.#line(claude.result(mark, ids));
      }
      void this.#save();
    }
    if (random.chance(0.08)) void this.#speakUnasked(process);
  }

  #read(prompts: readonly Prompt[]): void {
    const at = this.#surroundings.clock.now();
    for (const prompt of prompts) {
      this.reads.push({ ...prompt, at });
      if (!this.#surroundings.isOlder) this.#line(claude.lifecycle(prompt.id, 'started'));
    }
  }

  /** Now and then helpers go on after Claude's own last word, and Claude has more to say when they are done. @returns true where the CLI is gone */
  async #waitForHelpers(isGone: () => boolean): Promise<boolean> {
    const { random, nextMark, isOlder } = this.#surroundings;
    if (isOlder || this.#start.waitsForHelpers !== true || !random.chance(0.15)) return false;
    const mark = nextMark();
    this.#line(claude.text(mark));
    this.#emit({ type: 'line', line: claude.result(mark, []), goesOn: true });
    await this.#pause(20_000);
    return isGone();
  }

  /** A command in the background ends, and Claude says something about it though nobody asked. */
  async #speakUnasked(process: number): Promise<void> {
    const { nextMark } = this.#surroundings;
    await this.#pause(15_000);
    const isGone = () => this.#process !== process || this.#running !== null || this.#queued.length > 0;
    if (isGone() || this.#isOver) return;
    this.#running = [];
    const isEnded = () => this.#process !== process;
    this.#line(claude.init());
    const call = nextMark();
    this.#line(claude.toolCall(call));
    await this.#pause(6_000);
    if (isEnded()) return;
    this.#line(claude.toolResult(call));
    const mark = nextMark();
    this.#line(claude.text(mark));
    this.#line(claude.result(mark, []));
    this.#running = null;
    void this.#save();
    if (this.#queued.length > 0) void this.#work(process);
  }

  async #act(isGone: () => boolean): Promise<void> {
    const { random, nextMark } = this.#surroundings;
    const mark = nextMark();
    if (random.chance(0.12)) return this.#ask(mark);
    if (random.chance(0.4)) return this.#line(claude.text(mark));
    this.#line(claude.toolCall(mark));
    await this.#pause(3_000);
    if (!isGone()) this.#line(claude.toolResult(mark));
  }

  async #ask(mark: string): Promise<void> {
    for (const line of claude.question(mark)) this.#line(line);
    await new Promise<void>((resolve) => {
      this.#question = { requestId: `request-${mark}`, answered: resolve };
      // Who ends the CLI ends the wait as well; the process is another one then.
    });
    this.#line(claude.toolResult(mark));
  }

  #crash(): void {
    this.#tellExit('crash', true);
    void this.#save();
    this.#deliver();
  }

  /** @param stop the turn that was stopped, and the prompts that it dropped */
  #tellExit(cause: 'crash' | 'stop', duringTurn: boolean, stop?: { turn: number; dropped: Prompt[] }): void {
    const read = (this.#running ?? []).map(({ id }) => id);
    const unread = [...this.#queued, ...(stop?.dropped ?? [])].map(({ id }) => id);
    const turns = [...(this.#running ?? []), ...this.#queued].map(({ turn }) => turn);
    const turn = stop?.turn ?? (turns.length > 0 ? Math.max(...turns) : undefined);
    this.#process += 1;
    this.#isCliUp = false;
    this.#running = null;
    this.#queued = [];
    this.#question = null;
    const more = this.#surroundings.isOlder ? {} : { ...(turn !== undefined && { turn }), prompts: { read, unread } };
    this.#emit({ type: 'cli-exited', code: null, signal: 'SIGKILL', duringTurn, cause, ...more });
  }

  async #stop(turn: number): Promise<void> {
    const dropped = this.#waiting.filter((prompt) => prompt.turn <= turn);
    this.#waiting = this.#waiting.filter((prompt) => prompt.turn > turn);
    const open = [...(this.#running ?? []), ...this.#queued];
    if (!open.some((prompt) => prompt.turn > turn)) {
      const process = this.#process;
      const isInterrupted = open.length > 0 && this.#surroundings.random.chance(0.7);
      if (isInterrupted) await this.#pause(800);
      if (this.#isOver) return;
      if (process === this.#process) {
        const running = this.#running?.map(({ id }) => id);
        if (isInterrupted && running) {
          this.#line(claude.aborted(running));
          this.#running = null;
        }
        this.#tellExit('stop', (!isInterrupted && open.length > 0) || dropped.length > 0, { turn, dropped });
      }
    }
    if (this.#isPrepared) await this.#save();
    else this.#saveWhenPrepared = true;
    this.#deliver();
  }

  /** Commits, then pushes, which takes long now and then; what waits is delivered in between. */
  async #save(): Promise<void> {
    const turn = this.#lastTurn;
    const after = this.#events.length;
    this.#saving += 1;
    this.#committing += 1;
    this.#emit({ type: 'step', step: 'save', status: 'started' });
    await this.#pause(500);
    this.#committing -= 1;
    this.#deliver();
    await this.#pause(this.#surroundings.random.chance(0.1) ? 90_000 : 2_000);
    this.#saving -= 1;
    this.#emit({ type: 'step', step: 'save', status: 'done', durationMs: 20 });
    this.#emit({
      type: 'saved',
      turn,
      ...(!this.#surroundings.isOlder && { after }),
      branch: this.#start.repository.branch,
      head: 'a'.repeat(40),
      commits: [{ sha: 'a'.repeat(40), subject: 'Count quantities' }],
      files: [{ path: 'src/cart.js', additions: 1, deletions: 1 }],
      newCommits: 1,
      pushed: true,
      patchBytes: null,
    });
  }

  #line(line: string): void {
    this.#emit({ type: 'line', line });
  }

  #emit(body: SandboxEventBody): void {
    if (this.#isOver) return;
    const seq = this.#events.length + 1;
    this.#events.push({ ...body, seq, at: this.#surroundings.clock.now() } as SandboxEvent);
    this.#wake?.();
  }

  /** A time of up to so many milliseconds. */
  #pause(most: number): Promise<void> {
    const { clock, random } = this.#surroundings;
    return clock.sleep(random.next() * most);
  }

  /** Posts what is not stored, one request under way, and now and then what was stored already. */
  async #post(): Promise<void> {
    const { clock, random } = this.#surroundings;
    for (let failures = 0; !this.#isOver; ) {
      const silent = clock.now() - this.#postedAt;
      const isDue = this.#stored < this.#events.length || (this.isBusy && silent >= HEARTBEAT_MS);
      if (!isDue) {
        await this.#sleep(Math.max(1, HEARTBEAT_MS - silent));
        continue;
      }
      this.#postedAt = clock.now();
      const from = random.chance(0.05) ? Math.max(0, this.#stored - random.below(4)) : this.#stored;
      if (from < this.#stored) this.#surroundings.onRepost();
      const events = this.#events.slice(from, from + 1 + random.below(12));
      const outcome = await this.#send(events);
      if (outcome === 'superseded') this.end();
      failures = outcome === 'stored' ? 0 : failures + 1;
      if (failures > 0) await this.#sleep(fullBackoff(RETRIES, failures));
    }
  }

  async #send(events: SandboxEvent[]): Promise<'stored' | 'failed' | 'superseded'> {
    const { gateway } = this.#start;
    const { generation, streamId } = this;
    try {
      const response = await fetch(`${gateway.url}/events`, {
        method: 'POST',
        headers: { authorization: `Bearer ${gateway.token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ ...this.#protocol, generation, bootId: this.#bootId, streamId, events }),
      });
      const body: unknown = await response.json();
      if (response.status === 409) return 'superseded';
      if (!response.ok) return 'failed';
      if (this.#surroundings.random.chance(0.03)) {
        // The answer was lost: everything is posted once more.
        this.#surroundings.onRepost();
        return 'failed';
      }
      this.#stored = Math.min(eventBatchAnswerSchema.parse(body).stored, this.#events.length);
      return 'stored';
    } catch {
      return 'failed';
    }
  }

  async #sleep(ms: number): Promise<void> {
    const waking = new AbortController();
    this.#wake = () => waking.abort();
    await sleep(ms / this.#surroundings.clock.speed, undefined, { signal: waking.signal }).catch(() => {});
    this.#wake = null;
  }
}
