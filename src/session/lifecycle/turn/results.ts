/** What Claude says at the end of its work: which requests that answers, and how the turn goes on. */
import { historyTrouble } from '../../../claude/history.ts';
import { type ChosenModel, describeResult } from '../../../claude/words.ts';
import { byPhase, onlyIn } from '../model/by-phase.ts';
import { answeredEarly, hasTurn, type PhaseOf, type ResultBody, type SavingPhase, type Turn } from '../model/phases.ts';
import { isLive } from '../model/questions.ts';
import { noUsage } from '../model/state.ts';
import type { Step } from '../model/transition.ts';
import { inherited, type Request, read, stageOf, unread } from '../requests.ts';
import { resumeWith } from './begin.ts';
import { GO_ON, leaveConversation } from './fresh-conversation.ts';
import { summed } from './open-results.ts';
import { save, saveStopped, stopped } from './save.ts';
import { isUsedUp, parkTurn } from './usage-limit.ts';

/** Claude gave a result while its helpers are at work: the turn goes on. */
export function takeOpenResult(step: Step, result: ResultBody): void {
  noteResult(step, result);
  // What is used is counted when the turn ends.
  step.set({ turnUsage: noUsage });
  keepOpen(step, result);
}

const keepOpen = onlyIn<[result: ResultBody]>({
  starting: keepInTurn,
  working: keepInTurn,
  asking: keepInTurn,
  saving: (step, phase, result) => {
    if (!isOfHalted(step, phase, result)) step.enter({ ...phase, open: summed(phase.open, result) });
  },
});

function keepInTurn(step: Step, phase: PhaseOf<'starting' | 'working' | 'asking'>, result: ResultBody): void {
  step.enter({ ...phase, turn: { ...phase.turn, open: summed(phase.turn.open, result) } });
}

/** The helpers are done, and Claude says no more: its last result was the last of the turn. */
export const takeWorkEnd = onlyIn({
  starting: endWithOpen,
  working: endWithOpen,
  asking: endWithOpen,
  stopping: (step) => saveStopped(step, false),
  saving: (step, { open, ...rest }) => {
    if (!open) return;
    step.enter(rest);
    endWork(step, open, step.state.sandbox.cursor);
  },
});

function endWithOpen(step: Step, { turn }: PhaseOf<'starting' | 'working' | 'asking'>): void {
  if (turn.open) endWork(step, turn.open, step.state.sandbox.cursor);
}

/** Claude gave its result. Requests it did not answer begin the next turn, which the CLI starts by itself. */
export function takeResult(step: Step, result: ResultBody): void {
  noteResult(step, result);
  takeLast(step, result);
}

const takeLast = onlyIn<[result: ResultBody]>({
  starting: endWithLast,
  working: endWithLast,
  asking: endWithLast,
  stopping: endWithLast,
  saving: (step, { open, ...rest }, result) => {
    step.enter(rest);
    endWork(step, summed(open, result), step.state.sandbox.cursor);
  },
});

function endWithLast(
  step: Step,
  { turn }: PhaseOf<'starting' | 'working' | 'asking' | 'stopping'>,
  result: ResultBody,
): void {
  endWork(step, summed(turn.open, result), step.state.sandbox.cursor);
}

function noteResult(step: Step, result: ResultBody): void {
  if (result.costUsd !== null) step.set({ costUsd: (step.state.costUsd ?? 0) + result.costUsd });
  // What is named was read, whatever was heard of it before.
  noteRead(step, result.promptIds);
}

type Told = [result: ResultBody, at: number | undefined, isReplayed?: boolean];

/**
 * Claude's work has a result. `result`: the last one of the turn, with what all of them spent and answered; `at`: number of the event
 * that ended it, undefined if that is not known; `isReplayed`: it came early, and was looked at then.
 */
export const endWork = onlyIn<Told>({
  starting: answer,
  working: answer,
  asking: (step, phase, ...told) => {
    // The sandbox was shut down while the question is open: what that interrupted is no answer.
    if (isLive(phase.about)) answer(step, phase, ...told);
  },
  saving: keepEarly,
  stopping: answerStopped,
});

/** A result of the next turn came before this one was saved. */
function keepEarly(step: Step, phase: SavingPhase, ...[result, at, isReplayed]: Told): void {
  if (isOfHalted(step, phase, result)) return;
  // Of the turn that was stopped; what people asked after it is in the queue.
  if (phase.stopSent !== undefined && !namesAny(step.state.queue, result)) return;
  const { begun: _, ...before } = phase;
  const rest = { ...before, resultsAt: [...(phase.resultsAt ?? []), ...(at === undefined ? [] : [at])] };
  const told = isReplayed ? result : namedEarly(step, phase, result);
  step.enter(phase.early ? { ...rest, later: [...(phase.later ?? []), told] } : { ...rest, early: told });
}

function answerStopped(step: Step, phase: PhaseOf<'stopping'>, ...[result, at, isReplayed]: Told): void {
  // The answer to what was asked after the stop: Claude is done with what was stopped, though that is not confirmed.
  const isOfNext = namesAny(step.state.queue, result);
  const ending = stopped(isOfNext ? null : result, phase.words, phase.how);
  save(step, phase.turn, ending, at, phase.stop ?? phase.turn.number);
  if (isOfNext) endWork(step, result, at, isReplayed);
}

