/**
 * The lifecycle of an issue session: a pure function from a state and an event to the next state, the journal entries
 * and the effects. Everything that can happen is an event; time and ids are passed in.
 */

import { afterClockMove } from './clock-moves.ts';
import { expectEvent, threadExpected, threadNotOpened } from './expected-thread.ts';
import { issueSeen, issueTold, statusChanged } from './issue-changes.ts';
import { isByPerson } from './model/admission.ts';
import { dueDeadlines, isSilenceTrouble, SANDBOX_SILENCE_MS } from './model/deadlines.ts';
import { describeEffect, type Effect } from './model/effects.ts';
import type { EffectResult, EventOf, SessionEvent } from './model/events.ts';
import { saveDueAfter } from './model/standing.ts';
import { currentTurn, OPENING, type SessionState, type StopKind, threadsOf } from './model/state.ts';
import { Step, type StepContext, type Transition } from './model/transition.ts';
import { callsSince } from './model/unconfirmed-calls.ts';
import { contextArrived, prompted, takeUpIssue, tellEdit } from './prompts.ts';
import { decisionUndelivered, expire } from './questions/answer.ts';
import { answerUndelivered, askWhatWaits, park } from './questions/ask.ts';
import { closedBy } from './questions/open-question.ts';
import { nameBranch, sandboxReported } from './sandbox-reports.ts';
import { startHeld } from './start/pause.ts';
import { askForPlace, giveUpPlace, placeChanged, placeWords, standInLine } from './start/queue-slot.ts';
import { admit, refuse } from './start/refuse.ts';
import { ask } from './start/repository-choice.ts';
import { effectDelayed } from './start/start-retries.ts';
import { tellFallback } from './turn/limit-notices.ts';
import { notePullRequest, notProposed, proposed, waitNoLonger } from './turn/pull-request.ts';
import { askForRoom, resumeParked, roomFound } from './turn/resumption.ts';
import { replaceSandbox, takeUnseenLoss } from './turn/sandbox-retries.ts';
import { alarmRaised, endStoppedBackground, stopRequested, withdrawn } from './turn/stops.ts';
import { ALARM_REASON, close, endTurn, failTurn, lookForSandbox, stopped } from './turn/turn.ts';
import { remindOfParking } from './turn/usage-limit.ts';

/** What `event` makes of `state`. Total: every event is defined in every state. */
export function reduce(state: SessionState, event: SessionEvent, context: StepContext): Transition {
  const step = new Step(state, context);
  if ('at' in event && event.at !== undefined) {
    step.set({ linearNow: Math.max(state.linearNow ?? 0, event.at) });
  }
  switch (event.type) {
    case 'prompted':
      prompted(step, event);
      break;
    case 'stop-requested':
      stopRequested(step, event);
      break;
    case 'withdrawn':
      withdrawn(step, event);
      break;
    case 'alarm-raised':
      alarmRaised(step, event);
      break;
    case 'push-held':
      step.set({ heldPush: event.held });
      break;
    case 'context-arrived':
      contextArrived(step, event);
      break;
    case 'issue-told':
      issueTold(step, event);
      break;
    case 'status-changed':
      statusChanged(step, event);
      break;
    case 'thread-expected':
      threadExpected(step, event);
      break;
    case 'sandbox-reported':
      sandboxReported(step, event);
      break;
    case 'effect-done':
      effectDone(step, event);
      break;
    case 'effect-delayed':
      effectDelayed(step, event);
      break;
    case 'effect-failed':
      effectFailed(step, event);
      break;
    case 'start-held':
      startHeld(step, event.isHeld);
      break;
    case 'place-changed':
      placeChanged(step, event.place);
      break;
    case 'checkpointed':
      checkpointed(step, event);
      break;
    case 'sandbox-ended':
      sandboxEnded(step, event);
      break;
    case 'sandbox-unreachable':
      sandboxUnreachable(step, event);
      break;
    case 'clock-moved':
      step.set(afterClockMove(step.state, event.by));
      break;
    case 'deadline':
      deadlinePassed(step);
      break;
  }
  endStoppedBackground(step);
  askWhatWaits(step);
  const closed = closedBy(state, step.state, answererOf(event), context.now);
  if (closed) step.set({ closedQuestions: closed });
  const wasSaved = event.type === 'sandbox-reported' && event.batch.events.some(({ type }) => type === 'saved');
  const saveDue = saveDueAfter(state.phase, step.state, wasSaved, context.now);
  if (saveDue !== (step.state.saveDue ?? null)) step.set({ saveDue });
  giveUpPlace(step, state);
  step.set({ revision: state.revision + 1, updatedAt: context.now });
  return step.transition;
}

