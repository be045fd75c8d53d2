/** The branch of a new session: by the repository's template, unless GitHub's rules allow another name only. */
import { onlyLooks } from '../../../claude/roles.ts';
import { gitHubApi } from '../../../github/access.ts';
import { gitHubRepository } from '../../../github/address.ts';
import { type BranchChoice, choiceBy } from '../../../github/branch-choice.ts';
import { branchRules } from '../../../github/branch-rules.ts';
import { asError } from '../../../lib/error.ts';
import { settledWithin } from '../../../lib/timeout.ts';
import { log } from '../../../observability/log.ts';
import type { BranchFacts } from '../../../protocol/settings/branch-template.ts';
import { findRepository } from '../../../store/workspaces/repositories.ts';
import type { Arrangement } from '../../lifecycle/model/directives.ts';
import type { Surroundings } from '../effect-context.ts';

/** A start does not wait longer for GitHub. */
const PATIENCE_MS = 4_000;

/** What is planned of a start, as far as its branch goes. */
export interface BranchPlan {
  repository: { fullName: string; cloneUrl: string };
  branch: string;
  /** What the branch is named by, if that is decided now; null: it was before, and stays. */
  branchFacts: BranchFacts | null;
  arrangement: Arrangement;
}

/**
 * Asks GitHub whether its rules allow the name of a new branch, and if not, for one that they allow.
 * @returns the planned name also where the repository is not on GitHub, or GitHub does not tell in time. Never rejects
 */
export async function chooseBranch(
  { repository: { fullName, cloneUrl }, branch, branchFacts, arrangement }: BranchPlan,
  { state, config, database }: Surroundings,
): Promise<BranchChoice> {
  const asPlanned = { branch, told: null };
  if (branchFacts === null || onlyLooks(arrangement.assignment)) return asPlanned;
  if (gitHubRepository(config.github.apiUrl, cloneUrl) === null) return asPlanned;
  const ask = async () => {
    const repository = await findRepository(database, state.workspaceId, fullName);
    const api = repository && (await gitHubApi(config, repository));
    return api ? await choiceBy((name) => branchRules(api, name), fullName, branch, branchFacts) : asPlanned;
  };
  const asked = ask().catch((error: unknown) => {
    log('github.branch_rules.unknown', { session: state.id, repository: fullName, error: asError(error) });
    return asPlanned;
  });
  const choice = await settledWithin(PATIENCE_MS, asked);
  return choice === 'late' ? asPlanned : choice;
}
