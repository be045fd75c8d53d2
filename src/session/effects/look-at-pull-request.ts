/** Asks GitHub what became of the session's pull request, and what people wrote there. It changes nothing there, so it may be done twice. */
import { type GitHubApi, gitHubApi } from '../../github/access.ts';
import { appAuthor } from '../../github/app-author.ts';
import { type CommitChecks, readFailures } from '../../github/check-failures.ts';
import { GitHubError } from '../../github/errors.ts';
import { installationTokens } from '../../github/installation-tokens.ts';
import { pullRequestStatus } from '../../github/pull-request-status.ts';
import { pullRequestState } from '../../github/pull-requests.ts';
import { readRemarks } from '../../github/remarks.ts';
import { log } from '../../observability/log.ts';
import { findRepository, type Repository } from '../../store/workspaces/repositories.ts';
import type { EffectResults } from '../lifecycle/model/effect-results.ts';
import type { EffectOf } from '../lifecycle/model/effects.ts';
import { noReviews } from '../lifecycle/pull-request/following.ts';
import type { Surroundings } from './effect-context.ts';

type Looked = EffectResults['look-at-pull-request'];

/** @throws GitHubError, DatabaseError, DecryptionError */
export async function lookAtPullRequest(
  { number, reviews }: EffectOf<'look-at-pull-request'>,
  surroundings: Surroundings,
): Promise<Looked> {
  const { state, config, database, noteStatus } = surroundings;
  const found = state.repository === null ? null : await findRepository(database, state.workspaceId, state.repository);
  const api = found && (await gitHubApi(config, found, installationTokens, 'look'));
  const status = api && (await pullRequestStatus(api, number, Date.now()));
  if (!found || !api || !status) return null;
  noteStatus(status);
  const seen = { state: status.state, checks: status.checks, review: status.review };
  const isOpen = status.state === 'open' || status.state === 'draft';
  if (!isOpen) return { seen };
  const { reviews: onReviews, checks: mode } = found.settings.pullRequest;
  const known = state.following?.checks;
  // Also after one failed: it may pass on the same commit.
  const isAboutChecks = status.checks === 'failed' || (known !== undefined && known.failed.length > 0);
  const [read, checks] = await Promise.all([
    reviews && onReviews === 'answer' ? remarksOf(number, api, found, surroundings) : null,
    mode !== 'off' && isAboutChecks ? checksOf(number, api) : null,
  ]);
  return { seen, ...(read && { read }), ...(checks && mode !== 'off' && { checks: { ...checks, mode } }) };
}

/** @returns null if they may not be read */
async function checksOf(number: number, api: GitHubApi): Promise<CommitChecks | null> {
  try {
    const pull = await pullRequestState(api, number);
    return pull && (await readFailures(api, pull.head, pull.base));
  } catch (error) {
    if (!(error instanceof GitHubError) || (error.kind !== 'forbidden' && error.kind !== 'not-found')) throw error;
    log('github.checks.unreadable', { number, error });
    return null;
  }
}

async function remarksOf(
  number: number,
  api: GitHubApi,
  repository: Repository,
  { state, config }: Surroundings,
): Promise<NonNullable<NonNullable<Looked>['read']>> {
  const { people, bots } = repository.settings.pullRequest;
  const { since, seen, threads } = state.following?.reviews ?? noReviews(0);
  const isOfApp =
    repository.credential !== null && 'kind' in repository.credential && repository.credential.kind === 'github-app';
  const own = isOfApp ? await appAuthor(config, async () => api) : null;
  const { looked, remarks, isMore } = await readRemarks(api, number, {
    since,
    seen: seen.map(({ id }) => id),
    threads: threads.map(({ comment }) => comment),
    ownLogin: own?.name ?? null,
  });
  const byLogin = new Map(Object.entries(people).map(([login, person]) => [login.toLowerCase(), person]));
  const namedBots = new Set(bots.map((login) => login.toLowerCase()));
  return {
    looked,
    isMore,
    remarks: remarks.map((remark) => {
      const login = remark.author.toLowerCase();
      const person = { id: `github:${login}`, email: byLogin.get(login) ?? null, name: remark.author };
      return { ...remark, person, isNamedBot: namedBots.has(login) };
    }),
  };
}
