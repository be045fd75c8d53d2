/** The course of a turn: begun, answered by Claude, saved, ended; or stopped, or failed. */
import { historyTrouble } from '../../../claude/history.ts';
import { type ChosenModel, describeResult } from '../../../claude/words.ts';
import { PURGE_LANE } from '../model/effects.ts';
import {
  currentTurn,
  type Ending,
  isAtWork,
  type PhaseState,
  type ResultBody,
  type SavingPhase,
  type StopKind,
  type Turn,
  threadsOf,
} from '../model/phases.ts';
import { isLive } from '../model/questions.ts';
import { addUsage, nextLife, noUsage } from '../model/state.ts';
import type { Step } from '../model/transition.ts';
import {
  type Closing,
  handedOver,
  idOf,
  inherited,
  isAtClaude,
  type Request,
  read,
  stageOf,
  underId,
  unread,
} from '../requests.ts';
import { close, dropHalted } from './closing.ts';
import { GO_ON, leaveConversation } from './fresh-conversation.ts';
import { noteTrouble } from './limit-notices.ts';
import { summed } from './open-results.ts';
import { isUsedUp, parkTurn } from './usage-limit.ts';

/**
 * Begins a turn for these requests, and has the ones that Claude does not have yet handed over.
 * @param resume what Claude is told where a process that had read some of them is gone
 */
export function beginTurn(step: Step, requests: readonly Request[], resume?: string): void {
  const number = step.state.turns + 1;
  const turn: Turn = { number, startedAt: step.now, prompts: [...requests], losses: 0 };
  step.set({ turns: number, turnUsage: noUsage, queue: [], calls: [] });
  if (step.state.overAt != null) step.set({ overAt: null });
  const isWaiting = resume !== undefined || requests.some((request) => !isAtClaude(request));
  step.enter(
    isWaiting
      ? { name: 'starting', since: step.now, reason: 'Starting the sandbox', turn }
      : { name: 'working', since: step.now, turn },
  );
  step.record({ kind: 'turn-started', promptIds: requests.map(idOf) });
  if (resume !== undefined) resumeWith(step, turn, resume);
  else if (isWaiting) {
    startSandbox(step);
    handOverWaiting(step);
  }
}

/**
 * Claude is at work without being asked: a turn of its own. What people ask meanwhile gets its own answer after it.
 * @param told asides of threads that are told of it all the same
 */
export function beginUnasked(step: Step, told: readonly Request[] = []): void {
  const { queue } = step.state;
  beginTurn(step, told);
  const { phase } = step.state;
  if (phase.name !== 'working') return;
  const { number } = phase.turn;
  step.enter({ ...phase, turn: { ...phase.turn, unasked: true } });
  step.set({ queue: queue.map((request) => (isAtClaude(request) ? request : handOver(step, request, number))) });
}

/**
 * Has a request given to Claude.
 * @param preface is put in front of its text
 * @returns the request as it is then
 */
export function handOver(step: Step, request: Request, turn: number, preface?: string): Request {
  const { promptId: before } = request;
  const next = request.returned ? underId(request, step.context.newId()) : request;
  if (next.promptId !== before) step.copyPrompt(next.promptId, before);
  const { promptId } = next;
  const { recap } = next;
  const more = { ...(preface !== undefined && { preface }), ...(recap && { recap }) };
  step.effect({ kind: 'prompt-sandbox', promptId, turn, ...more });
  return handedOver(next, turn);
}

/** Hands over what Claude does not have of the turn. */
export function handOverWaiting(step: Step): void {
  const { phase } = step.state;
  if (!isAtWork(phase)) return;
  const { turn } = phase;
  const prompts = turn.prompts.map((prompt) => (isAtClaude(prompt) ? prompt : handOver(step, prompt, turn.number)));
  step.enter({ ...phase, turn: { ...turn, prompts } });
}

/**
 * Asks for the sandbox of the current life: finds the one that runs, or brings up what is missing. The first call of a
 * session begins its first life.
 */
