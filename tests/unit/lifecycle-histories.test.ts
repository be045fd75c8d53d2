import { expect, it } from 'vitest';
import type { EventBatch } from '../../src/protocol/sandbox/batches.ts';
import type { SandboxEventBody } from '../../src/protocol/sandbox/events.ts';
import { laneOf } from '../../src/session/lifecycle/effects/index.ts';
import type { EffectResult } from '../../src/session/lifecycle/model/effect-results.ts';
import type { Effect } from '../../src/session/lifecycle/model/effects.ts';
import { canBeHeldUp, currentTurn } from '../../src/session/lifecycle/model/phases.ts';
import { histories, written } from '../histories.ts';
import { Random } from './support/random.ts';
import {
  aborted,
  crashed,
  init,
  permission,
  question,
  result,
  SessionPlay,
  STREAM_ID,
  saved,
  takenBack,
  text,
  usedUp,
} from './support/session-play.ts';

const TO_CLAUDE: string[] = ['stop-sandbox', 'answer-sandbox', 'decide-sandbox'];
const COMMANDS = ['npm publish', 'npm test', 'rm -r dist'];

/**
 * A model of the world around a session: an outbox that may fail, and a sandbox with a CLI that folds prompts, starts
 * turns of its own for late ones, dies, and repeats its batches.
 */
class World {
  readonly play = new SessionPlay();
  readonly random: Random;
  #pending: Effect[] = [];
  /** Prompts that the CLI has been given and not answered; those of the running turn first. */
  #queued: { promptId: string; turn: number }[] = [];
  #running: { promptId: string; turn: number }[] = [];
  /** What Claude has answered in a turn in which its helpers still work; null: none do. */
  #helped: { promptId: string; turn: number }[] | null = null;
  /** Requests of the CLI that people have not answered. */
  #asks: string[] = [];
  #requests = 0;
  #wordLost = false;
  #stopping = false;
  #stoppedTurn = 0;
  #prompts = 0;
  readonly #told = new Set<string>();
  #batches: EventBatch[] = [];
  /** Per thread, what counts: a prompt or stop by a person, or a closing activity. */
  readonly threads = new Map<string, ('asked' | 'closed')[]>();

  readonly seed: number;

  constructor(seed: number) {
    this.play.hasPullRequests = true;
    this.seed = seed;
    this.random = new Random(seed);
  }

  take(effects: Effect[]): void {
    const { cancelledLanes } = this.play;
    this.#pending = this.#pending.filter((effect) => !cancelledLanes.includes(laneOf(effect)));
    // What a command that was left running came to is told in a thread, as if it had been asked for.
    const turn = currentTurn(this.play.state);
    for (const { promptId, agentSessionId, inherited, aside } of turn?.unasked ? turn.prompts : []) {
      if (!inherited || !aside || agentSessionId === null || this.#told.has(promptId)) continue;
      this.#told.add(promptId);
      if (/^id-/.test(promptId)) this.#mark(agentSessionId, 'asked');
    }
    for (const effect of effects) {
      if (effect.kind === 'say') {
        const { type } = effect.activity.content;
        if (type === 'response' || type === 'error') this.#mark(effect.agentSessionId, 'closed');
        // A turn that nobody asked for may ask in a thread, and then closes there.
        const isOwed = balance(this.threads.get(effect.agentSessionId) ?? []) > 0;
        if (type === 'elicitation' && !isOwed) this.#mark(effect.agentSessionId, 'asked');
      }
      const isCarriedOut =
        effect.kind.endsWith('-sandbox') || ['request-slot', 'open-pull-request'].includes(effect.kind);
      if (isCarriedOut) this.#pending.push(effect);
    }
  }

  #mark(thread: string, what: 'asked' | 'closed'): void {
    this.threads.set(thread, [...(this.threads.get(thread) ?? []), what]);
  }

  /** A person asks for something, answers a question, or stops. */
  ask(): void {
    const thread = `thread-${1 + this.random.below(3)}`;
    const asks = this.random.chance(0.85);
    this.#mark(thread, 'asked');
    const words = this.random.pick(['Do it.', 'Do that.', 'Allow once', 'Allow for this session', 'Deny']);
    this.take(asks ? this.play.prompt(`p${++this.#prompts}`, thread, 'Ada', words) : this.play.stop(thread));
  }

  /** One step of the sandbox or the outbox. */
  step(calm: boolean): boolean {
    const effect = this.#pending[0];
    if (effect && this.random.chance(0.5)) {
      this.#pending.shift();
      this.#carryOut(effect, calm);
      return true;
    }
    return this.#sandboxStep(calm) || effect !== undefined;
  }

