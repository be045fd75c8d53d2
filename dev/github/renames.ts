/** Repositories keep their id when they are renamed; the former name leads to it. */
import { createHash } from 'node:crypto';
import type { GitHubState } from './state.ts';

/** The id of a repository, whatever it is called now. */
export function repositoryId({ renamed }: GitHubState, fullName: string): number {
  let first = fullName;
  for (let before = nameBefore(renamed, first); before !== null; before = nameBefore(renamed, first)) first = before;
  return createHash('sha256').update(first.toLowerCase()).digest().readUInt32BE(0);
}

function nameBefore(renamed: GitHubState['renamed'], name: string): string | null {
  return renamed.findLast(({ to }) => to.toLowerCase() === name.toLowerCase())?.from ?? null;
}

/** Where a former name leads; null for a name that is none. */
export function movedTo(state: GitHubState, fullName: string): { id: number; former: string } | null {
  const found = state.renamed.find(({ from }) => from.toLowerCase() === fullName.toLowerCase());
  return found ? { id: repositoryId(state, found.to), former: fullName } : null;
}

/** A path below the API's address, with the repository's name in place of its id (`/repositories/:id/…`). */
export function byName(state: GitHubState, path: string): string {
  const match = /^\/repositories\/(\d+)(\/.*|)$/.exec(path);
  if (!match) return path;
  const names = new Set([...state.installations, ...state.personalTokens].flatMap(({ repositories }) => repositories));
  const found = [...names].find(
    (name) => movedTo(state, name) === null && repositoryId(state, name) === Number(match[1]),
  );
  return found === undefined ? path : `/repos/${found}${match[2]}`;
}