export function startSandbox(step: Step): void {
  const { sandbox } = step.state;
  const generation = Math.max(1, sandbox.generation);
  step.cancelLane(PURGE_LANE);
  step.set({ sandbox: { ...sandbox, generation, heardAt: step.now } });
  step.effect({ kind: 'start-sandbox', generation });
}

/**
 * Nothing of the session is needed on its sandbox server any more: the next turn, if there is one, continues from the checkpoint. Without
 * one the conversation is deleted with the files, so the next turn begins another on the pushed branch.
 */
export function purgeSandbox(step: Step): void {
  const { sandbox, checkpoint } = step.state;
  step.set({
    sandbox: nextLife(sandbox, sandbox.generation + 1, step.now),
    ...(checkpoint == null && { conversationId: step.context.newId() }),
  });
  step.effect({ kind: 'purge-sandbox', generation: sandbox.generation });
}

/** The sandbox was silent for too long: it is looked for, and should be at work, for its prompts went before. */
export function lookForSandbox(step: Step): void {
  const { sandbox } = step.state;
  step.set({ sandbox: { ...sandbox, heardAt: step.now } });
  step.effect({ kind: 'start-sandbox', generation: Math.max(1, sandbox.generation), look: true });
}

/** Claude gave a result while its helpers are at work: the turn goes on. */
export function takeOpenResult(step: Step, result: ResultBody): void {
  const { phase } = step.state;
  noteResult(step, result);
  // What is used is counted when the turn ends.
  step.set({ turnUsage: noUsage });
  switch (phase.name) {
    case 'starting':
    case 'working':
    case 'asking':
      changeTurn(step, (turn) => ({ ...turn, open: summed(turn.open, result) }));
      return;
    case 'saving':
      if (phase.halt && !namesAny(step.state.queue.filter(isToGoOn), result)) return;
      step.enter({ ...phase, open: summed(phase.open, result) });
      return;
    default:
      return;
  }
}

function changeTurn(step: Step, change: (turn: Turn) => Turn): void {
  const { phase } = step.state;
  if (phase.name !== 'waiting') step.enter({ ...phase, turn: change(phase.turn) });
}

/** The helpers are done, and Claude says no more: its last result was the last of the turn. */
export function takeWorkEnd(step: Step): void {
  const { phase } = step.state;
  const at = step.state.sandbox.cursor;
  if (phase.name === 'waiting') return;
  if (phase.name === 'stopping') saveStopped(step, false);
  else if (phase.name !== 'saving') {
    if (phase.turn.open) endWork(step, phase.turn.open, at);
  } else if (phase.open) {
    const { open, ...rest } = phase;
    step.enter(rest);
    endWork(step, open, at);
  }
}

/**
 * Claude gave its result. Requests it did not answer begin the next turn, which the CLI starts by itself.
 * @param at number of the event that brought it
 */
export function takeResult(step: Step, result: ResultBody): void {
  noteResult(step, result);
  const { phase } = step.state;
  if (phase.name === 'waiting') return;
  if (phase.name !== 'saving') {
    endWork(step, summed(phase.turn.open, result), step.state.sandbox.cursor);
    return;
  }
  const { open, ...rest } = phase;
  step.enter(rest);
  endWork(step, summed(open, result), step.state.sandbox.cursor);
}

function noteResult(step: Step, result: ResultBody): void {
  if (result.costUsd !== null) step.set({ costUsd: (step.state.costUsd ?? 0) + result.costUsd });
  // What is named was read, whatever was heard of it before.
  noteRead(step, result.promptIds);
}

/**
 * @param result the last one of the turn, with what all of them spent and answered
 * @param at number of the event that ended it; undefined if that is not known
 * @param isReplayed it came early, and was looked at then
 */
