/**
 * How many webhooks of a workspace are taken in: a burst, and fewer sustained. While there is plenty of room an isolate lets some in by
 * itself and tells the workspace's limiter with the next one that it asks for, so that most webhooks cost no call.
 */
import type { Config } from '../../config/config.ts';
import { asError } from '../../lib/error.ts';
import { settledWithin } from '../../lib/timeout.ts';
import { log } from '../../observability/log.ts';
import { limiterOf } from './rate-limiter.ts';

/** A limiter that does not answer holds nobody up for longer. */
const ANSWER_LIMIT_MS = 500;
/** What may be let in without asking counts for so long. */
const CREDIT_MS = 10_000;
/** Workspaces whose webhooks are signed are few; what is older goes. */
const MOST_KNOWN = 1_000;

/** What this isolate may still let in, and what it has let in since it asked. */
interface Credit {
  free: number;
  owed: number;
  until: number;
}

const known = new WeakMap<object, Map<string, Credit>>();

/**
 * Whether a signed webhook of this workspace is taken in. Never rejects: if the limiter is away it is.
 * @returns null: it is; otherwise after how many seconds it may come again
 */
export async function webhookWait(env: Env, config: Config, workspaceId: string): Promise<number | null> {
  const { burst, perMinute } = config.requestLimits.webhooks;
  if (burst === 0 || perMinute === 0) return null;
  const credits = known.get(env) ?? new Map<string, Credit>();
  known.set(env, credits);
  const credit = credits.get(workspaceId);
  const now = Date.now();
  if (credit && credit.free > 0 && now < credit.until && credit.until - now <= CREDIT_MS) {
    credit.free -= 1;
    credit.owed += 1;
    return null;
  }
  const owed = credit?.owed ?? 0;
  if (credit) credit.owed = 0;
  try {
    const asked = limiterOf(env, 'webhooks', workspaceId).draw({ burst, perMinute }, owed);
    const drawn = await settledWithin(ANSWER_LIMIT_MS, asked);
    if (drawn === 'late') throw new Error(`no answer within ${ANSWER_LIMIT_MS} ms`);
    if (credits.size >= MOST_KNOWN) credits.clear();
    // What others have let in meanwhile is still owed.
    const since = credits.get(workspaceId)?.owed ?? 0;
    credits.set(workspaceId, { free: drawn.free, owed: since, until: Date.now() + CREDIT_MS });
    return drawn.allowed ? null : Math.max(1, Math.ceil(drawn.waitMs / 1_000));
  } catch (error) {
    log('webhooks.limiter.unreachable', { workspace: workspaceId, error: asError(error) });
    return null;
  }
}
