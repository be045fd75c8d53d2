/**
 * The lifecycle of an issue session: a pure function from a state and an event to the next state, the journal entries
 * and the effects. Everything that can happen is an event; time and ids are passed in.
 */
import type { StepContext } from '../../kernel/program.ts';
import { afterClockMove } from './clock-moves.ts';
import { deadlinePassed } from './deadline-passed.ts';
import { effectDelayed, effectDone, effectFailed } from './effects/index.ts';
import { threadExpected } from './expected-thread.ts';
import { issueTold, statusChanged } from './issue-changes.ts';
import { byPhase } from './model/by-phase.ts';
import { isSilenceTrouble } from './model/deadlines.ts';
import type { EventOf, SessionEvent } from './model/events.ts';
import { withLag } from './model/linear-clock.ts';
import { currentTurn } from './model/phases.ts';
import { saveDueAfter } from './model/standing.ts';
import type { SessionState } from './model/state.ts';
import { Step, type Transition } from './model/transition.ts';
import { callsSince } from './model/unconfirmed-calls.ts';
import { tellThreads } from './narration/tell-threads.ts';
import { contextArrived, prompted } from './prompts.ts';
import { pullRequestNews } from './pull-request/news.ts';
import { pullRequestSeen } from './pull-request/seen.ts';
import { askWhatWaits } from './questions/ask.ts';
import { closedBy } from './questions/open-question.ts';
import { sandboxReported } from './sandbox-reports.ts';
import { activeAfter, indexIfChanged } from './session-row.ts';
import { startHeld } from './start/pause.ts';
import { queueMoved, releaseSlot } from './start/queue-slot.ts';
import { alarmRaised } from './turn/alarm.ts';
import { lookForSandbox } from './turn/sandbox-life.ts';
import { replaceSandbox } from './turn/sandbox-retries.ts';
import { endStoppedBackground, stopRequested, withdrawn } from './turn/stops.ts';
import { tellWebhooks } from './webhook-news.ts';

/** What `event` makes of `state`. Total: every event is defined in every state. */
export function reduce(state: SessionState, event: SessionEvent, context: StepContext): Transition {
  const step = new Step(state, context);
  if ('at' in event && event.at !== undefined && !isOfPage(event)) {
    step.set({ linearNow: Math.max(state.linearNow ?? 0, event.at), lags: withLag(state, event.at, context.now) });
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
    case 'pull-request-news':
      pullRequestNews(step, event);
      break;
    case 'pull-request-seen':
      pullRequestSeen(step, event.number, event.seen);
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
    case 'queue-moved':
      queueMoved(step, event.position, null);
      break;
    case 'checkpointed':
      checkpointed(step, event);
      break;
    case 'checkpoint-removed':
      checkpointRemoved(step);
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
  releaseSlot(step, state);
  indexIfChanged(step, state);
  tellWebhooks(step, state);
  const told = tellThreads(step.state, step.notes, context);
  step.set({ ...told.change, revision: state.revision + 1, updatedAt: context.now });
  const activeAt = activeAfter(state, step.state, event, context.now);
  if (activeAt !== (step.state.activeAt ?? null)) step.set({ activeAt });
  return step.transition(told.effects);
}

/** A stop of the page has a time by this clock, not by Linear's. */
function isOfPage(event: SessionEvent): boolean {
  return event.type === 'stop-requested' && event.source === 'page';
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

/** What comes next begins a conversation of its own on the branch, unless the sandbox of the one before is still there. */
function checkpointRemoved(step: Step): void {
  const { checkpoint, sandbox } = step.state;
  if (checkpoint == null) return;
  step.set({ checkpoint: null, ...(sandbox.streamId === null && { conversationId: step.context.newId() }) });
  step.record({
    kind: 'notice',
    level: 'info',
    text: 'The checkpoint was kept long enough and is deleted. The next prompt starts a new conversation from what is on the branch.',
  });
}

/** Its disk is gone with it; the next life need not find that out. A start that is under way will. */
function sandboxEnded(step: Step, { generation }: EventOf<'sandbox-ended'>): void {
  if (generation === step.state.sandbox.generation) replaceEnded(step);
}

const replaceEnded = byPhase({ starting: () => {} }, (step) => replaceSandbox(step));

/** It is looked for at once, for an endpoint that ends tells nobody. */
function sandboxUnreachable(step: Step, { generation }: EventOf<'sandbox-unreachable'>): void {
  if (generation !== step.state.sandbox.generation || !isSilenceTrouble(step.state)) return;
  step.record({ kind: 'notice', level: 'warning', text: 'The sandbox has stopped answering. Checking on it.' });
  lookForSandbox(step);
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