function endWork(step: Step, result: ResultBody, at: number | undefined, isReplayed = false): void {
  const { phase } = step.state;
  switch (phase.name) {
    case 'waiting':
    case 'parked':
    case 'queued':
      return;
    case 'saving': {
      // Of what is being stopped: its threads are told that. What was asked after the stop may be answered before it is confirmed.
      if (phase.halt && !namesAny(step.state.queue.filter(isToGoOn), result)) return;
      // Of the turn that was stopped; what people asked after it is in the queue.
      if (phase.stopSent !== undefined && !namesAny(step.state.queue, result)) return;
      const { begun: _, ...before } = phase;
      const rest = { ...before, resultsAt: [...(phase.resultsAt ?? []), ...(at === undefined ? [] : [at])] };
      const told = isReplayed ? result : namedEarly(step, phase, result);
      step.enter(phase.early ? { ...rest, later: [...(phase.later ?? []), told] } : { ...rest, early: told });
      return;
    }
    case 'stopping': {
      // The answer to what was asked after the stop: Claude is done with what was stopped, though that is not confirmed.
      const isOfNext = namesAny(step.state.queue, result);
      const ending = stopped(isOfNext ? null : result, phase.words, phase.how);
      save(step, phase.turn, ending, at, phase.stop ?? phase.turn.number);
      if (isOfNext) endWork(step, result, at, isReplayed);
      return;
    }
    case 'starting':
    case 'asking':
    case 'working': {
      // The sandbox was shut down while the question is open: what that interrupted is no answer.
      if (phase.name === 'asking' && !isLive(phase.about)) return;
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
      return;
    }
  }
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
  const { phase, queue } = step.state;
  const mark = (request: Request) =>
    ids.includes(request.promptId) && stageOf(request) === 'handed-over' ? read(request) : request;
  const heard = queue.filter(({ promptId }) => ids.includes(promptId));
  const turn = currentTurn(step.state);
  if (phase.name !== 'waiting' && turn?.prompts.some((prompt) => mark(prompt) !== prompt)) {
    step.enter({ ...phase, turn: { ...turn, prompts: turn.prompts.map(mark) } });
  }
  if (heard.length === 0) return;
  const isWorking = phase.name === 'working' || phase.name === 'asking';
  if (isWorking && phase.turn.unasked) {
    step.enter({ ...phase, turn: { ...phase.turn, prompts: [...phase.turn.prompts, ...heard.map(mark)] } });
    step.set({ queue: queue.filter((request) => !heard.includes(request)) });
  } else step.set({ queue: queue.map(mark) });
}

/**
 * @param endedAt number of the event that ended the turn
 * @param stopSent turn of a stop that was sent, where its end is not confirmed yet
 */
