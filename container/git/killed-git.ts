/** A git that was killed from outside, e.g. by a kernel that wants memory: what it was to do may succeed next time. */
import { type Backoff, fullBackoff } from '../../src/lib/backoff.ts';
import { pause } from '../clock.ts';
import { log } from '../log.ts';
import { GitError, NO_ROOM, SESSION_ENDED } from './git.ts';

/** Exit codes by which a shell tells that SIGKILL or SIGTERM ended its program. */
const KILLED_CODES = [137, 143];

/**
 * Whether git, or a program that it ran, was killed from outside (e.g. for want of memory) or found no room: the same command may
 * succeed next time. Not where the server itself ended it.
 */
export function diedFromOutside({ code, timedOut, tooLarge, stderr }: GitError): boolean {
  if (timedOut || tooLarge || stderr === SESSION_ENDED) return false;
  const isKilled = code === null || KILLED_CODES.includes(code) || /died of signal (?:9|15)\b/.test(stderr);
  return isKilled || NO_ROOM.test(stderr);
}

const MOST_TRIES = 3;
const RETRIES: Backoff = { initialMs: 500, coefficient: 4, maximumMs: 2_000 };

/**
 * Does again what failed because a git was killed from outside (`diedFromOutside`), after a pause and at most twice.
 * @param act may be begun again wherever it ended
 * @param onRetry called before each other try
 * @throws what the last try threw
 */
export async function againIfKilled<T>(
  signal: AbortSignal,
  act: () => Promise<T>,
  onRetry: (error: unknown) => Promise<void> = async () => {},
): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await act();
    } catch (error) {
      if (signal.aborted || tries === MOST_TRIES || killedGitIn(error) === null) throw error;
      log('git.command.repeated', { tries, error });
      await pause(fullBackoff(RETRIES, tries), signal);
      await onRetry(error);
    }
  }
}

/** The git that was killed from outside (`diedFromOutside`), where an error came of that; null: it did not. */
export function killedGitIn(error: unknown): GitError | null {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof GitError) return diedFromOutside(cause) ? cause : null;
  }
  return null;
}
