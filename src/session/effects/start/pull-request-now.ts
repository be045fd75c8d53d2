/** The state of a session's pull request when a turn begins: people close and merge it while nothing runs. */
import { gitHubApi } from '../../../github/access.ts';
import { type PullRequestState, pullRequestState } from '../../../github/pull-requests.ts';
import { asError } from '../../../lib/error.ts';
import { settledWithin } from '../../../lib/timeout.ts';
import { log } from '../../../observability/log.ts';
import { findRepository } from '../../../store/workspaces/repositories.ts';
import type { Surroundings } from '../effect-context.ts';

/** A turn does not wait longer for GitHub. */
const PATIENCE_MS = 5_000;

/** @returns null if there is none, one that was told to be over, or GitHub does not say in time. Never rejects */
export async function pullRequestNow({ state, config, database }: Surroundings): Promise<PullRequestState | null> {
  const known = state.proposal?.pullRequest;
  if (!known || known.isOver || state.repository === null) return null;
  const fullName = state.repository;
  const ask = async () => {
    const repository = await findRepository(database, state.workspaceId, fullName);
    const api = repository && (await gitHubApi(config, repository));
    return api ? await pullRequestState(api, known.number) : null;
  };
  try {
    const state = await settledWithin(PATIENCE_MS, ask());
    return state === 'late' ? null : state;
  } catch (error) {
    log('github.pull_request.unknown', { session: state.id, number: known.number, error: asError(error) });
    return null;
  }
}
