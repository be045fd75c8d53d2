/** Carries out the effects on the issue in Linear, and opens threads on it. */
import type { IssueNow } from '../../linear/api/client.ts';
import { withdrawalByState } from '../inbound/webhook-to-event.ts';
import type { IssueSeen } from '../lifecycle/model/effect-results.ts';
import { linearOf, type Perform } from './effect-context.ts';

/** Linear is asked first whether there is one: a repeat finds the thread that an earlier attempt opened. */
export const openThread: Perform<'open-thread'> = async ({ promptId, commentId, issueId }, surroundings) => {
  const { state } = surroundings;
  const on = commentId === null ? { issueId } : { commentId };
  const page = { label: 'Live session', url: `${state.origin}/sessions/${state.id}` };
  // Linear's own thread may have come while Linear took no request, or the request was withdrawn.
  const isWanted = state.expectedThread?.promptId === promptId;
  const known = Object.keys(state.agentSessions);
  const thread = await linearOf(surroundings).openThread(on, { known, page, isWanted });
  return thread && { kind: 'thread', agentSessionId: thread.id, isLinears: thread.isLinears };
};

/** Reads only. */
export const lookAtIssue: Perform<'look-at-issue'> = async ({ issueId }, surroundings) =>
  seen(await linearOf(surroundings).issueNow(issueId));

/** An issue that is started already is left as it is. */
export const startIssue: Perform<'start-issue'> = async ({ issueId, delegate }, surroundings) => {
  await linearOf(surroundings).startIssue(issueId, delegate);
  return null;
};

/** Its id was chosen before the first attempt. */
export const attachPullRequest: Perform<'attach-pull-request'> = async (effect, surroundings) => {
  await linearOf(surroundings).attachPullRequest(effect);
  return null;
};

/** The state of an issue, as it concerns work on it. */
function seen({ stateType, archived, trashed, team, ...known }: IssueNow): IssueSeen {
  const news = { ...known, team, teamId: team.id, at: Date.now() };
  const why = trashed ? 'removed' : archived ? 'archived' : withdrawalByState(stateType);
  return { kind: 'issue', news, why };
}