function save(step: Step, turn: Turn, ending: Ending, endedAt: number | undefined, stopSent?: number): void {
  const used = ending.result?.usage ?? addUsage(turn.open?.usage ?? noUsage, step.state.turnUsage);
  step.set({ usage: addUsage(step.state.usage, used), turnUsage: noUsage });
  step.enter({
    name: 'saving',
    since: step.now,
    turn,
    ending,
    early: null,
    ...(endedAt !== undefined && { endedAt }),
    ...(stopSent !== undefined && { stopSent }),
  });
  step.cue({ kind: 'end-known' });
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

/** The sandbox has committed and pushed (or said why not): the turn is over. */
export function takeSaved(step: Step): void {
  const { phase } = step.state;
  if (phase.name === 'saving') endTurn(step, phase.ending, phase.early);
  if (phase.name === 'stopping') endTurn(step, stopped(null, phase.words, phase.how), null);
}

/**
 * Claude's process is gone while it is stopped: what it has done is still saved.
 * @param isConfirmed whether the stop ended it; otherwise the next process may yet be given what was asked before the stop
 */
export function saveStopped(step: Step, isConfirmed: boolean): void {
  const { phase } = step.state;
  if (phase.name !== 'stopping') return;
  const stopSent = isConfirmed ? undefined : (phase.stop ?? phase.turn.number);
  save(step, phase.turn, stopped(null, phase.words, phase.how), step.state.sandbox.cursor, stopSent);
}

/** The sandbox says that it has carried out a stop. @param turn that it named; undefined if that is not said */
export function confirmStop(step: Step, turn: number | undefined): void {
  const { phase } = step.state;
  if (phase.name === 'stopping' && turn !== undefined && turn >= (phase.stop ?? phase.turn.number)) {
    saveStopped(step, true);
  }
  if (phase.name !== 'saving' || phase.stopSent === undefined) return;
  if (turn !== undefined && turn < phase.stopSent) return;
  const { stopSent: _, ...rest } = phase;
  step.enter({ ...rest, since: step.now, endedAt: step.state.sandbox.cursor });
}

/** The sandbox is gone while it is stopped. */
export function endStopped(step: Step): void {
  const { phase } = step.state;
  if (phase.name === 'stopping') endTurn(step, stopped(null, phase.words, phase.how), null);
}

/**
 * Ends the turn without waiting for anything more from the sandbox. One that was stopped, or that Claude has answered, ends as
 * that: what failed then is the save alone.
 */
export function failTurn(step: Step, reason: string, text: string): void {
  const turn = currentTurn(step.state);
  if (!turn) return;
  const { phase } = step.state;
  if (phase.name === 'saving') {
    step.record({ kind: 'notice', level: 'warning', text: `${text}\n\nThe last work may be missing from the branch.` });
    endTurn(step, phase.ending, phase.early);
    return;
  }
  step.cancelSandboxWork();
  // Nobody follows what Claude may still be doing there. What it has of the next turn is handed over again.
  if (step.state.sandbox.streamId !== null) {
    step.effect({ kind: 'stop-sandbox', id: step.context.newId(), turn: turn.number });
    step.set({ queue: step.state.queue.map((one) => (isAtClaude(one) ? unread(one, true) : one)) });
  }
  if (phase.name === 'stopping') {
    step.record({ kind: 'notice', level: 'warning', text });
    endStopped(step);
  } else endTurn(step, { outcome: 'failed', reason, text, result: null }, null);
}

/** How a turn ends that was called off. The place of the work is added by the narration. */
export function stopped(result: ResultBody | null, text: string, how: StopKind = 'stopped'): Ending {
  if (how === 'alarm') return { outcome: 'failed', reason: ALARM_REASON, text, result };
  return { outcome: 'stopped', reason: how, text, result };
}

/** Reason of a turn that failed because a secret was about to leave its sandbox. */
export const ALARM_REASON = 'secret_found';

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
  close(step, turn.prompts, closingOf(ending));
  step.enter({ name: 'waiting', since: step.now });
  step.effect({ kind: 'archive-turn', turn: turn.number });
  beginNext(step, phase, early);
}

function closingOf({ outcome, reason }: Ending): Closing {
  if (outcome === 'completed') return 'answered';
  if (outcome === 'failed') return 'failed';
  if (reason === 'not_allowed') return 'refused';
  return reason === 'withdrawn' ? 'withdrawn' : 'stopped';
}

/** @param ended the phase in which the turn before ended */
function beginNext(step: Step, ended: PhaseState, early: ResultBody | null): void {
  const saving = ended.name === 'saving' ? ended : null;
  const { queue } = step.state;
  if (saving?.halt && early === null) {
    // It was stopped before it was this one's turn to be told of.
    const { since, author, words, how, turn: stop } = saving.halt;
    const halted = queue.filter((request) => request.halted);
    beginTurn(step, halted);
    const { phase } = step.state;
    if (phase.name !== 'working') return;
    const turn = { ...phase.turn, unasked: halted.length === 0 };
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
    const { phase } = step.state;
    if (saving?.open && phase.name === 'working') {
      step.enter({ ...phase, turn: { ...phase.turn, open: saving.open } });
    }
    return;
  }
  for (const [index, result] of [early, ...later].entries()) {
    noteRead(step, result.promptIds);
    endWork(step, result, saving?.resultsAt?.[index], true);
  }
  // What Claude has begun since is of the turn after that.
  const { phase } = step.state;
  if (!saving) return;
  if (phase.name === 'parked' && saving.halt) step.enter({ ...phase, ending: true, halt: saving.halt });
  if (phase.name !== 'saving') {
    if (phase.name !== 'parked' && saving.halt) dropHalted(step, saving.halt);
    return;
  }
  const { begun, open, resume, halt } = saving;
  step.enter({
    ...phase,
    ...(begun && { begun }),
    ...(open && { open }),
    ...(resume !== undefined && { resume }),
    ...(halt && { halt }),
  });
}

