/**
 * Whether GitHub protects a branch, so that not everybody who may push can put something there: by a branch protection, or by a
 * ruleset that demands pull requests or forbids pushes (docs.github.com/en/rest/branches/branches#get-a-branch, …/repos/rules).
 */
import * as z from 'zod';
import type { GitHubApi } from './access.ts';
import { GitHubError } from './errors.ts';

const branchSchema = z.object({ protected: z.boolean() });
const rulesSchema = z.array(z.object({ type: z.string() }));

/** Rules by which nobody pushes to a branch directly. */
const PROTECTING = ['pull_request', 'update'];

/** @returns `missing` if there is no such branch. @throws GitHubError if GitHub does not tell */
export async function protectionOf(api: GitHubApi, branch: string): Promise<'protected' | 'open' | 'missing'> {
  const { ask, repository } = api;
  const place = `/repos/${encodeURIComponent(repository.owner)}/${encodeURIComponent(repository.name)}`;
  const what = `learn whether the branch ${branch} is protected`;
  const known = await ask({
    method: 'GET',
    path: `${place}/branches/${encodeURIComponent(branch)}`,
    what,
    answer: branchSchema,
  }).catch((error: unknown) => {
    if (error instanceof GitHubError && error.kind === 'not-found') return null;
    throw error;
  });
  if (known === null) return 'missing';
  if (known.protected) return 'protected';
  const rules = await ask({
    method: 'GET',
    path: `${place}/rules/branches/${encodeURIComponent(branch)}?per_page=100`,
    what,
    answer: rulesSchema,
  });
  return rules.some(({ type }) => PROTECTING.includes(type)) ? 'protected' : 'open';
}
