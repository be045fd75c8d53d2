/**
 * The rule on moving the session's branch: what the host has now stays in its history, or what leaves it are commits that
 * the session itself pushed. Judged here, from what is pushed and what was pushed before; nothing that a sandbox says counts.
 */
import type { CommitGraph } from './pack-commits.ts';
import type { RefUpdate } from './push.ts';

/** The commits that a session has pushed, kept outside of its sandbox. */
export interface OwnCommits {
  /** All of them, with their parents. */
  all: () => Promise<CommitGraph>;
  /** Notes commits that are about to be pushed. */
  add: (commits: CommitGraph) => Promise<void>;
  /** The host has said that the branch is at this commit now. */
  confirm: (tip: string) => Promise<void>;
  /** The session's branch as it is now, which may have got another name since its token was made. */
  branch: () => Promise<string>;
}

/** Commits that nobody but the host can tell about; more than a few are no work of a session's. */
const MAX_ASKED = 10;
const ZERO = /^0+$/;

/**
 * @param pushed the commits in the pack
 * @param isInHistory asks the host whether a commit is in the history of others that it has
 * @returns why the branch may not be moved, or null
 */
export async function refusalToMove(
  { oldId, newId }: RefUpdate,
  pushed: CommitGraph,
  own: OwnCommits,
  isInHistory: (part: string, tips: readonly string[]) => Promise<boolean>,
): Promise<string | null> {
  if (ZERO.test(oldId) || oldId === newId) return null;
  // Mostly the new commits lead to what the host has.
  if (historyOf(newId, [pushed]).has(oldId)) return null;
  const before = await own.all();
  const known = [pushed, before];
  const history = historyOf(newId, known);
  if (history.has(oldId)) return null;
  const edge = [...history].filter((id) => !pushed.has(id) && !before.has(id));
  const foreign = leaving(oldId, history, before);
  if (foreign.length <= MAX_ASKED) {
    const lost: string[] = [];
    for (const id of foreign) if (!(await isInHistory(id, edge))) lost.push(id);
    if (lost.length === 0) return null;
    return words(lost);
  }
  return words(foreign);
}

function words(lost: readonly string[]): string {
  const few = lost.slice(0, 5).map((id) => id.slice(0, 10));
  return `this push would take commits off the branch that this session did not make (${few.join(', ')}): fetch, merge or rebase onto the branch as it is, and push without force`;
}

/** A commit and what is reached from it, as far as the parents are known; those whose parents are not are in it too. */
function historyOf(id: string, graphs: readonly CommitGraph[]): Set<string> {
  const found = new Set<string>();
  const open = [id];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (found.has(next)) continue;
    found.add(next);
    for (const graph of graphs) for (const parent of graph.get(next) ?? []) open.push(parent);
  }
  return found;
}

/** The first commits, on each way back from what the host has, that are neither the session's nor in the new history. */
function leaving(oldId: string, history: ReadonlySet<string>, own: CommitGraph): string[] {
  const seen = new Set<string>();
  const foreign: string[] = [];
  const open = [oldId];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (seen.has(next) || history.has(next)) continue;
    seen.add(next);
    const parents = own.get(next);
    // One by one: a commit may name more parents than a call takes arguments.
    for (const parent of parents ?? []) open.push(parent);
    if (!parents) foreign.push(next);
  }
  return foreign;
}
