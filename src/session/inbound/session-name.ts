/** The name of a session's object, from which a webhook finds it. */
import type { SessionState } from '../lifecycle/model/state.ts';
import { issueSessionName } from './webhook-to-event.ts';

/** Names that a session may have by its state: that of its issue, else of one of its threads. */
export function nameOfSession({ workspaceId, issue, agentSessions }: SessionState): string[] {
  if (issue) return [issueSessionName(workspaceId, issue.id)];
  return Object.keys(agentSessions).map((id) => `${workspaceId}:agent-session:${id}`);
}
