/**
 * What GitHub's rulesets say of a branch's name, before anything is pushed to it: whether a branch of that name may be made and pushed to
 * (docs.github.com/en/rest/repos/rules#get-rules-for-a-branch; the branch need not exist).
 */
import * as z from 'zod';
import { ownValue } from '../lib/own-value.ts';
import type { GitHubApi } from './access.ts';

const ruleSchema = z.object({
  type: z.string(),
  parameters: z
    .object({
      operator: z.string().optional().catch(undefined),
      pattern: z.string().optional().catch(undefined),
      negate: z.boolean().nullish().catch(undefined),
    })
    .nullish()
    .catch(undefined),
});

/** A pattern that names have to follow, or, negated, must not. */
export interface NamePattern {
  operator: string;
  pattern: string;
  negate: boolean;
}

/** As much of the rules for a branch as concerns its name. */
export interface BranchRules {
  /** What the rules forbid for a branch of this name, e.g. "be made"; null: nothing. */
  forbidden: string | null;
  patterns: NamePattern[];
}

/** Rules by which no push to a branch of that name succeeds, unless the one who pushes may bypass them. */
const FORBIDDING: Record<string, string> = {
  creation: 'be made',
  update: 'be pushed to',
  pull_request: 'be changed except through a pull request',
};

/** The rules for a branch of this name, whether it exists or not. @throws GitHubError */
export async function branchRules({ ask, repository }: GitHubApi, branch: string): Promise<BranchRules> {
  const { owner, name } = repository;
  const rules = await ask({
    method: 'GET',
    path: `/repos/${encodeURIComponent(owner)}/${encodeURIComponent(name)}/rules/branches/${encodeURIComponent(branch)}?per_page=100`,
    what: `learn the rules for the branch ${branch}`,
    answer: z.array(ruleSchema),
  });
  return {
    forbidden: rules.map(({ type }) => ownValue(FORBIDDING, type)).find((words) => words !== undefined) ?? null,
    patterns: rules.flatMap(({ type, parameters }) => {
      const { operator, pattern, negate } = parameters ?? {};
      if (type !== 'branch_name_pattern' || operator === undefined || pattern === undefined) return [];
      return [{ operator, pattern, negate: negate ?? false }];
    }),
  };
}

/** Why a branch of this name cannot be pushed by its rules, as it follows "a branch of this name "; null if nothing is known against it. */
export function violation(branch: string, { forbidden, patterns }: BranchRules): string | null {
  if (forbidden !== null) return `may not ${forbidden}`;
  const broken = patterns.find((pattern) => follows(branch, pattern) === false);
  return broken === undefined ? null : patternText(broken);
}

/** Whether a name follows a pattern; null: that cannot be told. */
export function follows(branch: string, { operator, pattern, negate }: NamePattern): boolean | null {
  const matches = matchesPattern(branch, operator, pattern);
  return matches === null ? null : matches !== negate;
}

function matchesPattern(branch: string, operator: string, pattern: string): boolean | null {
  switch (operator) {
    case 'starts_with':
      return branch.startsWith(pattern);
    case 'ends_with':
      return branch.endsWith(pattern);
    case 'contains':
      return branch.includes(pattern);
    case 'regex':
      return asRegExp(pattern)?.test(branch) ?? null;
    default:
      return null;
  }
}

function patternText({ operator, pattern, negate }: NamePattern): string {
  const verbs: Record<string, string> = {
    starts_with: 'begin with',
    ends_with: 'end with',
    contains: 'contain',
    regex: 'match',
  };
  return `${negate ? 'must not' : 'has to'} ${ownValue(verbs, operator) ?? operator} \`${pattern.replaceAll('`', "'").replace(/\s/g, ' ').slice(0, 200)}\``;
}

const MAX_PATTERN = 300;
/** With more, a name of 200 characters could take long. */
const MAX_REPEATS = 3;

/** An RE2 pattern (github.com/google/re2/wiki/Syntax) as far as it means the same here and ends soon; null: it does not. */
function asRegExp(pattern: string): RegExp | null {
  if (pattern.length > MAX_PATTERN) return null;
  const [, ignoresCase, rest = ''] = /^(\(\?i\))?([\s\S]*)$/.exec(pattern) ?? [];
  const anchors: Record<string, string> = { A: '^', z: '$', '-': '\\x2d', _: '_' };
  const translated = rest.replace(/\\([\s\S])/g, (whole, one: string) => anchors[one] ?? whole);
  if (!endsSoon(translated)) return null;
  try {
    // Bounded: `endsSoon` has looked at it, and a branch's name is short.
    return new RegExp(translated, ignoresCase === undefined ? 'u' : 'iu');
  } catch {
    return null;
  }
}

/** Whether a pattern repeats without bound only a few times, and never what repeats or chooses in itself. */
function endsSoon(pattern: string): boolean {
  // A class that is empty, or has everything, ends elsewhere than it does in RE2.
  if (/\[\^?\]/.test(pattern.replace(/\\[\s\S]/g, 'x'))) return false;
  // What is in a class, or escaped, is one character that repeats nothing.
  // Bounded: a pattern has at most MAX_PATTERN characters.
  const bare = pattern.replace(/\\[pP]\{[^}]*\}|\\[\s\S]/g, 'x').replace(/\[\^?\]?[^\]]*\]/g, 'x');
  const repeats = bare.match(/[*+]|\{\d+,\d*\}/g) ?? [];
  if (repeats.length > MAX_REPEATS) return false;
  const open: boolean[] = [];
  for (let at = 0; at < bare.length; at++) {
    const one = bare.charAt(at);
    const isRepeat = /^(?:[*+]|\{\d+(?:,\d*)?\})/.test(bare.slice(at));
    if (one === '(') open.push(false);
    else if (one === ')') {
      const varies = open.pop() ?? false;
      if (varies && /^(?:[*+]|\{\d+(?:,\d*)?\})/.test(bare.slice(at + 1))) return false;
      if (varies && open.length > 0) open[open.length - 1] = true;
    } else if ((isRepeat || one === '|' || one === '?') && bare.charAt(at - 1) !== '(' && open.length > 0) {
      open[open.length - 1] = true;
    }
  }
  return true;
}
