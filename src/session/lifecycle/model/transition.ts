/** One step of the lifecycle: collects what an event changes. No I/O, no clock, no randomness of its own. */
import type { Live } from '../../../claude/stream.ts';
import type { Transition as Change, StepContext } from '../../../kernel/program.ts';
import { headline } from '../../../lib/markdown.ts';
import type { JournalBody } from '../../../protocol/journal.ts';
import { type Effect, SANDBOX_LANE, type ThreadChange, urgencyOf } from './effects.ts';
import type { Message, MessageContent } from './messages.ts';
import type { Circumstances, Cue, Note } from './narration.ts';
import { currentTurn, type PhaseState, threadsOf } from './phases.ts';
import { initialPace, type Urgency } from './post-pacing.ts';
import { type SessionState, threadKnown } from './state.ts';

/** An entry that has no number yet. `block`: the streamed block it finishes. */
export interface Draft {
  at: number;
  turn: number;
  body: JournalBody;
  block?: string;
}

/** What a step brings about; the engine commits all of it in one transaction. */
export interface Transition extends Change<SessionState, Effect> {
  /** Entries and live output in the order in which they happened. */
  output: ({ entry: Draft } | { live: Live })[];
  /** Texts of prompts that the lifecycle itself asks, by id. */
  prompts: { promptId: string; text: string }[];
  /** Prompts that are asked again under another id, with the text of `of`. */
  copies: { promptId: string; of: string }[];
}

/** A thread, or several in their order. */
type Threads = string | readonly string[];

export class Step {
  readonly context: StepContext;
  readonly #output: Transition['output'] = [];
  readonly #notes: Note[] = [];
  readonly #prompts: Transition['prompts'] = [];
  readonly #copies: Transition['copies'] = [];
  readonly #cancelledLanes: string[] = [];
  #state: SessionState;

  constructor(state: SessionState, context: StepContext) {
    this.context = context;
    this.#state = state;
  }

  get state(): SessionState {
    return this.#state;
  }

  get now(): number {
    return this.context.now;
  }

  /** What happened so far, in its order, for the narration. */
  get notes(): readonly Note[] {
    return this.#notes;
  }

  /** @param effects of this step, as the narration put them together */
  transition(effects: Effect[]): Transition {
    return {
      state: this.#state,
      output: this.#output,
      effects,
      prompts: this.#prompts,
      copies: this.#copies,
      cancelledLanes: this.#cancelledLanes,
    };
  }

  set(change: Partial<SessionState>): void {
    this.#state = { ...this.#state, ...change };
  }

  enter(phase: PhaseState): void {
    this.set({ phase });
  }

  effect(effect: Effect): void {
    this.#notes.push({ note: 'effect', effect });
  }

  /** Whether this step hands over a prompt. */
  handsOver(promptId: string): boolean {
    return this.#notes.some(
      (one) => one.note === 'effect' && one.effect.kind === 'prompt-sandbox' && one.effect.promptId === promptId,
    );
  }

  /** The waiting effects of a lane have become pointless. */
  cancelLane(lane: string): void {
    this.#cancelledLanes.push(lane);
  }

  /** Starts and prompts that were not carried out yet have become pointless. */
  cancelSandboxWork(): void {
    this.cancelLane(SANDBOX_LANE);
  }

  /** Keeps the text of a prompt that the lifecycle itself asks. */
  keepPrompt(promptId: string, text: string): void {
    this.#prompts.push({ promptId, text });
  }

  /** A prompt is asked again under another id, with the text of `of`. */
  copyPrompt(promptId: string, of: string): void {
    this.#copies.push({ promptId, of });
  }

  live(live: Live): void {
    this.#output.push({ live });
  }

  /** Says something in a thread, or in each of several. */
  say(to: Threads, content: MessageContent, ephemeral = false): void {
    this.#tell(to, { content, ephemeral });
  }

  think(to: Threads, body: string, ephemeral = false): void {
    this.say(to, { type: 'thought', body }, ephemeral);
  }

  /** Shows a thread at once that something happens, though the next activity will replace it. */
  reassure(to: Threads, body: string): void {
    this.#tell(to, { content: { type: 'thought', body }, ephemeral: true }, 'answer');
  }

  /** Tells a thread at once what stays to be read there. */
  announce(to: Threads, body: string): void {
    this.#tell(to, { content: { type: 'thought', body }, ephemeral: false }, 'answer');
  }

  /** Gives a thread the title that its text suggests; Linear's own stays if there are no words in it. */
  entitle(agentSessionId: string, text: string): void {
    const change = titleOf(text);
    if (change.title !== undefined) this.show(agentSessionId, change);
  }

  /** Changes what a thread shows beside its activities. */
  show(agentSessionId: string, change: ThreadChange): void {
    if (this.state.isMuted) return;
    this.#know(agentSessionId);
    this.#notes.push({ note: 'change', thread: agentSessionId, change, as: this.#circumstances() });
  }

  /** Asks a thread something, with options to choose from. */
  elicit(to: Threads, body: string, options: { label: string; value: string }[]): void {
    this.#tell(to, { content: { type: 'elicitation', body }, ephemeral: false, options });
  }

  /** Writes an entry. If a turn is under way, its threads may hear of it. */
  record(body: JournalBody, block?: string, at = this.now): void {
    const draft: Draft = { at, turn: this.state.turns, body };
    if (block !== undefined) draft.block = block;
    this.#output.push({ entry: draft });
    const turn = currentTurn(this.state);
    if (!turn) return;
    this.#notes.push({ note: 'entry', body, threads: threadsOf(turn), as: this.#circumstances() });
  }

  /** Changes how what happened is told. */
  cue(cue: Cue): void {
    this.#notes.push({ note: 'cue', cue });
  }

  #tell(to: Threads, message: Message, urgency: Urgency = urgencyOf(message)): void {
    if (this.state.isMuted) return;
    for (const thread of typeof to === 'string' ? [to] : to) {
      this.#know(thread);
      this.#notes.push({ note: 'message', thread, message, urgency, as: this.#circumstances() });
    }
  }

  /** A thread in which something is said is one of the session's. */
  #know(thread: string): void {
    if (threadKnown(this.state, thread)) return;
    const pace = initialPace(this.#circumstances().verbosity, this.now);
    const known = { since: this.now, saidAt: this.now, pace };
    this.set({ agentSessions: { ...this.state.agentSessions, [thread]: known } });
  }

  #circumstances(): Circumstances {
    const { isMuted, arrangement, phase, shared = [] } = this.state;
    return { isMuted, verbosity: arrangement?.verbosity ?? 'normal', isAsking: phase.name === 'asking', shared };
  }
}

/** The title that a text gives a thread, if there are words in it. */
export function titleOf(text: string): Pick<ThreadChange, 'title'> {
  const title = headline(text);
  return title === '' ? {} : { title };
}