/** Who answered a question that an event closed. */
function answererOf(event: SessionEvent): string | null {
  if (event.type !== 'prompted') return null;
  return event.author ?? (event.source === 'page' ? 'somebody on the live page' : 'somebody');
}

function effectDone(step: Step, { effect, result }: EventOf<'effect-done'>): void {
  if (effect.kind === 'open-pull-request') {
    proposed(step, effect, result);
    return;
  }
  if (!result) return;
  if (effect.kind === 'open-thread' && result.kind === 'thread') {
    const { expectedThread } = step.state;
    const { agentSessionId } = result;
    if (expectedThread?.promptId !== effect.promptId) {
      // Linear's own thread came meanwhile, or the request was withdrawn: this one is not left without a word.
      const isKnown = agentSessionId in step.state.agentSessions;
      if (!isKnown && !result.isLinears) {
        step.say(agentSessionId, { type: 'response', body: 'This was answered in another thread.' });
        // Linear tells of it too; that asks for nothing.
        expectEvent(step, agentSessionId);
      }
      return;
    }
    const { promptId, commentId, author, person, text, at } = expectedThread;
    const source = commentId === null ? 'delegation' : 'mention';
    const asked = { promptId, agentSessionId, author, person, source, text, ...(commentId && { commentId }) } as const;
    prompted(step, { type: 'prompted', ...asked, ...(at !== undefined && { at }) });
    // Linear tells of it too, sooner or later, no matter who opened it.
    expectEvent(step, agentSessionId);
    return;
  }
  if (effect.kind === 'look-at-issue' && result.kind === 'issue') issueSeen(step, effect, result);
  if (result.kind === 'room') roomFound(step, result.at);
  if (effect.kind === 'ask-place' && result.kind === 'place') placeChanged(step, result.place);
  if (result.kind === 'lost' && result.generation === step.state.sandbox.generation) replaceSandbox(step);
  if (effect.kind !== 'start-sandbox' || effect.generation !== step.state.sandbox.generation) return;
  if (result.kind === 'unsure') ask(step, result);
  if (result.kind === 'blocked') failTurn(step, 'authentication_failed', result.text);
  if (result.kind === 'place') standInLine(step, result.place);
  if (result.kind === 'refused') refuse(step, result);
  if (result.kind === 'started') sandboxStarted(step, result, effect.look);
}

/** @param look it was looked for because it was silent */
function sandboxStarted(step: Step, result: Extract<EffectResult, { kind: 'started' }>, look?: boolean): void {
  const { sandbox } = step.state;
  const { repository, baseBranch, baseWish, baseWishBy, author, arrangement, access } = result;
  const isDecidedNow = step.state.arrangement === null;
  step.set({
    repository,
    baseBranch,
    ...(baseWish !== undefined && { baseWish }),
    ...(baseWishBy && { baseWishBy }),
    ...(result.identity !== undefined && { cloneOf: { repository, identity: result.identity } }),
    ...(author && { author }),
    arrangement,
    access,
  });
  if (isDecidedNow && result.branch !== undefined) nameBranch(step, result.branch);
  if (result.choice !== undefined) tellChoice(step, result.choice);
  if (isDecidedNow && result.branchNote) tellOfBranch(step, result.branchNote);
  if (result.pullRequest) notePullRequest(step, result.pullRequest);
  admit(step, access);
  if (isDecidedNow && currentTurn(step.state)?.prompts.some(isByPerson)) takeUpIssue(step);
  if (sandbox.streamId !== null && sandbox.streamId !== result.status.streamId) {
    replaceSandbox(step);
    return;
  }
  step.set({ sandbox: { ...sandbox, streamId: result.status.streamId, heardAt: step.now } });
  tellFallback(step, result);
  if (step.state.phase.name === 'starting') {
    const { turn } = step.state.phase;
    step.enter({ ...step.state.phase, turn: { ...turn, startedAs: turn.number } });
  }
  // Looked for because it was silent, and found idle: prompts go before in the same lane, so it should be at work.
  const { phase } = step.state;
  const { state, lastSeq } = result.status;
  const isAwaited =
    look ||
    phase.name === 'working' ||
    // A start that had to wait for something else comes before its prompts.
    (phase.name === 'starting' && !phase.isDelayed && step.now - phase.since >= SANDBOX_SILENCE_MS);
  if (isAwaited && (state === 'ready' || state === 'closed') && lastSeq === sandbox.cursor) {
    takeUnseenLoss(step);
  }
}

