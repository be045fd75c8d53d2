/**
 * What a pause holds back: the start of a turn that nothing runs for yet. What runs is finished, and stops, answers and what is told
 * in Linear pass. Pure.
 */
import { onlyIn } from '../model/by-phase.ts';
import type { Effect } from '../model/effects.ts';
import { canBeHeldUp, type PhaseOf, threadsOf } from '../model/phases.ts';
import type { SessionState } from '../model/state.ts';
import type { Step } from '../model/transition.ts';

/** Begins as every reason of a wait does, so that reminders repeat it. */
const REASON = 'Waiting: an admin has paused Cyrus';

/** Whether a pause holds this effect back. What comes after it in its lane waits behind it. */
export function isHeldByPause(effect: Effect, state: SessionState): boolean {
  return effect.kind === 'start-sandbox' && canBeHeldUp(state.phase);
}

/** The turn is not begun, or is begun after all: page and threads say so. */
export const startHeld = onlyIn<[isHeld: boolean]>({ starting: holdStart });

function holdStart(step: Step, phase: PhaseOf<'starting'>, isHeld: boolean): void {
  if ((phase.isHeld ?? false) === isHeld) return;
  const { isHeld: _, ...rest } = phase;
  step.enter(isHeld ? { ...rest, reason: REASON, isHeld } : { ...rest, reason: 'Starting the sandbox' });
  const text = isHeld ? `${REASON}.` : 'The pause is over; starting the sandbox.';
  step.record({ kind: 'notice', level: 'info', text });
  step.announce(threadsOf(phase.turn), isHeld ? `${REASON}. This starts by itself when the pause ends.` : text);
  // What was silent meanwhile had nothing to say.
  step.set({ sandbox: { ...step.state.sandbox, heardAt: step.now } });
}
