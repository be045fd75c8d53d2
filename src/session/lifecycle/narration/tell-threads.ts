/**
 * One pass over what a transition noted makes the effects that tell threads of it, each when its thread may be written to.
 * The lifecycle notes what happened; what a thread in Linear hears of that, and when, is decided here alone. Pure.
 */
import { readPlan } from '../../../claude/plan.ts';
import type { StepContext } from '../../../kernel/program.ts';
import { cutText } from '../../../lib/markdown.ts';
import { type SharedFile, sharedNames } from '../../../protocol/files.ts';
import type { JournalBody } from '../../../protocol/journal.ts';
import { type Effect, urgencyOf } from '../model/effects.ts';
import { isClosing, type Message } from '../model/messages.ts';
import type { Circumstances, Note } from '../model/narration.ts';
import { initialPace, schedule, type Urgency } from '../model/post-pacing.ts';
import { type SessionState, type Thread, threadKnown } from '../model/state.ts';
import { narrate, takeCue } from './narrate.ts';

/** Longest thinking that is told in Linear, in UTF-16 code units; the page has the whole. */
const MAX_THINKING = 2_000;

/** What is told to threads of a transition. */
interface Told {
  /** What the narration, Claude's plan and the threads have become. */
  change: Pick<SessionState, 'narration' | 'plan' | 'agentSessions'>;
  /** Effects in the order in which they were asked for, those that tell threads among them. */
  effects: Effect[];
}

/** @param notes of one transition, in their order */
export function tellThreads(state: SessionState, notes: readonly Note[], context: StepContext): Told {
  const teller = new Teller(state, context);
  for (const note of notes) teller.take(note);
  const { narration, plan, agentSessions, effects } = teller;
  return { change: { narration, plan, agentSessions }, effects };
}

class Teller {
  narration: SessionState['narration'];
  plan: SessionState['plan'];
  agentSessions: SessionState['agentSessions'];
  readonly effects: Effect[] = [];
  readonly #context: StepContext;

  constructor({ narration, plan, agentSessions }: SessionState, context: StepContext) {
    this.narration = narration;
    this.plan = plan;
    this.agentSessions = agentSessions;
    this.#context = context;
  }

  take(note: Note): void {
    switch (note.note) {
      case 'effect':
        this.effects.push(note.effect);
        break;
      case 'entry':
        this.#entry(note);
        break;
      case 'message':
        this.#post(note.thread, note.message, note.as, note.urgency);
        break;
      case 'change':
        this.#show(note.thread, note.change, note.as);
        break;
      case 'cue':
        this.narration = takeCue(this.narration, note.cue);
        break;
    }
  }

  /** An entry is told in the thread that follows the turn; what ends the turn goes to every thread that is owed an answer. */
  #entry({ body, threads, as }: Extract<Note, { note: 'entry' }>): void {
    const { state, activities } = narrate(this.narration, body);
    this.narration = state;
    const [follower, ...others] = threads;
    this.#followPlan(body, follower, as);
    if (follower === undefined) return;
    const thinking = as.verbosity === 'verbose' ? thinkingIn(body) : null;
    if (thinking) this.#post(follower, thinking, as);
    for (const activity of activities) {
      if (as.verbosity === 'quiet' && !isClosing(activity)) continue;
      // It would take the place of the question, which waits for people.
      if (as.isAsking && activity.ephemeral) continue;
      this.#post(follower, activity, as);
      if (isClosing(activity)) for (const other of others) this.#post(other, activity, as);
    }
  }

  /** Mirrors Claude's plan in the thread that follows the work. */
  #followPlan(body: JournalBody, follower: string | undefined, as: Circumstances): void {
    const before = this.plan;
    this.plan = readPlan(before, body);
    if (this.plan.items === before.items || follower === undefined) return;
    this.#show(follower, { plan: this.plan.items.map(({ content, status }) => ({ content, status })) }, as);
  }

  #post(thread: string, message: Message, as: Circumstances, urgency = urgencyOf(message)): void {
    if (as.isMuted) return;
    const at = this.#schedule(thread, urgency, as);
    if (at === null) return;
    const activity = withFiles(message, as.shared);
    const say = { kind: 'say', agentSessionId: thread, id: this.#context.newId(), activity, urgency } as const;
    this.effects.push(this.#dueAt(say, at));
    const known = threadKnown(this, thread);
    if (known) this.#remember(thread, { ...known, saidAt: this.#context.now });
  }

  #show(thread: string, change: Extract<Note, { note: 'change' }>['change'], as: Circumstances): void {
    if (as.isMuted) return;
    const at = this.#schedule(thread, 'news', as);
    if (at !== null) this.effects.push(this.#dueAt({ kind: 'show', agentSessionId: thread, change }, at));
  }

  /** When something is sent to a thread, in ms since the epoch; null: not at all. */
  #schedule(thread: string, urgency: Urgency, { verbosity }: Circumstances): number | null {
    const { now } = this.#context;
    const known = threadKnown(this, thread) ?? newThread(verbosity, now);
    const scheduled = schedule(known.pace, urgency, verbosity, now);
    if (!scheduled) return null;
    this.#remember(thread, { ...known, pace: scheduled.pace });
    return scheduled.at;
  }

  #remember(thread: string, known: Thread): void {
    this.agentSessions = { ...this.agentSessions, [thread]: known };
  }

  #dueAt<E extends Effect & { dueAt?: number }>(effect: E, at: number): E {
    return at > this.#context.now ? { ...effect, dueAt: at } : effect;
  }
}

function newThread(verbosity: Circumstances['verbosity'], now: number): Thread {
  return { since: now, saidAt: now, pace: initialPace(verbosity, now) };
}

/** What Claude itself thought, where threads are told that too. */
function thinkingIn(body: JournalBody): Message | null {
  if (body.kind !== 'thinking' || body.parentToolUseId !== undefined) return null;
  const text = body.text.trim();
  if (text === '') return null;
  const shown = text.length > MAX_THINKING ? `${cutText(text, MAX_THINKING)}…` : text;
  return { content: { type: 'thought', body: shown }, ephemeral: false };
}

/** What ends a turn comes after the save, so the files it links are there; a later turn may change them. */
function withFiles(message: Message, shared: SharedFile[]): Message {
  const { content } = message;
  if (shared.length === 0 || (content.type !== 'response' && content.type !== 'error')) return message;
  const names = sharedNames(content.body);
  const files = shared.filter(({ name }) => names.includes(name));
  return files.length > 0 ? { ...message, files } : message;
}
