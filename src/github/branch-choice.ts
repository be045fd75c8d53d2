/** The name of a new branch, where GitHub's rules do not allow the one by the template. */
import { type BranchFacts, branchByTemplate, branchNameProblem } from '../protocol/settings/branch-template.ts';
import { type BranchRules, follows, type NamePattern, violation } from './branch-rules.ts';

/** So many other names are asked for. */
const MOST_ASKED = 6;

/** The name that is taken; `told`: what people and Claude have to know of it, null if it is the wanted one and may be had. */
export interface BranchChoice {
  branch: string;
  told: string | null;
}

/**
 * The wanted name where the rules allow it, else another one, else the wanted one with a word that it cannot be had.
 * @param rulesFor throws where the rules cannot be learned; of another name than the wanted one that counts as not allowed
 */
export async function choiceBy(
  rulesFor: (branch: string) => Promise<BranchRules>,
  fullName: string,
  wanted: string,
  facts: BranchFacts,
): Promise<BranchChoice> {
  const rules = await rulesFor(wanted);
  const why = violation(wanted, rules);
  if (why === null) return { branch: wanted, told: null };
  const names = candidates(wanted, facts, rules.patterns).slice(0, MOST_ASKED);
  const allowed = await Promise.all(
    names.map(async (name) => {
      const rulesOfName = await rulesFor(name).catch(() => null);
      return rulesOfName !== null && violation(name, rulesOfName) === null;
    }),
  );
  const branch = names.find((_, index) => allowed[index]);
  const reason = `under GitHub’s rules for ${fullName} a branch named \`${wanted}\` ${why}`;
  if (branch !== undefined) return { branch, told: `The branch is \`${branch}\`, because ${reason}.` };
  return {
    branch: wanted,
    told: `Pushing the work will probably fail: ${reason}. Cyrus found no other name that they allow. A Cyrus admin has to set a \`branchTemplate\` that they allow, or an admin of the repository has to let Cyrus’s credential bypass them.`,
  };
}

/** Names to be tried in place of the wanted one, first those that the known patterns allow. */
function candidates(wanted: string, facts: BranchFacts, patterns: NamePattern[]): string[] {
  const id = branchByTemplate('{identifier}', facts);
  const upper = branchByTemplate('{IDENTIFIER}', facts);
  const part = (operator: string) => patterns.find((one) => one.operator === operator && !one.negate)?.pattern ?? '';
  const [beginning, middle, end] = [part('starts_with'), part('contains'), part('ends_with')];
  const own = `cyrus-${id}`;
  const names = [
    ...(facts.branchName === null ? [] : [branchByTemplate('{branchName}', facts)]),
    own,
    `${beginning}${own}${middle}${end}`,
    `feature/${own}`,
    `feature/${upper}-cyrus`,
    `${upper}-cyrus`,
    ...['feat', 'fix', 'bugfix', 'chore', 'task', 'dev'].map((folder) => `${folder}/${own}`),
    `feature/${id}`,
    `users/cyrus/${id}`,
    upper,
  ];
  const usable = [...new Set(names)].filter((name) => name !== wanted && branchNameProblem(name) === null);
  const isAllowed = (name: string) => patterns.every((pattern) => follows(name, pattern) !== false);
  return [...usable.filter(isAllowed), ...usable.filter((name) => !isAllowed(name))];
}
