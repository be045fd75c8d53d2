/** A turn, the phases of a session that it goes through, and what is asked about a phase in one word. Times in ms since the epoch. */

import type { JournalBody, TurnOutcome } from '../../../protocol/journal.ts';
import type { ReachedLimit } from '../../../protocol/settings/start-limits.ts';
import type { Request } from '../requests.ts';
import { isLive, type OpenQuestion, type RepositoryQuestion } from './questions.ts';

export type ResultBody = Extract<JournalBody, { kind: 'result' }>;

/** How a turn ends, known before the work is saved. */
export interface Ending {
  outcome: TurnOutcome;
  reason: string;
  text: string;
  result: ResultBody | null;
}

/** A request among a turn's; see session/lifecycle/requests.ts. */
export type TurnPrompt = Request;

/** A turn: from a prompt until Claude's result; prompts that arrive in between are folded into it. */
export interface Turn {
  number: number;
  startedAt: number;
  /** What it answers, in order. The thread of the first one follows the work; every thread is owed an answer. */
  prompts: TurnPrompt[];
  /** How often Claude's process or the sandbox was lost in this turn, in a row: without any progress in between. */
  losses: number;
  /** The tool call that ran at the last loss, and how often it did. */
  interrupted?: { call: string; times: number };
  /** Life of the sandbox that was begun for this turn because the one before was gone. */
  lifeOf?: number;
  /** Claude has edited a file: the repository is settled. */
  edited?: boolean;
  /** The number under which its sandbox was started last: from then on it has its slot. */
  startedAs?: number;
  /** A person was asked what it starts from, and said so: nothing else in it decides that any more. */
  baseAnswered?: boolean;
  /** How often it was parked because of a limit. */
  parks?: number;
  /** It goes on in a new conversation, because the API did not take the one before; that is done once. */
  isFresh?: boolean;
  /** The number under which it began, where it goes on under another. */
  first?: number;
  /** Claude began it by itself, e.g. because a command in the background ended. */
  unasked?: boolean;
  /**
   * What Claude itself said so far, where its helpers are still at work: its last result, with the sums over all of them and the
   * prompts they answer. Left out while it gave none.
   */
  open?: ResultBody;
  /** Calls that were not allowed, by their fingerprint, and what Claude was told. Left out before the first. */
  denied?: { call: string; message: string }[];
}

/** What a session is doing. Each phase has a name, and what only it has to know. */
export type PhaseState =
  | WaitingPhase
  | StartingPhase
  | WorkingPhase
  | AskingPhase
  | SavingPhase
  | ParkedPhase
  | QueuedPhase
  | StoppingPhase;

/** Nothing is asked, and no turn is under way. */
export interface WaitingPhase {
  name: 'waiting';
  since: number;
}

/** The sandbox is started, or its Claude process. */
export interface StartingPhase {
  name: 'starting';
  since: number;
  /** What is done or waited for, for people. */
  reason: string;
  turn: Turn;
  /** The start failed and is tried again. */
  isDelayed?: boolean;
  /** Cyrus is paused, so that it is not tried. */
  isHeld?: true;
}

/** Claude is at work. */
export interface WorkingPhase {
  name: 'working';
  since: number;
  turn: Turn;
}

/** A person has to answer before it goes on, days later if need be. */
export interface AskingPhase {
  name: 'asking';
  since: number;
  turn: Turn;
  about: RepositoryQuestion | OpenQuestion;
}

/** Claude is done, and its work is saved. */
export interface SavingPhase {
  name: 'saving';
  since: number;
  turn: Turn;
  ending: Ending;
  /** Result of the next turn, where that came before this one was saved; `later`: of those after it. */
  early: ResultBody | null;
  later?: ResultBody[];
  /** Numbers of the events that brought these results; left out by older versions. */
  resultsAt?: number[];
  /** Number of the event that ended the turn, in this life of the sandbox; left out if that is another, or not known. */
  endedAt?: number;
  /** The work is saved, and the pull request is waited for. */
  proposes?: boolean;
  /** What Claude itself said of the next turn, in which its helpers are still at work; as `Turn.open`. */
  open?: ResultBody;
  /**
   * The turn was stopped and came to its end before the sandbox said that it had carried that out: until it does, what it was
   * given of this turn may still run. The turn that the stop named.
   */
  stopSent?: number;
  /** Claude is at work on the next turn: on what is in the queue, or unasked. */
  begun?: 'asked' | 'unasked';
  /** Claude's process was lost after it had begun the next turn: what it is told when that goes on. */
  resume?: string;
  /** What Claude has of the next turn was stopped, and that is not confirmed yet. */
  halt?: Halt;
}

