/** From a line of the log to the object that tells people. */
import { readConfig } from '../../config/read-config.ts';
import { operationsOf } from '../operations.ts';
import { channelsOf } from './channels.ts';
import { alertOf } from './from-log.ts';

/**
 * Tells people of a line of the log that concerns them at once. Never throws, and logs nothing: it is called for every line.
 * @param waitUntil keeps the invocation alive until it is told
 */
export function tellOfLog(
  env: Env,
  waitUntil: (promise: Promise<unknown>) => void,
  event: string,
  record: Readonly<Record<string, unknown>>,
): void {
  const alert = alertOf(event, record);
  if (alert === null) return;
  try {
    if (channelsOf(readConfig(env).alerts).length === 0) return;
    // What gets lost here is in the log, and most of it is found by the next look at the deployment.
    waitUntil(
      operationsOf(env)
        .raise(alert)
        .catch(() => undefined),
    );
  } catch {
    // The configuration cannot be read, or there is no invocation to belong to: the line is in the log.
  }
}
