/** How a turn ends, and how what is in the queue begins the next one. */
import { historyTrouble } from '../../../claude/history.ts';
import { byPhase, onlyIn } from '../model/by-phase.ts';
import {
  currentTurn,
  type Ending,
  type PhaseOf,
  type ResultBody,
  type SavingPhase,
  threadsOf,
} from '../model/phases.ts';
import type { Step } from '../model/transition.ts';
import { type Closing, isAtClaude, type Request, unread } from '../requests.ts';
import { beginTurn, beginUnasked } from './begin.ts';
import { close, dropHalted } from './closing.ts';
import { noteTrouble } from './limit-notices.ts';
import { endWork, noteRead } from './results.ts';
import { stopped } from './save.ts';

/**
 * Ends the turn: its threads get their closing answer, its requests are closed, and what is in the queue begins the next.
 * @param early the next turn's result, where it is known
 */
export function endTurn(step: Step, ending: Ending, early: ResultBody | null): void {
  const { phase } = step.state;
  const turn = currentTurn(step.state);
  if (!turn) return;
  step.record({
    kind: 'turn-ended',
    outcome: ending.outcome,
    text: ending.text,
    reason: ending.reason,
    durationMs: Math.max(0, step.now - turn.startedAt),
    usage: ending.result?.usage ?? null,
    costUsd: ending.result?.costUsd ?? null,
    numTurns: ending.result?.numTurns ?? null,
  });
  if (ending.outcome === 'completed') for (const thread of threadsOf(turn)) step.entitle(thread, ending.text);
  noteTrouble(step, ending);
  if (ending.result) step.set({ offersFresh: historyTrouble(ending.result) !== null });
  // A turn that nobody asked for says nothing about the state of the work.
  if (threadsOf(turn).length > 0) step.set({ lastOutcome: ending.outcome });
  close(step, turn.prompts, closingOf(ending), ending.text);
  step.enter({ name: 'waiting', since: step.now });
  step.effect({ kind: 'archive-turn', turn: turn.number });
  beginNext(step, phase.name === 'saving' ? phase : null, early);
}

function closingOf({ outcome, reason }: Ending): Closing {
  if (outcome === 'completed') return 'answered';
  if (outcome === 'failed') return 'failed';
  if (reason === 'not_allowed') return 'refused';
  return reason === 'withdrawn' ? 'withdrawn' : 'stopped';
}

/** The sandbox has committed and pushed (or said why not): the turn is over. */
export const takeSaved = onlyIn({
  saving: (step, phase) => endTurn(step, phase.ending, phase.early),
  stopping: endAsStopped,
});

/** The sandbox is gone while it is stopped. */
export const endStopped = onlyIn({ stopping: endAsStopped });

function endAsStopped(step: Step, { words, how }: PhaseOf<'stopping'>): void {
  endTurn(step, stopped(null, words, how), null);
}

/**
 * Ends the turn without waiting for anything more from the sandbox. One that was stopped, or that Claude has answered, ends as
 * that: what failed then is the save alone. `reason`: a word for programs; `text`: what people are told.
 */
export const failTurn = onlyIn<[reason: string, text: string]>({
  starting: endAsFailed,
  working: endAsFailed,
  asking: endAsFailed,
  parked: endAsFailed,
  queued: endAsFailed,
  saving: (step, phase, _reason, text) => {
    step.record({ kind: 'notice', level: 'warning', text: `${text}\n\nThe last work may be missing from the branch.` });
    endTurn(step, phase.ending, phase.early);
  },
  stopping: (step, phase, _reason, text) => {
    leaveProcess(step, phase.turn.number);
    step.record({ kind: 'notice', level: 'warning', text });
    endAsStopped(step, phase);
  },
});

function endAsFailed(
  step: Step,
  { turn }: PhaseOf<'starting' | 'working' | 'asking' | 'parked' | 'queued'>,
  reason: string,
  text: string,
): void {
  leaveProcess(step, turn.number);
  endTurn(step, { outcome: 'failed', reason, text, result: null }, null);
}