/** A limit of Claude's is used up: it goes on by itself. */
export interface ParkedPhase {
  name: 'parked';
  since: number;
  turn: Turn;
  /** When it goes on. */
  until: number;
  /** When room was last asked for. */
  askAt: number;
  /** The limit, for people. */
  why: string;
  /** Ids of prompts that Claude did not come to. */
  left: string[];
  /** It waits for a while, not for a time that Claude's API gave. */
  waits?: true;
  /** The process is being ended, and may go on with what else it was given until it is. */
  ending?: true;
  /** A stop was sent for some of what the process was given. */
  halt?: Halt;
}

/** Too many sessions of the workspace are at work: it begins when a slot is free. */
export interface QueuedPhase {
  name: 'queued';
  since: number;
  turn: Turn;
  /** The queue position: 1 is next. */
  position: number;
  /** The same, under the name by which the version before this one reads it. */
  place: number;
  /** When the queue was last asked. */
  askAt: number;
  /** The limit that it waits for, if it waits for more than a slot. */
  limit?: ReachedLimit;
}

/** A stop was sent, and its closing answer waits until the sandbox has carried it out. */
export interface StoppingPhase {
  name: 'stopping';
  since: number;
  turn: Turn;
  author: string | null;
  /** How the closing answer begins. */
  words: string;
  how?: StopKind;
  /** The turn that the sandbox was told to stop, if that is another. */
  stop?: number;
}

/** A stop that was sent for work of the next turn. */
export interface Halt {
  since: number;
  /** The turn that the stop named. */
  turn: number;
  author: string | null;
  /** How the closing answer begins. */
  words: string;
  how: StopKind;
}

/** Why work was called off. `alarm`: a secret was about to leave the sandbox; such a turn has failed. */
export type StopKind = 'stopped' | 'withdrawn' | 'alarm';

export type PhaseName = PhaseState['name'];

/** The phase, or one of the phases, of a name. */
export type PhaseOf<N extends PhaseName> = Extract<PhaseState, { name: N }>;

/** A phase in which a question of a kind is open. */
export type Asking<K extends PhaseOf<'asking'>['about']['kind']> = PhaseOf<'asking'> & {
  about: Extract<PhaseOf<'asking'>['about'], { kind: K }>;
};

/** Whether a question of this kind is open. */
export function isAsking<K extends PhaseOf<'asking'>['about']['kind']>(phase: PhaseState, kind: K): phase is Asking<K> {
  return phase.name === 'asking' && phase.about.kind === kind;
}

/** Whether Claude is at work on the turn, or is about to be. */
export function isAtWork(phase: PhaseState): phase is PhaseOf<'starting' | 'working'> {
  return phase.name === 'starting' || phase.name === 'working';
}

/** Whether a sandbox has something to do for a turn. One that waits for a person, a limit or a slot was shut down. */
export function isUnderWay(phase: PhaseState): boolean {
  switch (phase.name) {
    case 'waiting':
    case 'parked':
    case 'queued':
      return false;
    case 'asking':
      return isLive(phase.about);
    case 'starting':
    case 'working':
    case 'saving':
    case 'stopping':
      return true;
  }
}

/** Whether a session needs a slot: something runs for it, or it waits in the queue. */
export function needsSlot(phase: PhaseState): boolean {
  return phase.name === 'queued' || isUnderWay(phase);
}

/** Whether a slot or a pause can still hold up the turn: its sandbox was not started for it yet. Work that runs is not held up. */
export function canBeHeldUp(phase: PhaseState): boolean {
  return phase.name === 'queued' || (phase.name === 'starting' && phase.turn.startedAs !== phase.turn.number);
}

/** Whether there is a turn, whatever it waits for. */
export function hasTurn(phase: PhaseState): phase is Exclude<PhaseState, WaitingPhase> {
  return phase.name !== 'waiting';
}

/** The running turn, if any. */
export function currentTurn({ phase }: { phase: PhaseState }): Turn | null {
  return hasTurn(phase) ? phase.turn : null;
}

/** Ids of the prompts that results of later turns answer, which came before this turn was saved. */
export function answeredEarly({ early, later = [] }: SavingPhase): Set<string> {
  return new Set((early ? [early, ...later] : []).flatMap(({ promptIds }) => promptIds));
}

/** The agent sessions a turn owes an answer, the one that follows the work first. */
export function threadsOf(turn: Turn): string[] {
  return [...new Set(turn.prompts.map((prompt) => prompt.agentSessionId).filter((id) => id !== null))];
}
