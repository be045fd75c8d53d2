/** Which repository an issue belongs to (pure). */
import type { RepositorySettings } from '../../../protocol/settings/repository.ts';
import { readChoice } from '../questions/choices.ts';
import { type RepositoryWish, repositoryWish } from './wishes.ts';

/** What is known of the issue when the repository is chosen. */
export interface RoutingFacts {
  /** The description and what was asked, the newest last, in which a tag may stand; the newest tag counts. */
  texts: string[];
  labels: string[];
  project: string | null;
  team: { key: string; name: string } | null;
}

export interface Candidate {
  fullName: string;
  baseBranch: string;
  settings: RepositorySettings;
}

/** Linear's guess, with a confidence from 0 to 1. */
export interface Suggestion {
  fullName: string;
  confidence: number;
}

export type Route =
  | { kind: 'chosen'; fullName: string; baseBranch: string; because: string }
  /** A tag names a repository that is not configured. */
  | { kind: 'unknown'; fullName: string; known: string[] }
  | { kind: 'none' }
  /** Nothing decides; the likelier come first. `why`: what people have to be asked about, whatever Linear suggests. */
  | { kind: 'unsure'; options: string[]; why?: string };

/** From this confidence on Linear's suggestion is taken without asking, unless another is close. */
const SURE = 0.8;
const CLOSE = 0.2;

/** The repository a text names by `[repo=owner/name]` or the like; null where it names none, or none that can be read. */
export function readTag(text: string): { fullName: string; branch: string | null } | null {
  const wish = repositoryWish(text);
  return wish?.kind === 'named' ? { fullName: wish.name, branch: wish.branch } : null;
}

/**
 * Chooses by the first that decides: a tag, a label, the project, the team, the default, the only one, Linear's
 * suggestion. A rule that fits several repositories decides nothing.
 */
export function route(facts: RoutingFacts, candidates: Candidate[], suggestions: Suggestion[]): Route {
  if (candidates.length === 0) return { kind: 'none' };
  const wish = facts.texts.map(repositoryWish).findLast((one) => one !== null);
  if (wish) return byWish(wish, candidates);
  const { labels, project, team } = facts;
  const rules: [because: string, fits: (settings: RepositorySettings) => boolean][] = [
    ['of a label', (settings) => overlaps(settings.labels, labels)],
    ['of the project', (settings) => overlaps(settings.projects, project === null ? [] : [project])],
    ['of the team', (settings) => overlaps(settings.teams, team === null ? [] : [team.key, team.name])],
    ['it is the default', (settings) => settings.isDefault],
    ['it is the only one', () => candidates.length === 1],
  ];
  for (const [because, fits] of rules) {
    const fitting = candidates.filter((candidate) => fits(candidate.settings));
    const [only] = fitting;
    if (only && fitting.length === 1) {
      return { kind: 'chosen', fullName: only.fullName, baseBranch: only.baseBranch, because };
    }
    // Somebody put this label there to say where it goes: a rule that is less particular does not decide instead.
    if (because === 'of a label' && fitting.length > 1) {
      return unsure(candidates, fitting, `A label of the issue fits ${fitting.length} repositories.`);
    }
  }
  return bySuggestion(candidates, suggestions);
}

function byWish(wish: RepositoryWish, candidates: Candidate[]): Route {
  if (wish.kind === 'unreadable') {
    return unsure(candidates, [], `The issue names a repository that Cyrus cannot read: "${wish.written}".`);
  }
  const { name, branch } = wish;
  const isShort = !name.includes('/');
  const named = candidates.filter(({ fullName }) => same(isShort ? shortName(fullName) : fullName, name));
  const [only] = named;
  if (only && named.length === 1) {
    const { fullName, baseBranch } = only;
    return { kind: 'chosen', fullName, baseBranch: branch ?? baseBranch, because: 'the issue names it' };
  }
  if (isShort) return unsure(candidates, named, `"${name}" does not name exactly one repository.`);
  return { kind: 'unknown', fullName: name, known: candidates.map(({ fullName }) => fullName) };
}

function unsure(candidates: Candidate[], first: Candidate[], why: string): Route {
  const rest = candidates.filter((candidate) => !first.includes(candidate));
  return { kind: 'unsure', options: [...first, ...rest].map(({ fullName }) => fullName), why };
}

function bySuggestion(candidates: Candidate[], suggestions: Suggestion[]): Route {
  const confidence = (fullName: string) =>
    suggestions.find((suggestion) => same(suggestion.fullName, fullName))?.confidence ?? 0;
  const ranked = candidates.toSorted((a, b) => confidence(b.fullName) - confidence(a.fullName));
  const [best, next] = ranked;
  if (best && confidence(best.fullName) >= SURE) {
    const lead = confidence(best.fullName) - (next ? confidence(next.fullName) : 0);
    if (lead >= CLOSE) {
      const { fullName, baseBranch } = best;
      return { kind: 'chosen', fullName, baseBranch, because: 'Linear suggests it' };
    }
  }
  return { kind: 'unsure', options: ranked.map(({ fullName }) => fullName) };
}

/**
 * The option that an answer means: by its name, by what is before it in the list, or by a name that the answer contains.
 * @returns null where the answer fits none, or several
 */
export function readAnswer(answer: string, options: string[]): string | null {
  const text = answer.trim();
  const exact = options.filter((option) => same(option, text) || same(shortName(option), text));
  if (exact.length === 1) return exact[0] ?? null;
  const choice = readChoice(
    text,
    options.map((option) => ({ id: option, label: option })),
  );
  if (choice) return choice.label;
  const words = text.toLowerCase();
  const named = options.filter((option) => words.includes(option.toLowerCase()));
  if (named.length === 1) return named[0] ?? null;
  // Bounded: a repository's name, without repetitions.
  const short = options.filter((option) => new RegExp(`\\b${escapePattern(shortName(option))}\\b`, 'i').test(text));
  return named.length === 0 && short.length === 1 ? (short[0] ?? null) : null;
}

function shortName(fullName: string): string {
  return fullName.slice(fullName.lastIndexOf('/') + 1);
}

function same(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

function overlaps(wanted: string[], present: string[]): boolean {
  return wanted.some((one) => present.some((other) => same(one, other)));
}

function escapePattern(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
