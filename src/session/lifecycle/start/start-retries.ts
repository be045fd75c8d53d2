/** A sandbox that does not start at once, or cannot be reached: people are told what is waited for. Pure. */
import { onlyIn } from '../model/by-phase.ts';
import { threadsOf } from '../model/phases.ts';

/** From this try on it is no hiccup any more. */
const WORTH_TELLING = 2;

/** An attempt to reach the sandbox failed. `isStart`: to start it, and not to give it a prompt. */
interface Delay {
  attempts: number;
  reason: string;
  isStart: boolean;
}

/** The sandbox is tried again: the page shows why at once, Linear and the journal where it goes on. */
export const delayed = onlyIn<[delay: Delay]>({
  starting: (step, phase, { attempts, reason, isStart }) => {
    const isNew = phase.reason !== reason;
    if (isNew) step.enter({ ...phase, reason, isDelayed: isStart });
    if (attempts !== WORTH_TELLING && !(isNew && attempts > WORTH_TELLING)) return;
    step.think(threadsOf(phase.turn), `${reason}. Cyrus keeps trying.`, true);
  },
  working: (step, _phase, { attempts, reason }) => {
    if (attempts === WORTH_TELLING) step.record({ kind: 'notice', level: 'warning', text: `${reason}.` });
  },
});

/** The sandbox is ready and waits for something outside of it, e.g. the git host, in order to go on: page and threads say for what. */
export const tellWait = onlyIn<[reason: string]>({
  starting: (step, phase, reason) => {
    if (phase.reason === reason) return;
    step.enter({ ...phase, reason });
    step.think(threadsOf(phase.turn), `${reason}. Cyrus keeps trying.`, true);
  },
});
