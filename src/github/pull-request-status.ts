/** What became of a pull request: its state, the checks on its newest commit, the reviews. */
import * as z from 'zod';
import type { PullCheck, PullRequestStatus } from '../protocol/pull-request.ts';
import type { GitHubApi } from './access.ts';
import { GitHubError } from './errors.ts';
import { pathOf } from './pull-requests.ts';

/** Checks of a kind that are asked for; what is beyond them is counted. */
const MOST_CHECKS = 100;
/** Reviews come oldest first, so many at once; of more pages the rest is left out. */
const REVIEWS_AT_ONCE = 100;
const MOST_REVIEW_PAGES = 5;

const login = z.object({ login: z.string() });
/** docs.github.com/en/rest/pulls/pulls#get-a-pull-request */
const pullSchema = z.object({
  html_url: z.url({ protocol: /^https?$/ }),
  title: z.string(),
  state: z.enum(['open', 'closed']),
  draft: z.boolean().default(false),
  merged: z.boolean().nullish(),
  merged_at: z.string().nullish(),
  head: z.object({ sha: z.string() }),
  requested_reviewers: z.array(login).nullish(),
  requested_teams: z.array(z.object({ name: z.string() })).nullish(),
});
/** docs.github.com/en/rest/checks/runs#list-check-runs-for-a-git-reference */
const runsSchema = z.object({
  total_count: z.number().int().nonnegative(),
  check_runs: z.array(
    z.object({
      name: z.string(),
      status: z.string(),
      conclusion: z.string().nullable(),
      html_url: z.string().nullish(),
    }),
  ),
});
/** docs.github.com/en/rest/commits/statuses#get-the-combined-status-for-a-specific-reference */
const statusesSchema = z.object({
  total_count: z.number().int().nonnegative(),
  statuses: z.array(z.object({ context: z.string(), state: z.string(), target_url: z.string().nullish() })),
});
/** docs.github.com/en/rest/pulls/reviews#list-reviews-for-a-pull-request */
const reviewsSchema = z.array(z.object({ user: login.nullish(), state: z.string() }));

/**
 * Asks GitHub for all of it.
 * @param now ms since the epoch
 * @returns null if there is no pull request of this number; what may not be read is said in the status
 * @throws GitHubError if not even the pull request can be read
 */
export async function pullRequestStatus(
  api: GitHubApi,
  number: number,
  now: number,
): Promise<PullRequestStatus | null> {
  const pull = await findPull(api, number);
  if (pull === null) return null;
  const [checks, reviews] = await Promise.all([checksOf(api, pull.head.sha), reviewsOf(api, number)]);
  const waitsFor = [
    ...(pull.requested_reviewers ?? []).map((person) => person.login),
    ...(pull.requested_teams ?? []).map((team) => team.name),
  ];
  return {
    number,
    url: pull.html_url,
    title: pull.title,
    state: stateOf(pull),
    ...checks,
    ...reviews,
    waitsFor,
    at: now,
  };
}

async function findPull(api: GitHubApi, number: number): Promise<z.infer<typeof pullSchema> | null> {
  try {
    return await api.ask({
      method: 'GET',
      path: `${pathOf(api)}/pulls/${number}`,
      what: `look at pull request #${number}`,
      answer: pullSchema,
    });
  } catch (error) {
    if (error instanceof GitHubError && error.kind === 'not-found') return null;
    throw error;
  }
}

function stateOf({
  state,
  draft,
  merged,
  merged_at: mergedAt,
}: z.infer<typeof pullSchema>): PullRequestStatus['state'] {
  if (merged ?? Boolean(mergedAt)) return 'merged';
  if (state === 'closed') return 'closed';
  return draft ? 'draft' : 'open';
}

type Checks = Pick<PullRequestStatus, 'checks' | 'checkList' | 'moreChecks' | 'checksProblem'>;

