/** Pull requests: opened once for a branch, found again by number, or by branch and base, and kept up to date. */
import * as z from 'zod';
import { log } from '../observability/log.ts';
import type { GitHubApi } from './access.ts';
import { GitHubError } from './errors.ts';
import { updatedBody } from './pull-request-text.ts';

/** What is asked for. */
export interface Proposal {
  /** Branch with the work, in the repository itself. */
  head: string;
  base: string;
  title: string;
  /** The generated part of the body, with its markers. */
  body: string;
  /** The whole body of a new one, the generated part in it; left out: that is all. */
  newBody?: string;
  draft: boolean;
  /** Number of the one that was opened before, whatever people made its base since; null or left out: none was. */
  known?: number | null;
}

/** What came of it. */
export interface ProposedPullRequest {
  state: 'opened' | 'updated';
  number: number;
  /** Its page. */
  url: string;
  draft: boolean;
  /** GitHub's id of the repository; null where it does not say. */
  repositoryId: number | null;
}

const pullSchema = z.object({
  number: z.number().int().positive(),
  html_url: z.url({ protocol: /^https?$/ }),
  draft: z.boolean().default(false),
  body: z.string().nullable(),
  state: z.enum(['open', 'closed']),
  base: z.object({ ref: z.string(), repo: z.object({ id: z.number().int() }).nullish() }),
});
type Pull = z.infer<typeof pullSchema>;

/**
 * Opens a pull request for a branch, or updates the one that is open. A repeat finds what an earlier try opened. What was
 * closed or merged is left alone, and a new one opened. Of an open one, only the generated part of the body is changed:
 * title, draft or not, and base may have been changed by people.
 * @returns null if the branch has no commits that the base does not have
 * @throws GitHubError
 */
export async function proposePullRequest(api: GitHubApi, proposal: Proposal): Promise<ProposedPullRequest | null> {
  const open = await findOpen(api, proposal);
  if (open) return update(api, open, proposal.body);
  try {
    return opened(await create(api, proposal));
  } catch (error) {
    if (!(error instanceof GitHubError) || error.kind !== 'refused') throw error;
    if (says(error, /no commits between/i)) return null;
    if (says(error, /pull request already exists/i)) {
      // Opened by an earlier try whose answer was lost, or by a person at the same moment.
      const found = await findOpen(api, proposal);
      if (found) return update(api, found, proposal.body);
    }
    // Private repositories of free accounts have no drafts.
    if (proposal.draft && says(error, /draft pull requests are not supported/i)) {
      return opened(await create(api, { ...proposal, draft: false }));
    }
    throw explained(error, proposal);
  }
}

/** The state of a pull request. */
export interface PullRequestState {
  number: number;
  state: 'open' | 'closed' | 'merged';
  /** Commit that it proposes, or proposed last. */
  head: string;
  /** The branch that it is, or was, to be merged into. */
  base: string;
}

/** The present state of a pull request; null if there is none of this number. @throws GitHubError */
export async function pullRequestState(api: GitHubApi, number: number): Promise<PullRequestState | null> {
  try {
    const pull = await api.ask({
      method: 'GET',
      path: `${pathOf(api)}/pulls/${number}`,
      what: `look at pull request #${number}`,
      answer: z.object({
        state: z.enum(['open', 'closed']),
        merged: z.boolean().nullish(),
        merged_at: z.string().nullish(),
        head: z.object({ sha: z.string() }),
        base: z.object({ ref: z.string() }),
      }),
    });
    const isMerged = pull.merged ?? Boolean(pull.merged_at);
    return { number, state: isMerged ? 'merged' : pull.state, head: pull.head.sha, base: pull.base.ref };
  } catch (error) {
    if (error instanceof GitHubError && error.kind === 'not-found') return null;
    throw error;
  }
}

/** A person's own pull request of the same branch, to another base, is not Cyrus's. */
async function findOpen(api: GitHubApi, { head, base, known }: Proposal): Promise<Pull | null> {
  const { owner } = api.repository;
  const query = new URLSearchParams({ state: 'open', head: `${owner}:${head}`, per_page: '20' });
  const pulls = await api.ask({
    method: 'GET',
    path: `${pathOf(api)}/pulls?${query}`,
    what: `look for the pull request of ${head}`,
    answer: z.array(pullSchema),
  });
  return pulls.find((pull) => pull.number === known) ?? pulls.find((pull) => pull.base.ref === base) ?? null;
}

function create(api: GitHubApi, { head, base, title, body, newBody, draft }: Proposal): Promise<Pull> {
  return api.ask({
    method: 'POST',
    path: `${pathOf(api)}/pulls`,
    what: `open a pull request for ${head}`,
    body: { title, head, base, body: newBody ?? body, draft, maintainer_can_modify: true },
    answer: pullSchema,
  });
}

async function update(api: GitHubApi, pull: Pull, generated: string): Promise<ProposedPullRequest> {
  const body = updatedBody(pull.body ?? '', generated);
  if (body !== null) {
    try {
      await api.ask({
        method: 'PATCH',
        path: `${pathOf(api)}/pulls/${pull.number}`,
        what: `update pull request #${pull.number}`,
        body: { body },
        answer: pullSchema,
      });
    } catch (error) {
      // It is open, and shows the new commits all the same.
      if (!(error instanceof GitHubError) || error.kind !== 'refused') throw error;
      log('github.pull_request_update.failed', { number: pull.number, error });
    }
  }
  return described('updated', pull);
}

function opened(pull: Pull): ProposedPullRequest {
  return described('opened', pull);
}

function described(
  state: ProposedPullRequest['state'],
  { number, html_url: url, draft, base }: Pull,
): ProposedPullRequest {
  return { state, number, url, draft, repositoryId: base.repo?.id ?? null };
}

/** Path of the repository's part of the API. */
export function pathOf({ repository: { owner, name } }: GitHubApi): string {
  return `/repos/${encodeURIComponent(owner)}/${encodeURIComponent(name)}`;
}

function says({ said }: GitHubError, pattern: RegExp): boolean {
  return said.some((text) => pattern.test(text));
}

/** GitHub names the field that it does not like: `base invalid`, `head invalid`. */
function explained(error: GitHubError, { head, base }: Proposal): GitHubError {
  const hint = says(error, /^base\b/i)
    ? `The branch ${base} does not exist on GitHub: ask an admin to correct the repository's base branch.`
    : says(error, /^head\b/i)
      ? `The branch ${head} is no longer on GitHub: comment to have it pushed again.`
      : error.hint;
  return new GitHubError(error.kind, error.message, { said: error.said, cause: error, hint });
}