/** Nobody follows what Claude may still be doing there. What it has of the next turn is handed over again. */
function leaveProcess(step: Step, turn: number): void {
  step.cancelSandboxWork();
  if (step.state.sandbox.streamId === null) return;
  step.effect({ kind: 'stop-sandbox', id: step.context.newId(), turn });
  step.set({ queue: step.state.queue.map((one) => (isAtClaude(one) ? unread(one, true) : one)) });
}

/**
 * Whether the sandbox means a turn that has ended here already, e.g. because its time was up.
 * @param number of the turn as the sandbox knows it: the highest under which it was given a prompt
 */
export function isOfEarlierTurn(step: Step, number: number): boolean {
  const turn = currentTurn(step.state);
  if (!turn) return false;
  const given = Math.max(0, ...turn.prompts.map((prompt) => prompt.turn ?? 0));
  return number < Math.min(turn.first ?? turn.number, given);
}

/** @param saving the phase in which the turn before ended, if it was saved; null: it was not */
function beginNext(step: Step, saving: SavingPhase | null, early: ResultBody | null): void {
  const { queue } = step.state;
  if (saving?.halt && early === null) {
    // It was stopped before it was this one's turn to be told of.
    const { since, author, words, how, turn: stop } = saving.halt;
    const halted = queue.filter((request) => request.halted);
    const working = beginTurn(step, halted);
    if (!working) return;
    const turn = { ...working.turn, unasked: halted.length === 0 };
    step.enter({ name: 'stopping', since, turn, author, words, how, stop });
    step.set({ queue: queue.filter((request) => !request.halted) });
    return;
  }
  const later = saving?.later ?? [];
  const isNamedLater = ({ promptId }: Request) => later.some(({ promptIds }) => promptIds.includes(promptId));
  // What a later result answers is of a later turn, and so is what is gone on with there, or by the next process.
  const goesOnLater =
    early !== null && (saving?.resume !== undefined || queue.some((one) => one.aside && isNamedLater(one)));
  const isLater = (request: Request) =>
    request.halted === true || isNamedLater(request) || (goesOnLater && request.inherited === true);
  const next = queue.filter((request) => !isLater(request));
  const isUnasked = early === null ? saving?.begun === 'unasked' : !isFor(step, next, early);
  if (isUnasked) beginUnasked(step);
  else if (next.length > 0) {
    beginTurn(step, next, early === null ? saving?.resume : undefined);
    step.set({ queue: queue.filter(isLater) });
  }
  if (early === null) {
    if (saving?.open) goOnWithOpen(step, saving.open);
    return;
  }
  for (const [index, result] of [early, ...later].entries()) {
    noteRead(step, result.promptIds);
    endWork(step, result, saving?.resultsAt?.[index], true);
  }
  if (saving) passOn(step, saving);
}

/** Claude has said something of the turn that begins now. */
const goOnWithOpen = onlyIn<[open: ResultBody]>({
  working: (step, phase, open) => step.enter({ ...phase, turn: { ...phase.turn, open } }),
});

/** What Claude has begun while the turn before was saved is of the turn after the one that its results have ended. */
const passOn = byPhase<[before: SavingPhase]>(
  {
    parked: (step, phase, { halt }) => {
      if (halt) step.enter({ ...phase, ending: true, halt });
    },
    saving: (step, phase, { begun, open, resume, halt }) =>
      step.enter({
        ...phase,
        ...(begun && { begun }),
        ...(open && { open }),
        ...(resume !== undefined && { resume }),
        ...(halt && { halt }),
      }),
  },
  (step, _phase, { halt }) => {
    if (halt) dropHalted(step, halt);
  },
);

/** Whether a result is about requests in the queue. */
function isFor(step: Step, queue: readonly Request[], { promptIds }: ResultBody): boolean {
  const given = queue.filter(isAtClaude);
  if (promptIds.length > 0) return given.some(({ promptId }) => promptIds.includes(promptId));
  return !step.state.sandbox.tellsReading && given.length > 0;
}
