/**
 * A slot among the sessions of the workspace that are at work. A turn asks for one when its sandbox is to be started; if all are
 * taken it waits in the queue, and tells its position.
 */
import { onlyIn } from '../model/by-phase.ts';
import { needsSlot, type PhaseOf, threadsOf } from '../model/phases.ts';
import type { SessionState } from '../model/state.ts';
import type { Step } from '../model/transition.ts';
import { stageOf, unread } from '../requests.ts';
import { handOverWaiting } from '../turn/hand-over.ts';
import { startSandbox } from '../turn/sandbox-life.ts';

/** "Next in the queue", "3rd in the queue". @param place 1 is next */
export function queuePositionWords(place: number): string {
  return place <= 1 ? 'Next in the queue' : `${ordinal(place)} in the queue`;
}

function ordinal(number: number): string {
  const tens = number % 100;
  const ending = tens >= 11 && tens <= 13 ? undefined : ['th', 'st', 'nd', 'rd'][number % 10];
  return `${number}${ending ?? 'th'}`;
}

/** The sandbox is not started yet: too many others are at work. */
export const joinQueue = onlyIn<[place: number]>({ starting: waitForSlot });

function waitForSlot(step: Step, phase: PhaseOf<'starting'>, place: number): void {
  if (place < 1) return;
  // Prompts are handed over again once it is started, under the ids they have: one may be on its way.
  step.cancelSandboxWork();
  const prompts = phase.turn.prompts.map((one) => (stageOf(one) === 'read' ? one : unread(one, one.returned === true)));
  step.enter({ name: 'queued', since: step.now, turn: { ...phase.turn, prompts }, place, askAt: step.now });
  step.record({
    kind: 'notice',
    level: 'info',
    text: `${queuePositionWords(place)}: other sessions of the workspace are ahead.`,
  });
  step.announce(
    threadsOf(phase.turn),
    `${queuePositionWords(place)}: the workspace's limit of concurrent sessions is reached. This one starts by itself.`,
  );
}

/** The queue has moved. `place`: the position; 0: the session has a slot. */
export const queueMoved = onlyIn<[place: number]>({
  queued: (step, phase, place) => {
    if (place < 1) startInSlot(step, phase);
    else if (place !== phase.place) {
      step.enter({ ...phase, place });
      step.reassure(threadsOf(phase.turn), `${queuePositionWords(place)}.`);
    }
  },
});

function startInSlot(step: Step, { turn }: PhaseOf<'queued'>): void {
  step.enter({ name: 'starting', since: step.now, reason: 'Starting the sandbox', turn });
  step.record({ kind: 'notice', level: 'info', text: 'A slot is free; starting the sandbox.' });
  startSandbox(step);
  handOverWaiting(step);
}

/** Asks for the queue position: the answer before may have been lost. */
export function askForSlot(step: Step, phase: PhaseOf<'queued'>): void {
  step.enter({ ...phase, askAt: step.now });
  step.effect({ kind: 'ask-place', turn: phase.turn.number });
}

/** Once nothing runs, the next session in the queue may begin. */
export function releaseSlot(step: Step, before: SessionState): void {
  if (needsSlot(before.phase) && !needsSlot(step.state.phase))
    step.effect({ kind: 'give-place', turn: step.state.turns });
}
