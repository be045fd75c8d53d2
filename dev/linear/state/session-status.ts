/**
 * The state of an agent session. It is never set; it follows from the last activity and the time since.
 * Source: linear.app/developers/agent-interaction.
 */
import type { AgentSession } from './model.ts';

export type SessionStatus = 'pending' | 'active' | 'stopping' | 'awaitingInput' | 'complete' | 'error' | 'stale';

/** Without a sign of life for this long after it was created, Linear shows the agent as unresponsive. */
const UNRESPONSIVE_AFTER_MS = 10_000;
/** Without an activity for this long, a session that should be moving is stale. */
const STALE_AFTER_MS = 30 * 60_000;

/**
 * @param now epoch milliseconds on the simulator's clock
 * @returns the status, and whether the agent let its first ten seconds pass
 */
export function sessionStatus(session: AgentSession, now: number): { status: SessionStatus; unresponsive: boolean } {
  const current = statusOfLastActivity(session);
  const last = session.activities.at(-1)?.createdAt ?? session.createdAt;
  const moving = current === 'pending' || current === 'active' || current === 'stopping';
  const unresponsive = session.acknowledgedAt === null && now - session.createdAt > UNRESPONSIVE_AFTER_MS;
  return { status: moving && now - last > STALE_AFTER_MS ? 'stale' : current, unresponsive };
}

function statusOfLastActivity(session: AgentSession): SessionStatus {
  const last = session.activities.at(-1);
  if (!last) return 'pending';
  switch (last.content.type) {
    case 'thought':
    case 'action':
      return 'active';
    case 'elicitation':
      return 'awaitingInput';
    case 'response':
      return 'complete';
    case 'error':
      return 'error';
    case 'prompt':
      // Linear does not document the state right after a prompt; this is the likely one.
      if (session.startedAt === null) return 'pending';
      return last.signal === 'stop' ? 'stopping' : 'active';
  }
}