  #carryOut(effect: Effect, calm: boolean): void {
    if (!calm && this.random.chance(0.02)) {
      if (TO_CLAUDE.includes(effect.kind)) this.#wordLost = true;
      this.take(this.play.play({ type: 'effect-failed', effect, attempts: 10, error: 'unreachable', hint: null }));
      return;
    }
    if (effect.kind === 'request-slot') {
      const place = calm ? 0 : this.random.below(3);
      this.take(this.play.play({ type: 'effect-done', effect, result: { kind: 'queued', position: place } }));
    }
    if (effect.kind === 'open-pull-request') this.#propose(effect);
    if (effect.kind === 'start-sandbox') {
      if (canBeHeldUp(this.play.state.phase) && this.random.chance(0.1)) {
        this.take(this.play.startedWith({ kind: 'queued', position: 1 + this.random.below(3) }));
        return;
      }
      const isIdle = this.#running.length + this.#queued.length === 0 && this.#helped === null;
      this.take(this.play.started(STREAM_ID, isIdle ? 'ready' : 'working'));
    }
    if (effect.kind === 'answer-sandbox' || effect.kind === 'decide-sandbox') {
      const refused = { attempts: 1, error: 'not asked', hint: null };
      const isAsked = this.#asks.includes(effect.requestId);
      this.#asks = this.#asks.filter((requestId) => requestId !== effect.requestId);
      if (!isAsked) this.take(this.play.play({ type: 'effect-failed', effect, ...refused }));
    }
    if (effect.kind === 'prompt-sandbox' && effect.turn > this.#stoppedTurn) this.#queued.push(effect);
    if (effect.kind === 'stop-sandbox') {
      this.#stoppedTurn = effect.turn;
      this.#stopping = [...this.#running, ...(this.#helped ?? [])].every(({ turn }) => turn <= effect.turn);
    }
  }

