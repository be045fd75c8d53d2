/** Waiting for a git host that is away: for as long as that lasts, within a limit, and said plainly. */
import { type Backoff, backoff } from '../../src/lib/backoff.ts';
import { elapsedMs, pause, steadyNow } from '../clock.ts';
import { log } from '../log.ts';
import { PreparationError } from './preparation-error.ts';

const PAUSES: Backoff = { initialMs: 500, coefficient: 2, maximumMs: 15_000 };
/** People are told what is waited for after so many tries, or so many ms: a host that is back by then was not away. */
const TOLD_AFTER_TRIES = 4;
const TOLD_AFTER_MS = 5_000;

/** So often in a row may a transfer break off from a host that answers: then it breaks off each time. */
const MOST_CUT_OFF = 10;

/**
 * The git host, or what leads to it, does not answer now; it may later. `said`: why, in git's words. `isCutOff`: it answered, and
 * broke off while it sent what was asked for.
 */
export class HostAwayError extends PreparationError {
  readonly said: string;
  readonly isCutOff: boolean;
  constructor(fullName: string, tries: number, said: string, isCutOff = false) {
    super(
      'mirror',
      `The git host of ${fullName} could not be reached (${tries} ${tries === 1 ? 'try' : 'tries'}): ${said}`,
      'Check that the git host is up, then comment to try again.',
    );
    this.said = said;
    this.isCutOff = isCutOff;
  }
}

/** So long, in ms, it is waited in any case: what is asked arrives after the start. */
const IN_ANY_CASE_MS = 60_000;

/** How a start waits. */
export interface Waiting {
  /** Longest wait in ms. */
  patienceMs: number;
  /** Whether anybody still asks for the work; if nobody does, the next start tries again. */
  isWanted: () => boolean;
  /** What is waited for, for people; null: no longer. */
  tell: (reason: string | null, said?: string) => void;
}

/** Who waits: the working copy's plan. */
interface Waiter {
  fullName: string;
  signal: AbortSignal;
  /** Left out: it does not wait. */
  waiting?: Waiting;
}

/**
 * Tries again while the git host is away. Nothing is held meanwhile, so that others who need no host go on.
 * @param attempt throws HostAwayError where another try may succeed; whatever else it throws is final
 * @throws what the last attempt threw; once the limit has passed, a PreparationError that says so
 */
export async function untilHostAnswers<T>(plan: Waiter, attempt: () => Promise<T>): Promise<T> {
  const { fullName, signal, waiting } = plan;
  if (!waiting) return await attempt();
  const since = steadyNow();
  let isTold = false;
  let cutOff = 0;
  for (let tries = 1; ; tries++) {
    try {
      const result = await attempt();
      if (isTold) waiting.tell(null);
      return result;
    } catch (error) {
      if (!(error instanceof HostAwayError) || signal.aborted) throw error;
      const waited = elapsedMs(since);
      cutOff = error.isCutOff ? cutOff + 1 : 0;
      const isOver = waited >= waiting.patienceMs || (waited >= IN_ANY_CASE_MS && !waiting.isWanted());
      if (isOver || cutOff >= MOST_CUT_OFF) throw new HostAwayError(fullName, tries, error.said);
      if (!isTold && (tries >= TOLD_AFTER_TRIES || waited >= TOLD_AFTER_MS)) {
        isTold = true;
        waiting.tell(`Waiting for the git host of ${fullName}: it does not answer`, error.said);
        log('git.host.unreachable', { repository: fullName, said: error.said });
      }
      await pause(Math.min(backoff(PAUSES, tries, Math.random()), waiting.patienceMs - waited), signal);
    }
  }
}
