/**
 * Work that is called off: by a person's stop, or because its ground is gone. It concerns what was asked before, wherever
 * that is: in the queue, on its way to Claude, in Claude's hands, or begun by Claude unasked; and nothing that was asked after.
 */
import type { Withdrawal } from '../issue-news.ts';
import { byPhase, onlyIn } from '../model/by-phase.ts';
import type { EventOf } from '../model/events.ts';
import { linearTimeOf } from '../model/linear-clock.ts';
import {
  currentTurn,
  type Halt,
  hasTurn,
  type PhaseOf,
  type SavingPhase,
  type StopKind,
  type Turn,
  threadsOf,
} from '../model/phases.ts';
import { isLive } from '../model/questions.ts';
import type { BackgroundStop } from '../model/state.ts';
import type { Step } from '../model/transition.ts';
import { listCommands } from '../narration/background-words.ts';
import { nameOnPage } from '../narration/on-page.ts';
import { isAskedBy, isAtClaude, isOwn, type Request, unread } from '../requests.ts';
import { drop, dropHalted } from './closing.ts';
import { endTurn } from './end.ts';
import { stopped } from './save.ts';

/** A stop that is carried out now. */
export interface Stop {
  id: string;
  /** It concerns what was asked until then, by Linear's clock; null: just now, which is everything. */
  at: number | null;
  /** The thread that asks for it and is owed an answer; null: none. */
  thread: string | null;
  author: string | null;
  /** How the closing answer begins, without its full stop. */
  words: string;
  how: StopKind;
}

export function stopRequested(step: Step, event: EventOf<'stop-requested'>): void {
  const { id, author, source, agentSessionId: thread } = event;
  step.record({ kind: 'stop-requested', author, source, promptId: id });
  // The page tells by our clock when it was stopped.
  const asked = source === 'page' && event.at !== undefined ? linearTimeOf(step.state, event.at) : event.at;
  noteStop(step, asked);
  const at = asked ?? null;
  // Linear shows by itself who stopped there.
  const words = source === 'page' && author !== null ? `Stopped by ${nameOnPage(author)}` : 'Stopped';
  stopNow(step, { id, at, thread, author, words, how: 'stopped' });
}

const stopNow = byPhase<[stop: Stop]>(
  {
    waiting: (step, _phase, stop) => {
      if (endBackground(step, stop) || stop.thread === null) return;
      step.say(stop.thread, { type: 'response', body: 'Nothing is running here.' });
    },
  },
  (step, _phase, stop) => {
    const { thread } = stop;
    if (halt(step, stop) || thread === null) return;
    const body = 'The work that this stop was for has already ended. Requests made after it continue.';
    const turn = currentTurn(step.state);
    const isOwed = turn !== null && threadsOf(turn).includes(thread);
    if (isOwed || step.state.queue.some(({ agentSessionId }) => agentSessionId === thread)) step.think(thread, body);
    else step.say(thread, { type: 'response', body });
  },
);

const WITHDRAWAL_WORDS: Record<Withdrawal, string> = {
  unassigned: 'Stopped, because the issue was unassigned from Cyrus',
  completed: 'Stopped, because the issue was completed',
  canceled: 'Stopped, because the issue was canceled',
  removed: 'Stopped, because the issue was removed',
  archived: 'Stopped, because the issue was archived',
  'no-access': "Stopped, because Cyrus lost access to the issue's team",
  uninstalled: 'Stopped, because Cyrus was uninstalled from the workspace',
};

/** Whether something was asked before the last stop, and arrives after it. @param at by Linear's clock; undefined: just now */
export function isStoppedBefore(step: Step, at: number | undefined): boolean {
  return at !== undefined && at < (step.state.stoppedAt ?? 0);
}

/** What was asked by then and has no thread yet is not asked any more. @param at null: everything */
function dropExpected(step: Step, at: number | null): void {
  const { expectedThread, alsoExpected = [] } = step.state;
  const all = expectedThread ? [expectedThread, ...alsoExpected] : alsoExpected;
  const [next, ...later] = all.filter(
    (one) => !isAskedBy({ askedAt: one.at ?? linearTimeOf(step.state, one.since) }, at),
  );
  step.set({ expectedThread: next ?? null });
  if (alsoExpected.length > 0) step.set({ alsoExpected: later });
}