  #propose(effect: Effect): void {
    const url = 'https://github.test/acme/shop/pull/1';
    const result = this.random.pick<EffectResult>([
      { kind: 'pull-request', state: 'opened', number: 1, url, draft: false, hears: true },
      { kind: 'branch', url: null },
      null,
    ]);
    this.take(this.play.play({ type: 'effect-done', effect, result }));
  }

  /** A commit that is new, or one from before again. */
  #head(): string {
    return `${this.random.below(4)}`.repeat(40);
  }

  #sandboxStep(calm: boolean): boolean {
    if (this.#stopping) {
      this.#stopping = false;
      this.#asks = [];
      const running = this.#running;
      this.#running = [];
      this.#helped = null;
      this.#queued = this.#queued.filter(({ turn }) => turn > this.#stoppedTurn);
      this.#report(...(running.length > 0 ? [aborted(ids(running))] : []), saved(this.play.state.turns, 0));
      return true;
    }
    if (this.#running.length === 0) {
      if (this.#helped && (this.#queued.length === 0 || this.random.chance(0.5))) return this.#helperStep(calm);
      if (this.#queued.length === 0) return false;
      this.#running = this.#queued.splice(0, this.random.chance(0.3) ? 1 : this.#queued.length);
      this.#report(init);
      return true;
    }
    // Only where a stop or an answer never arrived nobody answers any more: the CLI falls silent, and is ended in the end.
    const isForgotten = this.#wordLost && this.#asks.length > 0 && this.random.chance(0.05);
    if (isForgotten || (!calm && this.random.chance(0.03))) {
      this.#crash();
      return true;
    }
    if (this.#asks.length > 0) {
      // A call of several may be taken back, e.g. with the subagent that made it.
      const [first] = this.#asks;
      // Or it was made by a helper in the background, and goes on asking after the result.
      if (!calm && this.random.chance(0.02)) {
        const ended = this.#running;
        this.#running = [];
        this.#helped = null;
        this.#report(result(`answer ${this.random.below(1e9)}`, ids(ended)), saved(this.play.state.turns, 0));
        return true;
      }
      if (calm || first === undefined || !this.random.chance(0.02)) return false;
      this.#asks = this.#asks.slice(1);
      this.#report(takenBack(first));
      return true;
    }
    if (this.random.chance(0.08)) {
      const calls = Array.from({ length: this.random.pick([1, 1, 1, 3]) }, () => `request-${++this.#requests}`);
      this.#asks = [...calls];
      this.#report(
        ...calls.map((id) => (this.random.chance(0.4) ? question(id) : permission(id, this.random.pick(COMMANDS)))),
      );
      return true;
    }
    if (this.random.chance(0.4)) {
      if (this.random.chance(0.5)) this.#running.push(...this.#queued.splice(0));
      this.#report(text(`words ${this.random.below(1e9)}`));
      return true;
    }
    const answered = this.#running;
    this.#running = [];
    if (this.random.chance(0.2)) {
      this.#helped = [...(this.#helped ?? []), ...answered];
      this.#report(openResult(`so far ${this.random.below(1e9)}`, ids(answered)));
      return true;
    }
    this.#helped = null;
    if (this.random.chance(calm ? 0.02 : 0.1)) {
      this.#report(usedUp(ids(answered)), saved(this.play.state.turns, 0));
      return true;
    }
    this.#report(result(`answer ${this.random.below(1e9)}`, ids(answered)));
    this.#report(this.#saved());
    return true;
  }

  /** Claude has said all it can; its helpers ask, die with it, or are done. */
  #helperStep(calm: boolean): boolean {
    if (this.#asks.length > 0 && !(this.#wordLost && this.random.chance(0.05))) return false;
    if (this.#asks.length > 0 || (!calm && this.random.chance(0.05))) {
      this.#crash();
      return true;
    }
    if (this.random.chance(0.1)) {
      const id = `request-${++this.#requests}`;
      this.#asks = [id];
      this.#report(permission(id, this.random.pick(COMMANDS)));
      return true;
    }
    this.#helped = null;
    const words = `answer ${this.random.below(1e9)}`;
    if (this.random.chance(0.5)) this.#report(init, text(words), result(words, []));
    else this.#report({ type: 'work-ended' });
    this.#report(this.#saved());
    return true;
  }

  #crash(): void {
    this.#asks = [];
    this.#running = [];
    this.#queued = [];
    this.#helped = null;
    this.#report(crashed, saved(this.play.state.turns, 0));
  }

  /** Now and then with a command that runs on. */
  #saved(): SandboxEventBody {
    const body = saved(this.play.state.turns, 1, this.#head());
    const background = { commands: ['npm run dev'], endAfterMs: 300_000 };
    return body.type === 'saved' && this.random.chance(0.2) ? { ...body, background } : body;
  }

  #report(...bodies: SandboxEventBody[]): void {
    if (this.play.state.sandbox.generation === 0) return;
    const batch = this.play.batch(...bodies);
    this.#batches.push(batch);
    this.take(this.play.play({ type: 'sandbox-reported', batch }));
    const again = this.random.chance(0.2) ? this.random.pick(this.#batches) : null;
    if (again && !this.play.isRefused(again)) this.take(this.play.play({ type: 'sandbox-reported', batch: again }));
  }

  /** Lets everything come to rest: nobody asks any more, nothing fails, time passes. */
  settle(): void {
    for (let i = 0; i < 2_000; i++) {
      if (this.step(true)) continue;
      if (this.play.state.phase.name === 'waiting') {
        if (!this.#wordLost) expect(this.#asks, `seed ${this.seed}: nobody answered`).toEqual([]);
        return;
      }
      if (this.play.state.phase.name === 'asking') this.ask();
      this.take(this.play.deadline(50_000));
    }
    throw new Error(`seed ${this.seed} never came to rest: ${JSON.stringify(this.play.state.phase)}`);
  }
}

/** How many answers a thread is owed. */
function balance(history: ('asked' | 'closed')[]): number {
  return history.reduce((owed, what) => owed + (what === 'asked' ? 1 : -1), 0);
}

function openResult(words: string, promptIds: string[]): SandboxEventBody {
  const body = result(words, promptIds);
  return body.type === 'line' ? { ...body, goesOn: true } : body;
}

function ids(prompts: { promptId: string }[]): string[] {
  return prompts.map(({ promptId }) => promptId);
}

const count = histories(2_000);
it(`a session owes no thread an answer in the end, and gives none twice, in ${written(count)} random histories`, {
  timeout: 300_000,
}, () => {
  for (let seed = 1; seed <= count; seed++) {
    const world = new World(seed);
    for (let i = 0; i < 60; i++) {
      if (world.random.chance(0.15)) world.ask();
      else world.step(false);
      if (world.random.chance(0.02)) world.take(world.play.deadline(world.random.below(60_000)));
      if (world.random.chance(0.02)) world.take(world.play.deadline(world.random.below(600_000)));
      if (world.random.chance(0.03))
        world.take(world.play.play({ type: 'queue-moved', position: world.random.below(3) }));
    }
    world.settle();
    for (const [thread, history] of world.threads) {
      expect(history.at(-1), `seed ${seed}: ${thread} is owed an answer: ${history.join(' ')}`).toBe('closed');
      let owed = 0;
      for (const what of history) {
        owed += what === 'asked' ? 1 : -1;
        expect(owed, `seed ${seed}: ${thread} was answered too often: ${history.join(' ')}`).toBeGreaterThanOrEqual(0);
      }
    }
  }
});
