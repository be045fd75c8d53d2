/**
 * The lifecycle of an issue session: a pure function from a state and an event to the next state, the journal entries
 * and the effects. Everything that can happen is an event; time and ids are passed in.
 */
import type { StepContext } from '../../kernel/program.ts';
import { afterClockMove } from './clock-moves.ts';
import { effectDelayed, effectDone, effectFailed } from './effects/index.ts';
import { threadExpected } from './expected-thread.ts';
import { issueTold, statusChanged } from './issue-changes.ts';
import { dueDeadlines, isSilenceTrouble } from './model/deadlines.ts';
import type { EventOf, SessionEvent } from './model/events.ts';
import { saveDueAfter } from './model/standing.ts';
import { currentTurn, OPENING, type SessionState, type StopKind } from './model/state.ts';
import { Step, type Transition } from './model/transition.ts';
import { callsSince } from './model/unconfirmed-calls.ts';
import { tellThreads } from './narration/tell-threads.ts';
import { contextArrived, prompted, tellEdit } from './prompts.ts';
import { expire } from './questions/answer.ts';
import { askWhatWaits, park } from './questions/ask.ts';
import { closedBy } from './questions/open-question.ts';
import { sandboxReported } from './sandbox-reports.ts';
import { indexIfChanged } from './session-row.ts';
import { startHeld } from './start/pause.ts';
import { askForPlace, giveUpPlace, placeChanged, placeWords } from './start/queue-slot.ts';
import { waitNoLonger } from './turn/pull-request.ts';
import { askForRoom, resumeParked } from './turn/resumption.ts';
import { replaceSandbox } from './turn/sandbox-retries.ts';
import { alarmRaised, endStoppedBackground, stopRequested, withdrawn } from './turn/stops.ts';
import { ALARM_REASON, endTurn, lookForSandbox, purgeSandbox, stopped } from './turn/turn.ts';
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
  indexIfChanged(step, state);
  const told = tellThreads(step.state, step.notes, context);
  step.set({ ...told.change, revision: state.revision + 1, updatedAt: context.now });
  return step.transition(told.effects);
}

/** Who answered a question that an event closed. */
function answererOf(event: SessionEvent): string | null {
  if (event.type !== 'prompted') return null;
  return event.author ?? (event.source === 'page' ? 'somebody on the live page' : 'somebody');
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
      case 'purge':
        purgeSandbox(step);
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
