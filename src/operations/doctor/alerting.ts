/** Whether anybody would be told if something went wrong. */
import type { Config } from '../../config/config.ts';
import { bad, type Finding, good, skipped, warn } from '../../protocol/doctor.ts';
import { channelsOf } from '../alerts/channels.ts';
import { operationsOf, silenceWords } from '../operations.ts';

/** The deployment is looked at every five minutes; that is noted once an hour, if webhooks come. */
const SILENT_MS = 2 * 3_600_000;
const STUCK_TRIES = 3;

export async function alertFindings(env: Env, { alerts }: Config): Promise<Finding[]> {
  const { watchedAt, unwatchedSince, waiting, open } = await operationsOf(env).alerts();
  const channels = channelsOf(alerts);
  const stuck = waiting.find(({ tries }) => tries >= STUCK_TRIES);
  return [
    watchFinding(watchedAt, unwatchedSince, Date.now()),
    channels.length === 0
      ? warn('alerts', 'Nobody is told when something goes wrong', 'Choose a channel: docs/operating.md, "Alerts".')
      : stuck
        ? bad(
            'alerts',
            `${stuck.channel} takes no alerts: ${stuck.problem ?? 'it does not answer'}`,
            'Store its address or key again.',
          )
        : good('alerts', `People are told by ${channels.join(', ')}`),
    ...open.map(({ words, remedy }) => warn('open alert', words, remedy ?? 'npm run alerts -- list')),
  ];
}

function watchFinding(watchedAt: number | null, unwatchedSince: number | null, now: number): Finding {
  if (watchedAt === null)
    return skipped('watch', 'Nothing has looked at this deployment yet; that is done every five minutes');
  if (unwatchedSince === null || now - unwatchedSince < SILENT_MS)
    return good('watch', 'The deployment is looked at every five minutes');
  return bad(
    'watch',
    silenceWords(unwatchedSince),
    'Look at the cron trigger of the Worker in the Cloudflare dashboard; npm run deploy sets it again.',
  );
}