function answer(step: Step, phase: PhaseOf<'starting' | 'working' | 'asking'>, ...[result, at]: Told): void {
  const { prompts } = phase.turn;
  const answers = (prompt: Request) => isAnswered(step, phase.turn, prompt, result);
  // The end of an earlier turn, e.g. of one that was stopped: what is asked now is not answered by it.
  if (prompts.length > 0 && !phase.turn.unasked && !prompts.some(answers)) return;
  const left = leftBy(prompts, answers);
  if (prompts.length > 0 && isUsedUp(result)) {
    // Its process is ended, and with it what it was given and did not come to.
    const parked = prompts.map((prompt) =>
      left.includes(prompt) && !prompt.inherited ? unread(prompt, true) : inherited(prompt),
    );
    parkTurn(step, { ...phase.turn, prompts: parked }, result);
    return;
  }
  if (prompts.length > 0 && !phase.turn.isFresh && historyTrouble(result) === 'broken') {
    const fresh = leaveConversation(step, phase.turn, result);
    resumeWith(step, fresh, GO_ON, 'Beginning a new conversation', false, true);
    return;
  }
  const turn = { ...phase.turn, prompts: prompts.filter((prompt) => !left.includes(prompt)) };
  if (left.length > 0) step.set({ queue: [...left, ...step.state.queue] });
  save(step, turn, { ...describeResult(result, step.state.limit ?? undefined, modelOf(step)), result }, at);
}

/** The model that Claude was to use, and who chose it. */
function modelOf({ state: { arrangement, issue } }: Step): ChosenModel | null {
  if (!arrangement) return null;
  const { model: name } = arrangement.assignment;
  if (arrangement.wished === name) return { name, from: 'wish' };
  const isLabel = issue?.labels?.some((label) => label.trim().toLowerCase() === name) ?? false;
  return { name, from: isLabel ? 'label' : 'settings' };
}

/** What a result does not answer. What a process that died had read is answered with the prompt that goes on with it. */
function leftBy(prompts: readonly Request[], answers: (prompt: Request) => boolean): Request[] {
  const resumptions = prompts.filter((prompt) => prompt.aside && !prompt.inherited);
  const isWaiting = resumptions.length > 0 && !resumptions.some(answers);
  return prompts.filter((prompt) => !answers(prompt) && (!prompt.inherited || isWaiting));
}

/** A result names what it answers. One that names nothing answers what was read, where the CLI tells that, or all. */
function isAnswered(step: Step, turn: Turn, prompt: Request, { promptIds }: ResultBody): boolean {
  if (promptIds.length > 0) return promptIds.includes(prompt.promptId);
  return step.state.sandbox.tellsReading || turn.unasked ? stageOf(prompt) === 'read' && !prompt.inherited : true;
}

/** Claude has these prompts in its conversation. What it reads in a turn that nobody asked for is answered by that turn. */
export function noteRead(step: Step, ids: readonly string[]): void {
  if (ids.length === 0) return;
  const mark = (request: Request) =>
    ids.includes(request.promptId) && stageOf(request) === 'handed-over' ? read(request) : request;
  const { phase } = step.state;
  if (hasTurn(phase) && phase.turn.prompts.some((prompt) => mark(prompt) !== prompt)) {
    step.enter({ ...phase, turn: { ...phase.turn, prompts: phase.turn.prompts.map(mark) } });
  }
  const isHeard = ({ promptId }: Request) => ids.includes(promptId);
  if (step.state.queue.some(isHeard)) markQueue(step, isHeard, mark);
}

type Heard = [isHeard: (request: Request) => boolean, mark: (request: Request) => Request];

const markQueue = byPhase<Heard>({ working: joinUnasked, asking: joinUnasked }, markInQueue);

function joinUnasked(step: Step, phase: PhaseOf<'working' | 'asking'>, ...[isHeard, mark]: Heard): void {
  if (!phase.turn.unasked) {
    markInQueue(step, phase, isHeard, mark);
    return;
  }
  const { queue } = step.state;
  const prompts = [...phase.turn.prompts, ...queue.filter(isHeard).map(mark)];
  step.enter({ ...phase, turn: { ...phase.turn, prompts } });
  step.set({ queue: queue.filter((request) => !isHeard(request)) });
}

function markInQueue(step: Step, _phase: unknown, ...[, mark]: Heard): void {
  step.set({ queue: step.state.queue.map(mark) });
}

/** Whether a result is of what is being stopped: its threads are told that. What was asked after the stop may be answered before it is confirmed. */
function isOfHalted(step: Step, { halt }: SavingPhase, result: ResultBody): boolean {
  return halt !== undefined && !namesAny(step.state.queue.filter(isToGoOn), result);
}

/** Whether no stop concerns it. */
function isToGoOn({ halted }: Request): boolean {
  return halted !== true;
}

function namesAny(requests: readonly Request[], { promptIds }: ResultBody): boolean {
  return requests.some(({ promptId }) => promptIds.includes(promptId));
}

/** A result that came early, naming what it answers: what was read by then, where it does not say itself. */
function namedEarly(step: Step, phase: SavingPhase, result: ResultBody): ResultBody {
  if (result.promptIds.length > 0 || !step.state.sandbox.tellsReading) return result;
  const answered = answeredEarly(phase);
  const read = step.state.queue.filter(
    (one) => stageOf(one) === 'read' && !one.inherited && !answered.has(one.promptId),
  );
  return { ...result, promptIds: read.map(({ promptId }) => promptId) };
}
