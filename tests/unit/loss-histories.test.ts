import { expect, it } from 'vitest';
import type { SandboxEventBody } from '../../src/protocol/sandbox/events.ts';
import { laneOf } from '../../src/session/lifecycle/effects/index.ts';
import type { Effect } from '../../src/session/lifecycle/model/effects.ts';
import { histories, written } from '../histories.ts';
import { Random } from './support/random.ts';
import { crashed, init, line, result, SessionPlay, saved } from './support/session-play.ts';

/**
 * A sandbox that loses its processes and its disk at any moment, keeps checkpoints now and then, and starts again with what
 * they hold. Its CLI does what the real one does with a prompt that is in the conversation already: nothing.
 */
class World {
  readonly play = new SessionPlay();
  readonly random: Random;
  #pending: Effect[] = [];
  #queued: string[] = [];
  #running: string[] = [];
  /** Prompts in the conversation on the sandbox's disk, and in the checkpoint. */
  #conversation = new Set<string>();
  #kept: { conversation: Set<string>; id: string } | null = null;
  #streams = 1;
  #hasDisk = true;
  #isUnsaved = false;
  #call: string | null = null;
  #calls = 0;
  #prompts = 0;
  /** Prompts that a CLI was given although its conversation had them. */
  askedTwice = 0;
  /** What came last in a thread. */
  readonly threads = new Map<string, 'asked' | 'closed'>();

  constructor(seed: number) {
    this.random = new Random(seed);
  }

  ask(): void {
    const thread = `thread-${1 + this.random.below(2)}`;
    this.threads.set(thread, 'asked');
    this.#take(this.play.prompt(`p${++this.#prompts}`, thread));
  }