/** Apps report check runs, older services statuses of the commit: people know both as checks. */
async function checksOf(api: GitHubApi, commit: string): Promise<Checks> {
  const path = `${pathOf(api)}/commits/${encodeURIComponent(commit)}`;
  const [runs, statuses] = await Promise.all([
    part(
      api.ask({
        method: 'GET',
        path: `${path}/check-runs?per_page=${MOST_CHECKS}`,
        what: 'read the checks of the pull request',
        answer: runsSchema,
      }),
    ),
    part(
      api.ask({
        method: 'GET',
        path: `${path}/status?per_page=${MOST_CHECKS}`,
        what: 'read the statuses of the commit',
        answer: statusesSchema,
      }),
    ),
  ]);
  const checkList: PullCheck[] = [
    ...(runs.value?.check_runs ?? []).map((run) => ({
      name: run.name,
      state: run.status === 'completed' ? conclusionOf(run.conclusion) : ('running' as const),
      url: run.html_url ?? null,
    })),
    ...(statuses.value?.statuses ?? []).map(({ context, state, target_url: url }) => ({
      name: context,
      state:
        state === 'pending' ? ('running' as const) : state === 'success' ? ('passed' as const) : ('failed' as const),
      url: url ?? null,
    })),
  ].toSorted((one, other) => RANK[one.state] - RANK[other.state]);
  const all = (runs.value?.total_count ?? 0) + (statuses.value?.total_count ?? 0);
  const problem = runs.problem ?? statuses.problem;
  return {
    checkList,
    moreChecks: Math.max(0, all - checkList.length),
    checks: verdictOf(checkList, problem !== null),
    ...(problem !== null && { checksProblem: problem }),
  };
}

const RANK: Record<PullCheck['state'], number> = { failed: 0, running: 1, passed: 2, skipped: 3 };

/** What blocks nothing on GitHub blocks nothing here. */
function conclusionOf(conclusion: string | null): PullCheck['state'] {
  if (conclusion === 'success' || conclusion === 'neutral') return 'passed';
  return conclusion === 'skipped' ? 'skipped' : 'failed';
}

function verdictOf(list: readonly PullCheck[], isPartial: boolean): PullRequestStatus['checks'] {
  if (list.some(({ state }) => state === 'failed')) return 'failed';
  if (list.some(({ state }) => state === 'running')) return 'running';
  if (isPartial) return 'unknown';
  return list.length === 0 ? 'none' : 'passed';
}

type Reviews = Pick<PullRequestStatus, 'review' | 'approvedBy' | 'changesBy' | 'reviewsProblem'>;

/** Of each person the last word counts; a comment alone takes no word back. */
async function reviewsOf(api: GitHubApi, number: number): Promise<Reviews> {
  const { value: reviews, problem } = await part(readReviews(api, number));
  const words = new Map<string, string>();
  for (const { user, state } of reviews ?? []) {
    if (user && ['APPROVED', 'CHANGES_REQUESTED', 'DISMISSED'].includes(state)) words.set(user.login, state);
  }
  const by = (word: string) => [...words].filter(([, said]) => said === word).map(([name]) => name);
  const [approvedBy, changesBy] = [by('APPROVED'), by('CHANGES_REQUESTED')];
  const verdict = changesBy.length > 0 ? 'changes' : approvedBy.length > 0 ? 'approved' : 'none';
  return problem === null
    ? { approvedBy, changesBy, review: verdict }
    : { approvedBy, changesBy, review: 'unknown', reviewsProblem: problem };
}

async function readReviews(api: GitHubApi, number: number): Promise<z.infer<typeof reviewsSchema>> {
  const all: z.infer<typeof reviewsSchema> = [];
  for (let page = 1; page <= MOST_REVIEW_PAGES; page += 1) {
    const read = await api.ask({
      method: 'GET',
      path: `${pathOf(api)}/pulls/${number}/reviews?per_page=${REVIEWS_AT_ONCE}&page=${page}`,
      what: `read the reviews of pull request #${number}`,
      answer: reviewsSchema,
    });
    all.push(...read);
    if (read.length < REVIEWS_AT_ONCE) break;
  }
  return all;
}

/** A part that the rest can do without: what it is, or why it cannot be read. @throws what is no GitHubError */
async function part<T>(asked: Promise<T>): Promise<{ value: T; problem: null } | { value: null; problem: string }> {
  try {
    return { value: await asked, problem: null };
  } catch (error) {
    if (!(error instanceof GitHubError)) throw error;
    const isMissing = error.kind === 'forbidden' || error.kind === 'not-found';
    return { value: null, problem: isMissing ? `${error.message}. ${MAY_NOT_READ}` : `${error.message}.` };
  }
}

const MAY_NOT_READ =
  'Ask an admin to give the GitHub App, or the token, read access to checks, to commit statuses and to pull requests.';
