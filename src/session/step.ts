/** One step of the lifecycle: collects what an event changes. No I/O, no clock, no randomness of its own. */
import { readPlan } from '../claude/plan.ts';
import type { Live } from '../claude/stream.ts';
import { type Activity, type ActivityContent, narrate } from '../linear/activities.ts';
import type { JournalBody } from '../protocol/journal.ts';
import type { Effect } from './effects.ts';
import { currentTurn, type PhaseState, type SessionState, threadsOf } from './state.ts';

/** An entry that has no number yet. `block`: the streamed block it finishes. */
export interface Draft {
  at: number;
  turn: number;
  body: JournalBody;
  block?: string;
}

/** What a step brings about; the object commits all of it in one transaction. */
export interface Transition {
  state: SessionState;
  /** Entries and live output in the order in which they happened. */
  output: ({ entry: Draft } | { live: Live })[];
  effects: Effect[];
  /** Texts of prompts that the lifecycle itself asks, by id. */
  prompts: { promptId: string; text: string }[];
  /** Lanes of the outbox whose waiting effects have become pointless; emptied before `effects` are added. */
  cancelledLanes: string[];
}

export interface StepContext {
  /** Milliseconds since the epoch. */
  now: number;
  /** A fresh UUID v4. */
  newId: () => string;
}

/** Longest thinking that is told in Linear, in UTF-16 code units; the page has the whole. */
const MAX_THINKING = 2_000;

export class Step {
  readonly transition: Transition;
  readonly context: StepContext;

  constructor(state: SessionState, context: StepContext) {
    this.context = context;
    this.transition = { state, output: [], effects: [], prompts: [], cancelledLanes: [] };
  }

  get state(): SessionState {
    return this.transition.state;
  }

  get now(): number {
    return this.context.now;
  }

  set(change: Partial<SessionState>): void {
    this.transition.state = { ...this.transition.state, ...change };
  }

  enter(phase: PhaseState): void {
    this.set({ phase });
  }

  effect(effect: Effect): void {
    this.transition.effects.push(effect);
  }

  live(live: Live): void {
    this.transition.output.push({ live });
  }

  /** Says something in a thread. */
  say(agentSessionId: string, content: ActivityContent, ephemeral = false): void {
    this.#post(agentSessionId, { content, ephemeral });
  }

  think(agentSessionId: string, body: string, ephemeral = false): void {
    this.say(agentSessionId, { type: 'thought', body }, ephemeral);
  }

  /** Asks a thread something, with options to choose from. */
  elicit(agentSessionId: string, body: string, options: { label: string; value: string }[]): void {
    this.#post(agentSessionId, { content: { type: 'elicitation', body }, ephemeral: false, options });
  }

  /**
   * Writes an entry, and tells it in the thread that follows the turn. The closing activity of a turn goes to every
   * thread that is owed an answer.
   */
  record(body: JournalBody, block?: string, at = this.now): void {
    const draft: Draft = { at, turn: this.state.turns, body };
    if (block !== undefined) draft.block = block;
    this.transition.output.push({ entry: draft });
    const turn = currentTurn(this.state);
    if (!turn) return;
    const { state: narration, activities } = narrate(this.state.narration, body);
    this.set({ narration });
    const [follower, ...others] = threadsOf(turn);
    this.#followPlan(body, follower);
    if (follower === undefined) return;
    if (this.state.arrangement?.verbosity === 'verbose') this.#tellThinking(body, follower);
    for (const activity of activities) {
      if (this.state.arrangement?.verbosity === 'quiet' && !isClosing(activity)) continue;
      this.#post(follower, activity);
      if (isClosing(activity)) for (const other of others) this.#post(other, activity);
    }
  }

  #tellThinking(body: JournalBody, follower: string): void {
    if (body.kind !== 'thinking' || body.parentToolUseId !== undefined) return;
    const text = body.text.trim();
    if (text !== '') this.think(follower, text.length > MAX_THINKING ? `${text.slice(0, MAX_THINKING)}…` : text);
  }

  /** Mirrors Claude's plan in the thread that follows the work. */
  #followPlan(body: JournalBody, follower: string | undefined): void {
    const before = this.state.plan;
    const plan = readPlan(before, body);
    if (plan === before) return;
    this.set({ plan });
    if (plan.items === before.items || follower === undefined) return;
    const items = plan.items.map(({ content, status }) => ({ content, status }));
    this.effect({ kind: 'show-plan', agentSessionId: follower, plan: items });
  }

  #post(agentSessionId: string, activity: Activity): void {
    if (this.state.isMuted) return;
    this.effect({ kind: 'say', agentSessionId, id: this.context.newId(), activity });
    const since = this.state.agentSessions[agentSessionId]?.since ?? this.now;
    this.set({ agentSessions: { ...this.state.agentSessions, [agentSessionId]: { since, saidAt: this.now } } });
  }
}

function isClosing(activity: Activity): boolean {
  return activity.content.type === 'response' || activity.content.type === 'error';
}