export function withdrawn(step: Step, event: EventOf<'withdrawn'>): void {
  const { issue, askedAt = 0 } = step.state;
  if (event.why === 'no-access' && !event.teamIds.includes(issue?.teamId ?? '')) return;
  noteStop(step, event.at);
  if (event.why !== 'unassigned') step.set({ overAt: step.now });
  const at = event.at ?? null;
  dropExpected(step, at);
  // A person who asks after that has installed Cyrus again.
  if (isAskedBy({ askedAt }, at)) step.set({ isMuted: event.why === 'uninstalled' });
  const { id, author, why } = event;
  const stop: Stop = { id, at, thread: null, author, words: WITHDRAWAL_WORDS[why], how: 'withdrawn' };
  if (!endBackground(step, stop)) halt(step, stop);
}

/** Ends what a stop found running when the save that was under way is done. Done after every event. */
export function endStoppedBackground(step: Step): void {
  const { backgroundStop } = step.state;
  if (backgroundStop) endBackgroundOf(step, backgroundStop);
}

const endBackgroundOf = byPhase<[stop: BackgroundStop]>(
  {
    saving: () => {},
    waiting: (step, _phase, stop) => {
      step.set({ backgroundStop: null });
      // Its thread had the answer of the turn that was saved.
      endBackground(step, { ...stop, at: null, thread: null });
    },
  },
  // The turn that has begun was asked for after the stop.
  (step) => step.set({ backgroundStop: null }),
);

/**
 * Ends commands that still run in the background after their turn, in a turn of its own, which ends when they have.
 * @returns false if none run, or a turn is under way
 */
export const endBackground = byPhase<[stop: Stop], boolean>(
  { waiting: (step, _phase, stop) => endAtRest(step, stop) },
  () => false,
);

function endAtRest(step: Step, stop: Stop): boolean {
  const { background, turns } = step.state;
  if (!background) return false;
  const number = turns + 1;
  step.set({ turns: number, background: null });
  step.record({ kind: 'turn-started', promptIds: [] });
  const turn = owing({ number, startedAt: step.now, prompts: [], losses: 0, unasked: true }, stop);
  const words = `${stop.words}. This ran in the background and was ended: ${listCommands(background.commands)}`;
  stopWork(step, turn, { ...stop, words });
  return true;
}

/**
 * Requests from Linear that arrive later, and were asked before this, are not begun. A stop of the page that is sent
 * at once has no time by Linear's clock but the last that was heard of, which is before it.
 */
function noteStop(step: Step, at: number | undefined): void {
  const { stoppedAt = 0, linearNow = 0 } = step.state;
  step.set({ stoppedAt: Math.max(stoppedAt, at ?? linearNow) });
}

/** Stops what was asked before. @returns whether there was any of it */
export function halt(step: Step, stop: Stop): boolean {
  const { phase, queue } = step.state;
  if (!hasTurn(phase)) return false;
  const isEarlier = (request: Request) => isAskedBy(request, stop.at);
  // What Claude has been given meanwhile is in the same process.
  const isOver = isTurnAskedBy(step, phase.turn, stop.at) || queue.some((one) => isEarlier(one) && isAtClaude(one));
  if (!isOver && !queue.some(isEarlier)) return false;
  haltTurn(step, stop, isOver);
  return true;
}

/** `isOver`: the stop concerns the turn, and not only what is in the queue. */
const haltTurn = onlyIn<[stop: Stop, isOver: boolean]>({
  starting: haltBeforeEnd,
  working: haltBeforeEnd,
  asking: haltBeforeEnd,
  parked: haltBeforeEnd,
  queued: haltBeforeEnd,
  saving: (step, phase, stop) => {
    recordWithdrawal(step, stop);
    haltNext(step, phase, stop);
  },
  stopping: (step, phase, stop, isOver) => {
    takeBack(step, isOver ? { ...phase, turn: owing(phase.turn, stop) } : phase, stop);
    dropWaiting(step, stop);
  },
});