/** Where the work is done, from what and with which model: a person who sees a wrong choice can correct it. */
function tellChoice(step: Step, text: string): void {
  step.record({ kind: 'notice', level: 'info', text });
  const turn = currentTurn(step.state);
  for (const thread of turn ? threadsOf(turn) : []) step.think(thread, text);
}

/** The branch has another name than the template gives it, or cannot be pushed. */
function tellOfBranch(step: Step, text: string): void {
  step.record({ kind: 'notice', level: 'info', text });
  const turn = currentTurn(step.state);
  for (const thread of turn ? threadsOf(turn) : []) step.announce(thread, text);
}

/** From now on a new sandbox can go on from there. */
function checkpointed(step: Step, { checkpoint }: EventOf<'checkpointed'>): void {
  const { calls = [], queue } = step.state;
  const asked = new Set([...(currentTurn(step.state)?.prompts ?? []), ...queue].map(({ promptId }) => promptId));
  const prompts = checkpoint.prompts.filter((id) => asked.has(id));
  step.set({ checkpoint: { ...checkpoint, prompts }, calls: callsSince(calls, checkpoint) });
}

/** Its disk is gone with it; the next life need not find that out. A start that is under way will. */
function sandboxEnded(step: Step, { generation }: EventOf<'sandbox-ended'>): void {
  const { phase, sandbox } = step.state;
  if (generation === sandbox.generation && phase.name !== 'starting') replaceSandbox(step);
}

/** It is looked for at once, for an endpoint that ends tells nobody. */
function sandboxUnreachable(step: Step, { generation }: EventOf<'sandbox-unreachable'>): void {
  if (generation !== step.state.sandbox.generation || !isSilenceTrouble(step.state)) return;
  step.record({ kind: 'notice', level: 'warning', text: 'The sandbox has stopped answering. Checking on it.' });
  lookForSandbox(step);
}

/** Effects that are asked for again before long, or whose news comes by another way. */
const UNCONCERNED: Effect['kind'][] = ['find-room', 'ask-place', 'give-place', 'look-at-issue'];

function effectFailed(step: Step, event: EventOf<'effect-failed'>): void {
  const { effect, attempts, error, hint } = event;
  if (effect.kind === 'open-pull-request') {
    notProposed(step, effect, event);
    return;
  }
  if (UNCONCERNED.includes(effect.kind)) return;
  step.record({ kind: 'effect-failed', effect: describeEffect(effect), attempts, error });
  step.set({ failedEffects: step.state.failedEffects + 1 });
  answerUndelivered(step, event);
  decisionUndelivered(step, event);
  if (effect.kind === 'open-thread') threadNotOpened(step, effect);
  if (effect.kind !== 'start-sandbox' && effect.kind !== 'prompt-sandbox') return;
  const text = `${describeEffect(effect)} failed: ${error}\n\n${hint ?? 'Comment to try again.'}`;
  if (effect.kind === 'prompt-sandbox' && answerQueued(step, effect.promptId, text)) return;
  const { phase, sandbox } = step.state;
  if (phase.name !== 'starting' && phase.name !== 'working') return;
  // What was meant for an earlier life or turn changes nothing now.
  const isCurrent =
    effect.kind === 'start-sandbox'
      ? effect.generation === sandbox.generation
      : phase.turn.prompts.some(({ promptId }) => promptId === effect.promptId);
  if (isCurrent) failTurn(step, 'sandbox_unreachable', text);
}

