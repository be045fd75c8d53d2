/** Asks GitHub what became of the session's pull request. It changes nothing there, so it may be done twice. */
import { pullRequestStatus } from '../../github/pull-request-status.ts';
import { apiToLook } from '../viewers/pull-request-look.ts';
import type { Perform } from './effect-context.ts';

/** @throws GitHubError, DatabaseError, DecryptionError */
export const lookAtPullRequest: Perform<'look-at-pull-request'> = async ({ number }, surroundings) => {
  const { state, config, database, noteStatus } = surroundings;
  const api = await apiToLook(config, database, state.workspaceId, state.repository);
  const status = api && (await pullRequestStatus(api, number, Date.now()));
  if (!status) return null;
  noteStatus(status);
  const { state: now, checks, review } = status;
  return { state: now, checks, review };
};
