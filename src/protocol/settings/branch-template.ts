/**
 * How a repository wants the branches of sessions named: a template with words in braces, `cyrus/{identifier}` if nothing is set.
 * Pure. A name follows git's rules (git-scm.com/docs/git-check-ref-format), whatever is filled in.
 */

import * as z from 'zod';
import { withoutBeginning, withoutEnding } from '../../lib/linear-time.ts';
import { cleanText } from '../text/clean-text.ts';
import { cutWhole } from '../text/harmless-text.ts';

/** What a template may name. */
export const BRANCH_WORDS = {
  identifier: 'eng-12',
  IDENTIFIER: 'ENG-12',
  team: 'eng',
  number: '12',
  title: 'round-the-cart',
  branchName: 'ada/eng-12-round-the-cart',
} as const;
type BranchWord = keyof typeof BRANCH_WORDS;
/** One of these makes a name the issue's own. */
const PARTICULAR: BranchWord[] = ['identifier', 'IDENTIFIER', 'number', 'branchName'];

export const DEFAULT_BRANCH_TEMPLATE = 'cyrus/{identifier}';
/** Git hosts keep a branch as a file; longer names are trouble for people too. In UTF-16 code units. */
const MAX_NAME = 200;
const MAX_TITLE = 60;

const WORD = /\{(\w+)\}/g;

/** What a name is made of. */
export interface BranchFacts {
  /** E.g. `ENG-12`; for work without an issue what is in its place. */
  identifier: string;
  title: string;
  /** Linear's own suggestion; null if it is not known. */
  branchName: string | null;
}

/** Why a template cannot be taken, a sentence without its full stop; null if it can. */
export function branchTemplateProblem(template: string): string | null {
  const known = Object.keys(BRANCH_WORDS).map((word) => `{${word}}`);
  const words = [...template.matchAll(WORD)].map(([, word = '']) => word);
  const strange = words.find((word) => !Object.hasOwn(BRANCH_WORDS, word));
  if (strange !== undefined) return `{${strange}} is not known; a branch name may have ${known.join(', ')}`;
  if (/[{}]/.test(template.replace(WORD, '')))
    return `a brace without its partner; a placeholder is written like ${known[0]}`;
  if (!words.some((word) => PARTICULAR.some((one) => one === word))) {
    const particular = PARTICULAR.map((word) => `{${word}}`).join(', ');
    return `without one of ${particular} all issues would have the same branch`;
  }
  const sample = template.replace(WORD, (_, word: BranchWord) => BRANCH_WORDS[word]);
  return branchNameProblem(sample);
}

/** Why git does not take a name for a branch, a sentence without its full stop; null if it does. */
export function branchNameProblem(name: string): string | null {
  if (name === '' || name === '@' || name === 'HEAD') return `"${name}" is not a valid branch name`;
  if (name.length > MAX_NAME) return `the branch name has more than ${MAX_NAME} characters`;
  if (name.startsWith('refs/')) return 'a branch name must not begin with refs/';
  if (name.startsWith('-')) return 'a branch name must not begin with a dash';
  const odd = /[\0-\x20\x7f~^:?*[\\]|@\{|\.\./.exec(name)?.[0];
  if (odd !== undefined) return `git does not allow ${JSON.stringify(odd)} in a branch name`;
  for (const part of name.split('/')) {
    if (part === '') return 'a branch name must not have an empty part before, after or between slashes';
    if (part.startsWith('.') || part.endsWith('.') || part.endsWith('.lock')) {
      return `no part of a branch name may begin with a dot, or end in one or in .lock, as "${part}" does`;
    }
  }
  return null;
}

/** A template as an admin sets it. */
export const branchTemplateSchema = z
  .string()
  .trim()
  .min(1)
  .max(150)
  .superRefine((template, context) => {
    const problem = branchTemplateProblem(template);
    if (problem !== null) context.addIssue({ code: 'custom', message: problem });
  });

/** The name by a template: one that git takes, always. */
export function branchByTemplate(template: string, { identifier, title, branchName }: BranchFacts): string {
  const [, team = identifier, number = identifier] = /^(.*)-(\d+)$/.exec(identifier) ?? [];
  const values: Record<BranchWord, string> = {
    identifier: part(identifier.toLowerCase()),
    IDENTIFIER: part(identifier),
    team: part(team.toLowerCase()),
    number: part(number),
    title: titlePart(title),
    branchName: branchName === null ? part([identifier.toLowerCase(), titlePart(title)].join('-')) : path(branchName),
  };
  const filled = template.replace(WORD, (whole, word: string) => values[word as BranchWord] ?? whole);
  const name = path(filled);
  return branchNameProblem(name) === null ? name : `cyrus/${values.identifier}`;
}

function titlePart(title: string): string {
  const whole = part(title.toLowerCase().replace(/['’]/g, ''));
  const cut = whole.length <= MAX_TITLE ? whole : cutWhole(whole, MAX_TITLE).replace(/-[^-]*$/, '');
  return withoutEnding(cut, '-.') || 'work';
}

/** Text as a part of a name: letters and digits of any script stay, as far as people see them. */
function part(text: string): string {
  const kept = cleanText(text)
    .normalize('NFC')
    .replace(/[^\p{L}\p{N}\p{M}._-]+/gu, '-')
    .replace(/-{2,}/g, '-')
    .replace(/\.{2,}/g, '.');
  const bare = withoutBeginning(withoutEnding(kept, '-.'), '-.');
  return bare.replace(/\.lock$/i, '-lock') || 'x';
}

function path(text: string): string {
  const parts = text.split('/').filter((one) => one.trim() !== '');
  return withoutEnding(parts.map(part).join('/').slice(0, MAX_NAME), '-./');
}
