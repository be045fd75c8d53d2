/** Rulesets: which rules hold for a branch, whether it exists or not (docs.github.com/en/rest/repos/rules#get-rules-for-a-branch). */
import type { GitHubState } from './state.ts';

/** The active rules for a branch, as the API lists them. */
export function rulesFor({ rulesets }: GitHubState, fullName: string, branch: string): object[] {
  return rulesets.flatMap(({ repository, include, rules }, index) => {
    if (repository.toLowerCase() !== fullName.toLowerCase() || !include.some((one) => covers(one, branch))) return [];
    const source = { ruleset_source_type: 'Repository', ruleset_source: repository, ruleset_id: 7_000 + index };
    return rules.map(({ type, parameters }) => ({ type, ...source, ...(parameters && { parameters }) }));
  });
}

function covers(include: string, branch: string): boolean {
  if (include === '~ALL' || include === branch) return true;
  return include.endsWith('/**') && branch.startsWith(include.slice(0, -2));
}