/** A prompt that waits for the next turn and cannot be delivered is answered by itself. @returns whether it was one */
function answerQueued(step: Step, promptId: string, text: string): boolean {
  const queued = step.state.queue.find((prompt) => prompt.promptId === promptId);
  if (!queued) return false;
  step.set({ queue: step.state.queue.filter((prompt) => prompt !== queued) });
  close(step, [queued], 'failed');
  if (queued.agentSessionId !== null) step.say(queued.agentSessionId, { type: 'error', body: text });
  return true;
}

function deadlinePassed(step: Step): void {
  for (const due of dueDeadlines(step.state, step.now)) {
    switch (due.name) {
      case 'stop': {
        const { phase } = step.state;
        const how = howOf(phase);
        const unconfirmed = 'The sandbox did not confirm in time; what was committed before is on the branch.';
        const text = `${how === 'alarm' ? alarmTextOf(phase) : 'Stopped.'} ${unconfirmed}`;
        endTurn(step, stopped(null, text, how), phase.name === 'saving' ? phase.early : null);
        return;
      }
      case 'save': {
        const { phase } = step.state;
        if (phase.name !== 'saving') return;
        step.record({
          kind: 'notice',
          level: 'warning',
          text: 'The sandbox did not report that the work was saved. It may be missing from the branch.',
        });
        endTurn(step, phase.ending, phase.early);
        return;
      }
      case 'proposal':
        waitNoLonger(step);
        return;
      case 'thread': {
        const { issue, expectedThread } = step.state;
        if (!issue || !expectedThread) break;
        const { promptId, commentId } = expectedThread;
        step.set({ expectedThread: { ...expectedThread, since: OPENING } });
        step.effect({ kind: 'open-thread', promptId, issueId: issue.id, commentId });
        break;
      }
      case 'edit':
        tellEdit(step);
        break;
      case 'park':
        park(step);
        break;
      case 'permission':
        expire(step);
        break;
      case 'silence':
        lookForSandbox(step);
        break;
      case 'resume':
        resumeParked(step);
        return;
      case 'room':
        askForRoom(step);
        break;
      case 'place':
        askForPlace(step);
        break;
      case 'heartbeat':
        remind(step, due.agentSessionId);
        break;
    }
  }
}

function howOf(phase: SessionState['phase']): StopKind {
  if (phase.name === 'stopping') return phase.how ?? 'stopped';
  if (phase.name !== 'saving') return 'stopped';
  if (phase.ending.reason === ALARM_REASON) return 'alarm';
  return phase.ending.reason === 'withdrawn' ? 'withdrawn' : 'stopped';
}

/** What was found, and where: people are told that, whatever became of the save. */
function alarmTextOf(phase: SessionState['phase']): string {
  if (phase.name === 'stopping') return phase.words;
  return phase.name === 'saving' ? phase.ending.text : '';
}

/** A thread in which nothing was said for long is told how things are. */
function remind(step: Step, agentSessionId: string): void {
  const { phase } = step.state;
  if (phase.name === 'parked') remindOfParking(step, agentSessionId);
  else if (phase.name === 'queued') step.reassure(agentSessionId, `${placeWords(phase.place)}.`);
  else step.reassure(agentSessionId, stillWorking(step));
}

function stillWorking(step: Step): string {
  const turn = currentTurn(step.state);
  const minutes = Math.round((step.now - (turn?.startedAt ?? step.now)) / 60_000);
  const { phase } = step.state;
  // What is waited for is worth more than that something is.
  if (phase.name === 'starting' && phase.reason.startsWith('Waiting'))
    return `${phase.reason}, for ${minutes} minutes now.`;
  return `Still working, for ${minutes} minutes now.`;
}

/**
 * Whether a batch belongs to the current life of the sandbox.
 * @returns null, or why it is refused
 */
export function fence(
  state: SessionState,
  batch: { generation: number; streamId: string },
): { message: string } | null {
  const { generation, streamId } = state.sandbox;
  if (batch.generation !== generation) {
    return { message: `this session is in generation ${generation}, not ${batch.generation}` };
  }
  if (streamId !== null && streamId !== batch.streamId) {
    return { message: 'another sandbox has taken over this session' };
  }
  return null;
}
