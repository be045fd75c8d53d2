/** Claude is done with a turn, or was stopped: its work is saved, and then it ends (end.ts). */
import { onlyIn } from '../model/by-phase.ts';
import type { Ending, ResultBody, StopKind, Turn } from '../model/phases.ts';
import { addUsage, noUsage } from '../model/state.ts';
import type { Step } from '../model/transition.ts';

/** Reason of a turn that failed because a secret was about to leave its sandbox. */
export const ALARM_REASON = 'secret_found';

/** How a turn ends that was called off. The place of the work is added by the narration. */
export function stopped(result: ResultBody | null, text: string, how: StopKind = 'stopped'): Ending {
  if (how === 'alarm') return { outcome: 'failed', reason: ALARM_REASON, text, result };
  return { outcome: 'stopped', reason: how, text, result };
}

/**
 * Has the sandbox save what was done; the page and the threads are told the end once it has.
 * @param endedAt number of the event that ended the turn
 * @param stopSent turn of a stop that was sent, where its end is not confirmed yet
 */
export function save(step: Step, turn: Turn, ending: Ending, endedAt: number | undefined, stopSent?: number): void {
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
 * Claude's process is gone while it is stopped: what it has done is still saved.
 * `isConfirmed`: the stop ended it; otherwise the next process may yet be given what was asked before the stop.
 */
export const saveStopped = onlyIn<[isConfirmed: boolean]>({
  stopping: (step, { turn, stop, words, how }, isConfirmed) => {
    const stopSent = isConfirmed ? undefined : (stop ?? turn.number);
    save(step, turn, stopped(null, words, how), step.state.sandbox.cursor, stopSent);
  },
});

/** The sandbox says that it has carried out a stop. `turn`: the one that it named; undefined if it named none. */
export const confirmStop = onlyIn<[turn: number | undefined]>({
  stopping: (step, phase, turn) => {
    if (turn !== undefined && turn >= (phase.stop ?? phase.turn.number)) saveStopped(step, true);
  },
  saving: (step, phase, turn) => {
    const { stopSent, ...rest } = phase;
    if (stopSent === undefined || (turn !== undefined && turn < stopSent)) return;
    step.enter({ ...rest, since: step.now, endedAt: step.state.sandbox.cursor });
  },
});