function recordWithdrawal(step: Step, { how, words }: Stop): void {
  if (how === 'withdrawn') step.record({ kind: 'notice', level: 'info', text: `${words}.` });
}

function haltBeforeEnd(
  step: Step,
  phase: PhaseOf<'starting' | 'working' | 'asking' | 'parked' | 'queued'>,
  stop: Stop,
  isOver: boolean,
): void {
  recordWithdrawal(step, stop);
  if (!isOver) {
    dropWaiting(step, stop);
    return;
  }
  const owed = owing(phase.turn, stop);
  step.enter({ ...phase, turn: owed });
  dropWaiting(step, stop);
  step.enter({ ...phase, turn: withoutLater(step, owed, stop.at) });
  callOff(step, stop);
}

/** Ends a turn of which everything was stopped: at once if nothing runs for it, otherwise when the sandbox has ended what runs. */
const callOff = onlyIn<[stop: Stop]>({
  starting: (step, { turn }, stop) => stopWork(step, turn, stop),
  working: (step, { turn }, stop) => stopWork(step, turn, stop),
  asking: (step, { turn, about }, stop) => {
    // What was given to the process that asked, and did not reach it, may begin another one.
    if (isLive(about) || turn.prompts.some((one) => isAtClaude(one) && !one.inherited)) stopWork(step, turn, stop);
    else endIdle(step, stop, about.kind === 'repository' ? ' before Claude began; nothing was changed.' : '.');
  },
  parked: (step, { turn, ending }, stop) => {
    // The process that met the limit may still go on with what it was given.
    if (ending) stopWork(step, turn, stop);
    else endIdle(step, stop, " while it waited for Claude's limit.");
  },
  queued: (step, _phase, stop) => endIdle(step, stop, ' while it waited in the queue.'),
});

/** Ends a turn for which nothing ran. @param when follows the words of a person's stop; other stops have their reason in their words */
function endIdle(step: Step, { how, words }: Stop, when: string): void {
  endTurn(step, stopped(null, how === 'stopped' ? `${words}${when}` : `${words}.`, how), null);
}

/** Whether a turn was asked for by then; one that nobody asked for counts from its beginning. */
function isTurnAskedBy({ state }: Step, { prompts, startedAt }: Turn, at: number | null): boolean {
  const own = prompts.filter(isOwn);
  return own.length === 0
    ? isAskedBy({ askedAt: linearTimeOf(state, startedAt) }, at)
    : own.some((request) => isAskedBy(request, at));
}

/** What was asked after a stop goes on in the next turn: Claude's process, which has it, is ended. */
function withoutLater(step: Step, turn: Turn, at: number | null): Turn {
  const isLater = (request: Request) => isOwn(request) && !isAskedBy(request, at);
  const inQueue = step.state.queue.filter((request) => !isLater(request));
  const later = [...turn.prompts.filter(isLater), ...step.state.queue.filter(isLater)];
  step.set({ queue: later.map((request) => (isAtClaude(request) ? unread(request, true) : request)) });
  return { ...turn, prompts: [...turn.prompts.filter((prompt) => !isLater(prompt)), ...inQueue] };
}

/** Ends what runs: the sandbox is told, and the closing answer follows once it has saved. */
function stopWork(step: Step, turn: Turn, { id, author, words, how }: Stop): void {
  step.cancelSandboxWork();
  step.enter({ name: 'stopping', since: step.now, turn, author, words: `${words}.`, how });
  step.effect({ kind: 'stop-sandbox', id, turn: turn.number });
  if (step.state.sandbox.streamId === null) {
    const text = how === 'alarm' ? `${words}.` : `${words} before Claude began; nothing was changed.`;
    endTurn(step, stopped(null, text, how), null);
  }
}

/**
 * Claude is done with the turn that is saved, and its answer is on its way. What Claude has of the next one, or began by
 * itself, is stopped; its threads are told so when that is confirmed.
 */