/** Whether no stop concerns it. */
function isToGoOn({ halted }: Request): boolean {
  return halted !== true;
}

function namesAny(requests: readonly Request[], { promptIds }: ResultBody): boolean {
  return requests.some(({ promptId }) => promptIds.includes(promptId));
}

/** Whether a result is about requests in the queue. */
function isFor(step: Step, queue: readonly Request[], { promptIds }: ResultBody): boolean {
  const given = queue.filter(isAtClaude);
  if (promptIds.length > 0) return given.some(({ promptId }) => promptIds.includes(promptId));
  return !step.state.sandbox.tellsReading && given.length > 0;
}

/** A result that came early, naming what it answers: what was read by then, where it does not say itself. */
function namedEarly(step: Step, { early, later = [] }: SavingPhase, result: ResultBody): ResultBody {
  if (result.promptIds.length > 0 || !step.state.sandbox.tellsReading) return result;
  const answered = new Set((early ? [early, ...later] : []).flatMap(({ promptIds }) => promptIds));
  const read = step.state.queue.filter(
    (one) => stageOf(one) === 'read' && !one.inherited && !answered.has(one.promptId),
  );
  return { ...result, promptIds: read.map(({ promptId }) => promptId) };
}

/**
 * Goes on with a turn whose process is gone: the same conversation, with a prompt that answers for what that process had
 * read. What it had not read is handed over again after it.
 * @param recap whether what was done so far is told with it
 * @param carries whether the text holds what people said, so that it must not be lost
 */
export function resumeWith(
  step: Step,
  turn: Turn,
  text: string,
  reason = 'Starting the sandbox again',
  carries = false,
  recap = false,
): void {
  const promptId = step.context.newId();
  step.keepPrompt(promptId, text);
  startSandbox(step);
  const asked: Request = {
    promptId,
    agentSessionId: null,
    aside: true,
    ...(carries && { carries }),
    ...(recap && { recap }),
  };
  const resumption = handOver(step, asked, turn.number);
  // What was handed over and may still wait in the sandbox is answered by itself, where the CLI tells which that is.
  const tells = step.state.sandbox.tellsReading === true;
  const before = turn.prompts
    .filter(isAtClaude)
    .map((prompt) => (!tells || stageOf(prompt) === 'read' ? inherited(prompt) : prompt));
  const again = turn.prompts
    .filter((prompt) => !isAtClaude(prompt))
    .map((prompt) => handOver(step, prompt, turn.number));
  step.enter({
    name: 'starting',
    since: step.now,
    reason,
    turn: { ...turn, prompts: [...before, resumption, ...again] },
  });
}

/** Leaves what runs behind and begins the turn again in a sandbox of its own, in the repository that is now chosen. */
export function restartElsewhere(step: Step, reason: string): void {
  const { phase, sandbox } = step.state;
  if (!isAtWork(phase)) return;
  const generation = sandbox.generation + 1;
  step.cancelSandboxWork();
  step.set({
    sandbox: nextLife(sandbox, generation, step.now),
    conversationId: step.context.newId(),
    checkpoint: null,
  });
  step.enter({ name: 'starting', since: step.now, reason, turn: phase.turn });
  step.effect({ kind: 'start-sandbox', generation });
  handAllOver(step);
}

/** Hands over the whole turn, to a sandbox that has none of it or takes it for a repetition. */
export function handAllOver(step: Step): void {
  const { phase } = step.state;
  if (!isAtWork(phase)) return;
  const { turn } = phase;
  const prompts = turn.prompts.map((prompt) => handOver(step, prompt, turn.number));
  step.enter({ ...phase, turn: { ...turn, prompts } });
}
