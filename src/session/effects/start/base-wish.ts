/** Which branches people may have work start from: those that an admin's patterns name, else those that the git host protects. */
import { gitHubApi } from '../../../github/access.ts';
import { gitHubRepository } from '../../../github/address.ts';
import { protectionOf } from '../../../github/protected-branch.ts';
import { asError } from '../../../lib/error.ts';
import { fitsGlob } from '../../../lib/glob.ts';
import { settledWithin } from '../../../lib/timeout.ts';
import { log } from '../../../observability/log.ts';
import { branchNameProblem } from '../../../protocol/settings/branch-template.ts';
import { findRepository, type RepositorySummary } from '../../../store/workspaces/repositories.ts';
import type { Access } from '../../lifecycle/model/admission.ts';
import type { Unsure } from '../../lifecycle/model/effect-results.ts';
import type { Surroundings } from '../effect-context.ts';

/** A start does not wait longer for GitHub. */
const PATIENCE_MS = 4_000;

/** Who can change what is allowed, and how. */
const WHO = 'An admin of Cyrus can allow more (`baseBranches` in the settings of the repository).';

/** A base that people may not choose: they are told why, and asked. @returns null if it may be, or nobody chose one */
export async function unfitBase(
  wish: string | null,
  repository: RepositorySummary,
  access: Access,
  surroundings: Surroundings,
): Promise<Unsure | null> {
  const why = wish === null ? null : await problemOfBase(wish, repository, surroundings);
  if (why === null) return null;
  const { fullName, baseBranch } = repository;
  const question = `Which branch should the work in ${fullName} start from? Answer \`${fullName}\` for its base branch \`${baseBranch}\`, or \`[repo=${fullName}#branch]\` for one that is allowed.`;
  return { kind: 'unsure', options: [fullName], why, question, access };
}

/**
 * Why a branch that somebody named may not be the base of work in a repository; null if it may.
 * @returns sentences that name what is allowed, and who can change that. Never rejects
 */
async function problemOfBase(
  branch: string,
  repository: RepositorySummary,
  surroundings: Surroundings,
): Promise<string | null> {
  const { fullName, baseBranch, settings } = repository;
  if (branch === baseBranch) return null;
  const named = `The branch \`${branch}\` may not be the start of work in ${fullName} starts from: `;
  const own = `its base branch \`${baseBranch}\``;
  if (branchNameProblem(branch) !== null) return `${named}git knows no such name. ${WHO}`;
  const { baseBranches } = settings;
  if (baseBranches !== undefined) {
    if (baseBranches.some((pattern) => fitsGlob(branch, pattern))) return null;
    const patterns = baseBranches.map((pattern) => `\`${pattern}\``).join(', ');
    return `${named}allowed are ${own}${patterns === '' ? '' : ` and what fits ${patterns}`}. ${WHO}`;
  }
  switch (await protection(branch, repository, surroundings)) {
    case 'protected':
      return null;
    case 'open':
      return `${named}allowed are ${own} and branches that GitHub protects, which it is not. ${WHO}`;
    case 'missing':
      return `${named}allowed are ${own} and branches that GitHub protects, and GitHub has no such branch. ${WHO}`;
    case 'unknown':
      return `${named}allowed are ${own} and branches that GitHub protects, and GitHub did not tell whether it is one. ${WHO}`;
    case null:
      return `${named}allowed is ${own}. ${WHO}`;
  }
}

/** @returns null if the repository is on no GitHub that can be asked */
async function protection(
  branch: string,
  { fullName, cloneUrl }: RepositorySummary,
  { state, config, database }: Surroundings,
): Promise<'protected' | 'open' | 'missing' | 'unknown' | null> {
  if (gitHubRepository(config.github.apiUrl, cloneUrl) === null) return null;
  const ask = async () => {
    const repository = await findRepository(database, state.workspaceId, fullName);
    const api = repository && (await gitHubApi(config, repository));
    return api && (await protectionOf(api, branch));
  };
  const asked = ask().catch((error: unknown) => {
    log('github.protection.unknown', { session: state.id, repository: fullName, error: asError(error) });
    return 'unknown' as const;
  });
  const answer = await settledWithin(PATIENCE_MS, asked);
  return answer === 'late' ? 'unknown' : answer;
}
