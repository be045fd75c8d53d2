/**
 * A slot among the sessions of the workspace that are at work. A turn asks for one when its sandbox is to be started; if all are
 * taken it waits in the queue, and tells its position.
 */
import { type ReachedLimit, reachedLimitRemedy, reachedLimitWords } from '../../../protocol/settings/start-limits.ts';
import { onlyIn } from '../model/by-phase.ts';
import { needsSlot, type PhaseOf, threadsOf } from '../model/phases.ts';
import type { SessionState } from '../model/state.ts';
import type { Step } from '../model/transition.ts';
import { stageOf, unread } from '../requests.ts';
import { handOverWaiting } from '../turn/hand-over.ts';
import { startSandbox } from '../turn/sandbox-life.ts';

/** "Next in the queue", "3rd in the queue". @param position 1 is next */
export function queuePositionWords(position: number): string {
  return position <= 1 ? 'Next in the queue' : `${ordinal(position)} in the queue`;
}

function ordinal(number: number): string {
  const tens = number % 100;
  const ending = tens >= 11 && tens <= 13 ? undefined : ['th', 'st', 'nd', 'rd'][number % 10];
  return `${number}${ending ?? 'th'}`;
}

/** Why a session waits, without a full stop. */
export function queuedReason({ position, limit }: Pick<PhaseOf<'queued'>, 'position' | 'limit'>): string {
  return limit ? reachedLimitWords(limit) : queuePositionWords(position);
}

/** The sandbox is not started yet: too many others are at work, or a limit of the workspace is reached. */
export const joinQueue = onlyIn<[position: number, limit: ReachedLimit | null | undefined]>({ starting: waitForSlot });

function waitForSlot(
  step: Step,
  phase: PhaseOf<'starting'>,
  position: number,
  limit: ReachedLimit | null | undefined,
): void {
  if (position < 1) return;
  // Prompts are handed over again once it is started, under the ids they have: one may be on its way.
  step.cancelSandboxWork();
  const prompts = phase.turn.prompts.map((one) => (stageOf(one) === 'read' ? one : unread(one, one.returned === true)));
  const queued = { ...at(position), ...(limit && { limit }) };
  step.enter({ name: 'queued', since: step.now, turn: { ...phase.turn, prompts }, ...queued, askAt: step.now });
  if (limit) {
    tellLimit(step, phase, limit);
    return;
  }
  step.record({
    kind: 'notice',
    level: 'info',
    text: `${queuePositionWords(position)}: other sessions of the workspace are ahead.`,
    slot: 'awaited',
  });
  step.announce(
    threadsOf(phase.turn),
    `${queuePositionWords(position)}: the workspace's limit of concurrent sessions is reached. This one starts by itself.`,
  );
}

/** On the page and in the threads. */
function tellLimit(step: Step, { turn }: Pick<PhaseOf<'queued'>, 'turn'>, limit: ReachedLimit): void {
  const text = `${reachedLimitWords(limit)}. ${reachedLimitRemedy(limit, step.now)}`;
  step.record({ kind: 'notice', level: limit.name === 'STARTS_A_MINUTE' ? 'info' : 'warning', text });
  step.announce(threadsOf(turn), text);
}

/** A queue position as it is stored. */
function at(position: number): Pick<PhaseOf<'queued'>, 'position' | 'place'> {
  return { position, place: position };
}

/** The queue has moved. `position`: the session's; 0: it has a slot. */
export const queueMoved = onlyIn<[position: number, limit: ReachedLimit | null | undefined]>({
  queued: (step, phase, position, limit) => {
    if (position < 1) {
      startInSlot(step, phase);
      return;
    }
    const { limit: before, ...rest } = phase;
    const isOther = before?.name !== limit?.name || before?.most !== limit?.most;
    if (position === phase.position && !isOther) return;
    step.enter({ ...rest, ...at(position), ...(limit && { limit }) });
    // The pace of starts comes and goes with the slots that are free.
    if (limit?.name === 'STARTS_A_MINUTE') step.reassure(threadsOf(phase.turn), `${reachedLimitWords(limit)}.`);
    else if (limit && isOther) tellLimit(step, phase, limit);
    else if (!limit) step.reassure(threadsOf(phase.turn), `${queuePositionWords(position)}.`);
  },
});

function startInSlot(step: Step, { turn }: PhaseOf<'queued'>): void {
  step.enter({ name: 'starting', since: step.now, reason: 'Starting the sandbox', turn });
  step.record({ kind: 'notice', level: 'info', text: 'A slot is free; starting the sandbox.', slot: 'free' });
  startSandbox(step);
  handOverWaiting(step);
}

/** Asks for the queue position: the answer before may have been lost. */
export function askForSlot(step: Step, phase: PhaseOf<'queued'>): void {
  step.enter({ ...phase, askAt: step.now });
  step.effect({ kind: 'request-slot', turn: phase.turn.number });
}

/** Once nothing runs, the next session in the queue may begin. */
export function releaseSlot(step: Step, before: SessionState): void {
  if (needsSlot(before.phase) && !needsSlot(step.state.phase))
    step.effect({ kind: 'release-slot', turn: step.state.turns });
}
