/** One step of the lifecycle: collects what an event changes. No I/O, no clock, no randomness of its own. */
import { readPlan } from '../../../claude/plan.ts';
import type { Live } from '../../../claude/stream.ts';
import { cutText, headline } from '../../../lib/markdown.ts';
import { type Activity, type ActivityContent, narrate } from '../../../linear/activities.ts';
import { type SharedFile, sharedNames } from '../../../protocol/files.ts';
import type { JournalBody } from '../../../protocol/journal.ts';
import { type Effect, type ThreadChange, urgencyOf } from './effects.ts';
import { initialPace, schedule, type Urgency } from './post-pacing.ts';
import { currentTurn, type PhaseState, type SessionState, type Thread, threadKnown, threadsOf } from './state.ts';

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
  /** Prompts that are asked again under another id, with the text of `of`. */
  copies: { promptId: string; of: string }[];
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
    this.transition = { state, output: [], effects: [], prompts: [], copies: [], cancelledLanes: [] };
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

  /** Shows a thread at once that something happens, though the next activity will replace it. */
  reassure(agentSessionId: string, body: string): void {
    this.#post(agentSessionId, { content: { type: 'thought', body }, ephemeral: true }, 'answer');
  }

  /** Tells a thread at once what stays to be read there. */
  announce(agentSessionId: string, body: string): void {
    this.#post(agentSessionId, { content: { type: 'thought', body }, ephemeral: false }, 'answer');
  }

  /** Gives a thread the title that its text suggests; Linear's own stays if there are no words in it. */
  entitle(agentSessionId: string, text: string): void {
    const change = titleOf(text);
    if (change.title !== undefined) this.show(agentSessionId, change);
  }

  /** Changes what a thread shows beside its activities. */
  show(agentSessionId: string, change: ThreadChange): void {
    if (this.state.isMuted) return;
    const at = this.#schedule(agentSessionId, 'news');
    if (at !== null) this.effect(paced({ kind: 'show', agentSessionId, change }, at, this.now));
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
      // It would take the place of the question, which waits for people.
      if (this.state.phase.name === 'asking' && activity.ephemeral) continue;
      this.#post(follower, activity);
      if (isClosing(activity)) for (const other of others) this.#post(other, activity);
    }
  }

  #tellThinking(body: JournalBody, follower: string): void {
    if (body.kind !== 'thinking' || body.parentToolUseId !== undefined) return;
    const text = body.text.trim();
    if (text !== '') this.think(follower, text.length > MAX_THINKING ? `${cutText(text, MAX_THINKING)}…` : text);
  }

  /** Mirrors Claude's plan in the thread that follows the work. */
  #followPlan(body: JournalBody, follower: string | undefined): void {
    const before = this.state.plan;
    const plan = readPlan(before, body);
    if (plan === before) return;
    this.set({ plan });
    if (plan.items === before.items || follower === undefined) return;
    this.show(follower, { plan: plan.items.map(({ content, status }) => ({ content, status })) });
  }

  #post(agentSessionId: string, activity: Activity, urgency = urgencyOf(activity)): void {
    if (this.state.isMuted) return;
    const at = this.#schedule(agentSessionId, urgency);
    if (at === null) return;
    const told = withFiles(activity, this.state.shared ?? []);
    const say = { kind: 'say', agentSessionId, id: this.context.newId(), activity: told, urgency } as const;
    this.effect(paced(say, at, this.now));
    const known = threadKnown(this.state, agentSessionId);
    if (known) this.#remember(agentSessionId, { ...known, saidAt: this.now });
  }

  /** When something is sent to a thread, in ms since the epoch; null: not at all. */
  #schedule(agentSessionId: string, urgency: Urgency): number | null {
    const verbosity = this.state.arrangement?.verbosity ?? 'normal';
    const known = threadKnown(this.state, agentSessionId) ?? {
      since: this.now,
      saidAt: this.now,
      pace: initialPace(verbosity, this.now),
    };
    const scheduled = schedule(known.pace, urgency, verbosity, this.now);
    if (!scheduled) return null;
    this.#remember(agentSessionId, { ...known, pace: scheduled.pace });
    return scheduled.at;
  }

  #remember(agentSessionId: string, thread: Thread): void {
    this.set({ agentSessions: { ...this.state.agentSessions, [agentSessionId]: thread } });
  }
}

/** The title that a text gives a thread, if there are words in it. */
export function titleOf(text: string): Pick<ThreadChange, 'title'> {
  const title = headline(text);
  return title === '' ? {} : { title };
}

function paced<E extends Effect & { dueAt?: number }>(effect: E, at: number, now: number): E {
  return at > now ? { ...effect, dueAt: at } : effect;
}

/** What ends a turn comes after the save, so the files it links are there; a later turn may change them. */
function withFiles(activity: Activity, shared: SharedFile[]): Activity {
  const { content } = activity;
  if (shared.length === 0 || (content.type !== 'response' && content.type !== 'error')) return activity;
  const names = sharedNames(content.body);
  const files = shared.filter(({ name }) => names.includes(name));
  return files.length > 0 ? { ...activity, files } : activity;
}

function isClosing(activity: Activity): boolean {
  return activity.content.type === 'response' || activity.content.type === 'error';
}
