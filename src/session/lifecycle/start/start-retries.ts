/** A sandbox that does not start at once, or cannot be reached: people are told what is waited for. Pure. */
import { threadsOf } from '../model/phases.ts';
import type { Step } from '../model/transition.ts';

/** From this try on it is no hiccup any more. */
const WORTH_TELLING = 2;

/**
 * The sandbox is tried again: the page shows why at once, Linear and the journal where it goes on.
 * @param isStart it is its start that failed, and not a prompt
 */
export function delayed(
  step: Step,
  { attempts, reason, isStart }: { attempts: number; reason: string; isStart: boolean },
): void {
  const { phase } = step.state;
  if (phase.name === 'starting') {
    const isNew = phase.reason !== reason;
    if (isNew) {
      step.enter({ ...phase, reason, isDelayed: isStart });
    }
    if (attempts !== WORTH_TELLING && !(isNew && attempts > WORTH_TELLING)) return;
    step.think(threadsOf(phase.turn), `${reason}. Cyrus keeps trying.`, true);
  } else if (phase.name === 'working' && attempts === WORTH_TELLING) {
    step.record({ kind: 'notice', level: 'warning', text: `${reason}.` });
  }
}

/** The sandbox is ready and waits for something outside of it, e.g. the git host, in order to go on: page and threads say for what. */
export function tellWait(step: Step, reason: string): void {
  const { phase } = step.state;
  if (phase.name !== 'starting' || phase.reason === reason) return;
  step.enter({ ...phase, reason });
  step.think(threadsOf(phase.turn), `${reason}. Cyrus keeps trying.`, true);
}
