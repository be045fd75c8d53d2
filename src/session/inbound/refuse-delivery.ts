/** A session that can take nothing in for now: the thread in which somebody asks is told. */
import { asError } from '../../lib/error.ts';
import { LinearClient } from '../../linear/api/client.ts';
import { sendThrough } from '../../linear/api/send.ts';
import type { LogEvent, LogFields } from '../../observability/log.ts';
import type { SessionEvent } from '../lifecycle/model/events.ts';
import type { Delivery } from './delivery.ts';

/**
 * Not by the outbox, which a newer version may have changed. Never rejects.
 * @param workspaceId of the session, if the delivery does not name one
 * @param words what is wrong and what to do
 */
export async function tellRefusal(
  env: Env,
  { event, about }: Delivery,
  workspaceId: string,
  words: string,
  log: (event: LogEvent, fields: LogFields) => void,
): Promise<void> {
  const agentSessionId = askedIn(event);
  if (agentSessionId === null) return;
  try {
    const client = new LinearClient(sendThrough(env, about?.workspaceId ?? workspaceId));
    const activity = { content: { type: 'error', body: words }, ephemeral: false } as const;
    await client.post(agentSessionId, { activities: [{ id: crypto.randomUUID(), activity }] });
  } catch (error) {
    log('session.read_only_notify.failed', { error: asError(error) });
  }
}

/** The thread in which somebody asked for something; null if nobody is told. */
function askedIn(event: SessionEvent): string | null {
  return event.type === 'prompted' || event.type === 'stop-requested' ? event.agentSessionId : null;
}
