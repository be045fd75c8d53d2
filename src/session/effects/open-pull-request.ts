/** Opens or updates the pull request of a session's branch, by the policy of its repository. */
import { gitHubApi, hearsOfNews } from '../../github/access.ts';
import { branchPage, gitHubHost } from '../../github/address.ts';
import { bodyByTemplate, type PullRequestFacts, renderBody, renderTitle } from '../../github/pull-request-text.ts';
import { proposePullRequest } from '../../github/pull-requests.ts';
import { DecryptionError } from '../../store/encryption.ts';
import { notePullRequest } from '../../store/pull-requests.ts';
import { findRepository, type Repository } from '../../store/workspaces/repositories.ts';
import type { EffectResults } from '../lifecycle/model/effect-results.ts';
import type { EffectOf } from '../lifecycle/model/effects.ts';
import { baseOf } from '../lifecycle/start/base-branch.ts';
import type { Surroundings } from './effect-context.ts';
import { SetupError } from './effect-context.ts';
import { typeOfWork } from './start/commit-conventions.ts';
import { workSummary } from './work-summary.ts';

/**
 * Opens the pull request, or finds and updates it.
 * @returns the pull request; the branch's page where the host or the policy has none; null if there is nothing to propose
 * @throws GitHubError, SetupError, DatabaseError
 */
export async function openPullRequest(
  effect: EffectOf<'open-pull-request'>,
  surroundings: Surroundings,
): Promise<EffectResults['open-pull-request']> {
  const { state, config, database } = surroundings;
  const repository = await repositoryOf(surroundings);
  if (!repository) return null;
  const { mode, titleTemplate, bodyTemplate, closesIssue } = repository.settings.pullRequest;
  const api = mode === 'off' ? null : await gitHubApi(config, repository);
  if (!api) return { kind: 'branch', url: branchPage(repository.cloneUrl, state.branch, config.github.apiUrl) };
  const known = state.proposal?.pullRequest ?? null;
  const facts: PullRequestFacts = {
    issue: state.issue,
    subject: effect.subject,
    summary: workSummary(effect, known && !known.isOver ? known.number : null, surroundings.journal),
    sessionUrl: `${state.origin}/sessions/${state.id}`,
    branch: state.branch,
    closesIssue,
    type: typeOfWork(state.arrangement?.assignment.role ?? 'builder'),
  };
  const body = renderBody(bodyTemplate, facts);
  const proposed = await proposePullRequest(api, {
    head: state.branch,
    base: baseOf(state, repository).baseBranch,
    title: renderTitle(titleTemplate, facts),
    body,
    ...(effect.template !== undefined && { newBody: bodyByTemplate(effect.template, body, facts) }),
    draft: mode === 'draft',
    known: known?.number ?? null,
  });
  if (!proposed) return null;
  const { repositoryId, ...pullRequest } = proposed;
  // Before anybody is told of it: what happens there from now on finds its session.
  if (repositoryId !== null) {
    const { id: sessionId, workspaceId, branch } = state;
    const { number } = pullRequest;
    const host = gitHubHost(config.github.apiUrl);
    await notePullRequest(database, { host, repositoryId, number, sessionId, workspaceId, branch }, Date.now());
  }
  return { kind: 'pull-request', ...pullRequest, hears: hearsOfNews(config, repository) };
}

async function repositoryOf({ state, database }: Surroundings): Promise<Repository | null> {
  if (state.repository === null) return null;
  try {
    return await findRepository(database, state.workspaceId, state.repository);
  } catch (error) {
    if (!(error instanceof DecryptionError)) throw error;
    throw new SetupError(error.message, 'Ask an admin to store the credential of the repository again.');
  }
}