function haltNext(step: Step, phase: SavingPhase, stop: Stop): void {
  const { early, later = [] } = phase;
  const answered = new Set((early ? [early, ...later] : []).flatMap(({ promptIds }) => promptIds));
  const turn = owing(phase.turn, stop);
  // What came back with a stop that is not confirmed yet may still run.
  const isUnconfirmed = phase.halt !== undefined || phase.stopSent !== undefined;
  const isGiven = (request: Request) => isAtClaude(request) || (isUnconfirmed && request.returned === true);
  const isHalted = (request: Request) =>
    isAskedBy(request, stop.at) && isGiven(request) && !answered.has(request.promptId);
  const { queue } = step.state;
  const isBegun = phase.begun === 'unasked' && isAskedBy({ askedAt: linearTimeOf(step.state, phase.since) }, stop.at);
  const isAtWork = isBegun || queue.some(isHalted);
  const halted: Halt = {
    since: step.now,
    turn: turn.number,
    author: stop.author,
    words: `${stop.words}.`,
    how: stop.how,
  };
  step.enter({
    ...phase,
    turn,
    ...(isAtWork && { halt: { ...(phase.halt ?? halted), since: step.now, turn: turn.number } }),
  });
  step.set({
    queue: queue.map((request) => {
      if (isHalted(request))
        return { ...request, stage: request.stage === 'read' ? 'read' : 'handed-over', halted: true };
      // Its process ends with the rest.
      const isLost = isAtWork && isAtClaude(request) && !request.halted && !answered.has(request.promptId);
      return isLost ? unread(request, true) : request;
    }),
  });
  dropWaiting(step, stop);
  const { id, author, words, how } = stop;
  if (!isAtWork) {
    step.set({ backgroundStop: { id, author, words, how } });
    return;
  }
  // What was on its way to that process must not reach it behind the stop, which has a lane of its own.
  step.cancelSandboxWork();
  step.effect({ kind: 'stop-sandbox', id, turn: turn.number });
}

/** What Claude had of the next turn has ended: its threads are told. `stopped`: the turn of the stop that ended it, if that is said. */
export const confirmHalt = onlyIn<[stopped?: number]>({
  saving: (step, { halt: halted, ...phase }, stopped) => {
    // Of an earlier stop, whose end is late.
    if (!halted || (stopped !== undefined && stopped < halted.turn)) return;
    const { begun: _, ...rest } = phase;
    step.enter(rest);
    dropHalted(step, halted);
  },
});

/** The turn, owing the thread that asks to stop an answer, whether or not it asked for the work. */
function owing(turn: Turn, { id, thread, at }: Stop): Turn {
  if (thread === null || threadsOf(turn).includes(thread)) return turn;
  const asked: Request = { promptId: id, agentSessionId: thread, aside: true, stage: 'read', inherited: true };
  return { ...turn, prompts: [...turn.prompts, at === null ? asked : { ...asked, askedAt: at }] };
}

/** What was to go on after a stop, and is stopped before that is confirmed: it may run until then, and ends with the turn. */
function takeBack(step: Step, phase: PhaseOf<'stopping'>, { at }: Stop): void {
  const { queue } = step.state;
  const back = queue.filter((request) => isAskedBy(request, at) && request.returned === true);
  step.enter({ ...phase, turn: { ...phase.turn, prompts: [...phase.turn.prompts, ...back] } });
  step.set({ queue: queue.filter((request) => !back.includes(request)) });
}

/** Requests that Claude does not have yet are closed by a stop; each of their threads gets its closing answer. */
function dropWaiting(step: Step, { at, how }: Stop): void {
  const dropped = step.state.queue.filter((one) => isAskedBy(one, at) && !isAtClaude(one) && one.halted !== true);
  step.set({ queue: step.state.queue.filter((request) => !dropped.includes(request)) });
  drop(step, dropped, how, how === 'alarm' ? NOT_BEGUN_BY_ALARM : 'Stopped before Claude began with this.');
}

const NOT_BEGUN_BY_ALARM =
  'Stopped before Claude took this up, because a credential was about to leave the sandbox of this session. Its page says where. Comment here to go on when that has been looked at.';
