/** Rulesets: which rules hold for a branch, whether it exists or not (docs.github.com/en/rest/repos/rules#get-rules-for-a-branch). */
import type { BranchRules } from '../git/ruled-branches.ts';
import type { GitHubState, Ruleset } from './state.ts';

type Rule = Ruleset['rules'][number];

/** The active rules for a branch, as the API lists them. */
export function rulesFor(state: GitHubState, fullName: string, branch: string): object[] {
  return activeRules(state, fullName, branch).map(({ rule: { type, parameters }, repository, id }) => ({
    type,
    ruleset_source_type: 'Repository',
    ruleset_source: repository,
    ruleset_id: id,
    ...(parameters && { parameters }),
  }));
}

/** What those rules refuse of a push; null if the repository has none. */
export function pushRules(state: GitHubState, fullName: string): BranchRules | null {
  if (!state.rulesets.some(({ repository }) => isSame(repository, fullName))) return null;
  return (branch, isNew) =>
    activeRules(state, fullName, branch).flatMap(({ rule }) => refusal(rule, branch, isNew) ?? []);
}

function activeRules({ rulesets }: GitHubState, fullName: string, branch: string) {
  return rulesets.flatMap(({ repository, include, rules }, index) => {
    if (!isSame(repository, fullName) || !include.some((one) => covers(one, branch))) return [];
    return rules.map((rule) => ({ rule, repository, id: 7_000 + index }));
  });
}

/** The words for restrictions are GitHub's own; how it words a pattern of its rulesets is not documented. */
function refusal({ type, parameters = {} }: Rule, branch: string, isNew: boolean): string | null {
  if (type === 'creation') return isNew ? 'Cannot create ref due to creations being restricted.' : null;
  if (type === 'update') return isNew ? null : 'Cannot update this protected ref.';
  if (type === 'pull_request') return isNew ? null : 'Changes must be made through a pull request.';
  if (type !== 'branch_name_pattern') return null;
  const { operator, pattern, negate } = parameters;
  const matches = matchesPattern(branch, String(operator), String(pattern));
  if (matches !== (negate === true)) return null;
  return `Branch name must ${negate === true ? 'not ' : ''}${String(operator).replace('_', ' ')}: ${String(pattern)}`;
}

function matchesPattern(branch: string, operator: string, pattern: string): boolean {
  if (operator === 'starts_with') return branch.startsWith(pattern);
  if (operator === 'ends_with') return branch.endsWith(pattern);
  return operator === 'contains' ? branch.includes(pattern) : new RegExp(pattern).test(branch);
}

function covers(include: string, branch: string): boolean {
  if (include === '~ALL' || include === branch) return true;
  return include.endsWith('/**') && branch.startsWith(include.slice(0, -2));
}

function isSame(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}
