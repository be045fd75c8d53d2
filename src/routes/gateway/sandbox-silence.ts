/**
 * Notices within 10 s that a sandbox server is gone while it should be at work. Whatever it posts counts as a sign of life,
 * heartbeats included. One watcher for each session runs beside the answers to its posts, and after a few silent seconds has
 * the issue session ask the sandbox. While the sandbox posts, that costs no call and stores nothing. A watcher that ends with its
 * isolate is not missed for long: the next post begins another, and the issue session has a deadline of its own.
 */
import { asError } from '../../lib/error.ts';
import { log } from '../../observability/log.ts';

/** After so long without a post, in ms, the issue session is asked to look. */
const SILENT_MS = 5_000;
/** The platform lets work beside an answer go on for 30 s (developers.cloudflare.com/workers/runtime-apis/context). */
const LONGEST_MS = 25_000;
/** A watcher older than this, in ms, is followed by another one: what is left of it would be too short for a silence. */
const RENEW_AFTER_MS = 14_000;

interface Watcher {
  startedAt: number;
  heardAt: number;
}

/** Of this isolate, by session. Posts of one sandbox mostly come to the same isolate; where they do not, the session knows better. */
const watchers = new Map<string, Watcher>();

/**
 * A sandbox has posted.
 * @param isAwaited whether it has something to do, so that silence would mean trouble
 * @param look has the session look after it; resolves to when to look again, in ms, or null if there is nothing to look after
 * @param later keeps work going beside the answer
 */
export function heardOf(
  session: string,
  isAwaited: boolean,
  look: () => Promise<number | null>,
  later: (work: Promise<void>) => void,
): void {
  if (!isAwaited) {
    watchers.delete(session);
    return;
  }
  const now = performance.now();
  const watcher = watchers.get(session);
  if (watcher && now - watcher.startedAt < RENEW_AFTER_MS) {
    watcher.heardAt = now;
    return;
  }
  const next = { startedAt: now, heardAt: now };
  watchers.set(session, next);
  later(watch(session, next, look));
}

/** Never rejects. */
async function watch(session: string, watcher: Watcher, look: () => Promise<number | null>): Promise<void> {
  const isCurrent = () => watchers.get(session) === watcher && performance.now() - watcher.startedAt < LONGEST_MS;
  try {
    while (isCurrent()) {
      const left = watcher.heardAt + SILENT_MS - performance.now();
      if (left > 0) {
        await new Promise((resolve) => setTimeout(resolve, left));
        continue;
      }
      const heardAt = watcher.heardAt;
      const wait = await look();
      if (wait === null) break;
      if (watcher.heardAt === heardAt) watcher.heardAt = performance.now() - SILENT_MS + wait;
    }
  } catch (error) {
    log('gateway.sandbox_check.failed', { session, error: asError(error) });
  } finally {
    if (watchers.get(session) === watcher) watchers.delete(session);
  }
}