  #take(effects: Effect[]): void {
    const { cancelledLanes } = this.play;
    this.#pending = this.#pending.filter((effect) => !cancelledLanes.includes(laneOf(effect)));
    for (const effect of effects) {
      if (effect.kind === 'say' && ['response', 'error'].includes(effect.activity.content.type)) {
        this.threads.set(effect.agentSessionId, 'closed');
      }
      if (effect.kind === 'start-sandbox' || effect.kind === 'prompt-sandbox') this.#pending.push(effect);
    }
  }

  /** @returns whether anything happened */
  step(calm: boolean): boolean {
    if (!calm && this.random.chance(0.04)) this.#loseProcess();
    if (!calm && this.random.chance(0.04)) this.#loseDisk();
    const effect = this.#pending[0];
    if (effect && this.random.chance(0.5)) {
      this.#pending.shift();
      this.#carryOut(effect);
      return true;
    }
    return (this.#hasDisk && this.#work()) || effect !== undefined;
  }

  #loseProcess(): void {
    if (!this.#hasDisk || this.#running.length === 0) return;
    this.#running = [];
    this.#queued = [];
    this.#call = null;
    this.#report(crashed, saved(this.play.state.turns, 0));
    this.#isUnsaved = false;
  }

  #loseDisk(): void {
    if (this.play.state.sandbox.streamId === null) return;
    this.#hasDisk = false;
    this.#running = [];
    this.#queued = [];
    this.#call = null;
  }

  #carryOut(effect: Effect): void {
    const { sandbox, conversationId, checkpoint, phase } = this.play.state;
    const { generation } = sandbox;
    if (effect.kind === 'prompt-sandbox') {
      if (!this.#hasDisk) {
        this.#take(this.play.play({ type: 'effect-done', effect, result: { kind: 'lost', generation } }));
        return;
      }
      this.#queued.push(effect.promptId);
      return;
    }
    if (!this.#hasDisk && sandbox.streamId !== null) {
      this.#take(this.play.startedWith({ kind: 'lost', generation }));
      return;
    }
    if (!this.#hasDisk || sandbox.streamId === null) {
      const isRestored = checkpoint && checkpoint.generation < generation && this.#kept?.id === conversationId;
      this.#conversation = new Set(isRestored ? this.#kept?.conversation : []);
      this.#hasDisk = true;
      this.#streams += 1;
      this.play.restartNumbers();
      const isSaved = isRestored && phase.name === 'saving';
      this.#take(this.play.started(`stream-${this.#streams}`, 'working'));
      if (isSaved) this.#report(saved(phase.turn.number));
      return;
    }
    const isIdle = this.#running.length + this.#queued.length === 0;
    this.#take(this.play.started(sandbox.streamId, isIdle ? 'ready' : 'working'));
  }

  #work(): boolean {
    if (this.play.state.sandbox.streamId === null) return false;
    if (this.#isUnsaved && this.#running.length === 0) {
      this.#isUnsaved = false;
      this.#report(saved(this.play.state.turns));
      return true;
    }
    if (this.#running.length === 0) {
      if (this.#queued.length === 0) return false;
      const given = this.#queued.splice(0);
      this.askedTwice += given.filter((id) => this.#conversation.has(id)).length;
      this.#running = given.filter((id) => !this.#conversation.has(id));
      for (const id of given) this.#conversation.add(id);
      if (this.#running.length > 0) this.#report(init);
      return true;
    }
    if (this.random.chance(0.5)) {
      this.#tool();
      return true;
    }
    if (this.random.chance(0.4)) {
      this.#keep();
      return true;
    }
    const answered = this.#running;
    this.#running = [];
    this.#isUnsaved = true;
    this.#report(result(`answer ${this.random.below(1e9)}`, answered));
    return true;
  }

  #tool(): void {
    if (this.#call === null) {
      this.#call = `toolu_${++this.#calls}`;
      const content = [{ type: 'tool_use', id: this.#call, name: 'Bash', input: { command: this.#call } }];
      const message = { id: `msg-${this.#call}`, role: 'assistant', model: 'claude-sonnet-5-5', content };
      this.#report(line({ type: 'assistant', message, parent_tool_use_id: null, uuid: `a-${this.#call}` }));
      return;
    }
    const content = [{ type: 'tool_result', tool_use_id: this.#call, content: 'ok', is_error: false }];
    this.#report(
      line({ type: 'user', message: { role: 'user', content }, parent_tool_use_id: null, uuid: `u-${this.#call}` }),
    );
    this.#call = null;
  }

  #keep(): void {
    const { sandbox, checkpoint, conversationId } = this.play.state;
    const sequence = (checkpoint?.sequence ?? 0) + 1;
    this.#kept = { conversation: new Set(this.#conversation), id: conversationId };
    this.#take(
      this.play.play({
        type: 'checkpointed',
        checkpoint: {
          generation: sandbox.generation,
          sequence,
          at: this.play.now,
          eventSeq: sandbox.cursor,
          prompts: [...this.#conversation],
        },
      }),
    );
  }

  #report(...bodies: SandboxEventBody[]): void {
    this.#take(this.play.report(...bodies));
  }

  /** Time passes: silence is noticed. */
  pass(): void {
    this.#take(this.play.deadline(50_000));
  }

  /** Nothing is lost any more. @returns false when it never comes to rest */
  settle(): boolean {
    for (let steps = 0; steps < 3_000; steps++) {
      if (this.step(true)) continue;
      if (this.play.state.phase.name === 'waiting') return true;
      this.pass();
    }
    return false;
  }
}

const count = histories(1_000);
it(`a session that loses its sandbox answers every thread, and asks nothing twice in one conversation, in ${written(count)} random histories of losses`, () => {
  for (let seed = 1; seed <= count; seed++) {
    const world = new World(seed);
    for (let steps = 0; steps < 80; steps++) {
      if (world.random.chance(0.08)) world.ask();
      else if (!world.step(false)) world.pass();
    }
    expect(world.settle(), `seed ${seed} comes to rest`).toBe(true);
    expect(
      [...world.threads.values()].filter((last) => last === 'asked'),
      `seed ${seed}: threads that are owed an answer`,
    ).toEqual([]);
    expect(world.askedTwice, `seed ${seed}: prompts asked twice`).toBe(0);
  }
});
