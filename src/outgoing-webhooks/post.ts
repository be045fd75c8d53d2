/** Posts a message to a webhook's address, and notes what came of it. */
import type { Config } from '../config/config.ts';
import { isTimeout, withTimeout } from '../lib/timeout.ts';
import { log } from '../observability/log.ts';
import { problemOfWebhookUrl } from '../protocol/v1/webhooks.ts';
import { audit } from '../store/audit.ts';
import type { Database } from '../store/database.ts';
import {
  disableWebhook,
  findTarget,
  noteDelivered,
  noteFailed,
  type WebhookKey,
  type WebhookTarget,
} from '../store/workspaces/outgoing-webhooks.ts';
import { signedHeaders } from './sign.ts';

const LIMIT_MS = 15_000;
/** A webhook to which nothing could be sent for so long is disabled. */
const DISABLE_AFTER_MS = 3 * 24 * 3_600_000;
const GONE = 410;
/** A service is waited for no longer than this, whatever it asks for. */
const MOST_WAIT_MS = 24 * 3_600_000;

/** A service did not take a message; another attempt may succeed. */
export class WebhookError extends Error {
  override readonly name = 'WebhookError';
  /** When the service wants to be asked again, in ms since the epoch; null: it does not say. */
  readonly retryAt: number | null;
  constructor(message: string, retryAt: number | null) {
    super(message);
    this.retryAt = retryAt;
  }
}

/** A message on its way. `id`: the same for each attempt, so that a receiver can tell a repeat. */
export interface Outgoing {
  id: string;
  body: string;
}

/** What came of an attempt. `status`: of the answer; null: there was none. `problem`: null if it was taken. */
export interface Posted {
  status: number | null;
  problem: string | null;
  /** When the service wants to be asked again, in ms since the epoch; null: it does not say. */
  retryAt: number | null;
}

/**
 * Posts a message, unless the webhook is gone or disabled; then nobody waits for it. One that has failed for three days, or whose
 * service says that it is gone for good (410), is disabled, and people are told.
 * @throws WebhookError, NotMigratedError, DatabaseError, DecryptionError
 */
export async function deliver(db: Database, config: Config, key: WebhookKey, message: Outgoing): Promise<void> {
  const target = await findTarget(db, key, { now: Date.now(), isTest: false });
  if (target === null) return;
  const { status, problem, retryAt } = await post(config, target, message);
  const now = Date.now();
  if (problem === null) {
    await noteDelivered(db, key, now);
    return;
  }
  const since = await noteFailed(db, key, problem, now);
  log('webhook.delivery.failed', { workspace: key.workspaceId, webhook: key.id, why: problem });
  if (status === GONE || (since !== null && now - since >= DISABLE_AFTER_MS)) {
    await disable(db, target, status === GONE ? problem : `It failed for three days: ${problem}`, now);
    return;
  }
  throw new WebhookError(`The webhook to ${new URL(target.url).hostname} failed: ${problem}`, retryAt);
}

/** Posts a message once, and changes nothing. Never rejects. */
export async function post(config: Config, { url, secrets }: WebhookTarget, message: Outgoing): Promise<Posted> {
  const own = config.publicUrl === null ? null : new URL(config.publicUrl).host;
  // Again, for the rules may be stricter than those under which it was stored.
  const refused = problemOfWebhookUrl(url, own, config.environment === 'local');
  if (refused !== null) return { status: null, problem: `The address ${refused}`, retryAt: null };
  try {
    const headers = await signedHeaders(secrets, { ...message, at: Date.now() });
    const answer = await withTimeout(LIMIT_MS, async (signal) => {
      const response = await fetch(url, {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/json', 'user-agent': 'Cyrus-Webhooks/1' },
        body: message.body,
        // Where it points to was not checked.
        redirect: 'manual',
        signal,
      });
      await response.body?.cancel();
      return response;
    });
    return outcomeOf(answer, Date.now());
  } catch (error) {
    const problem = isTimeout(error) ? `It did not answer within ${LIMIT_MS / 1_000} seconds` : 'It cannot be reached';
    return { status: null, problem, retryAt: null };
  }
}

function outcomeOf({ ok, status, headers }: Response, now: number): Posted {
  if (ok) return { status, problem: null, retryAt: null };
  const redirected = status >= 300 && status < 400 ? ', and redirects are not followed' : '';
  return { status, problem: `It answered ${status}${redirected}`, retryAt: retryTime(headers.get('retry-after'), now) };
}

/** What `Retry-After` says, whole seconds or a date (RFC 9110, 10.2.3), in ms since the epoch; null: nothing that can be used. */
function retryTime(header: string | null, now: number): number | null {
  if (header === null) return null;
  const wait = /^\d{1,12}$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - now;
  return wait > 0 ? now + Math.min(wait, MOST_WAIT_MS) : null;
}

async function disable(db: Database, { workspaceId, id, url }: WebhookTarget, why: string, now: number): Promise<void> {
  if (!(await disableWebhook(db, { workspaceId, id }, why, now))) return;
  const { hostname } = new URL(url);
  log('alert.webhook.disabled', { workspace: workspaceId, webhook: id, host: hostname, why });
  const details = { webhook: id, host: hostname, why };
  await audit(db, { at: now, actor: 'cyrus', action: 'webhook.disabled', workspaceId, details });
}
