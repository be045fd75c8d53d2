/** The lines of a diff beside each other: what was removed on the left, what is in its place on the right. Pure. */
import type { DiffLine } from '../outline/diff.ts';

type Line = Exclude<DiffLine, { kind: 'gap' }>;

export interface Pair {
  readonly key: string;
  /** Null: nothing is on this side. Both null: lines are left out here. */
  readonly left: Line | null;
  readonly right: Line | null;
}

/** Pairs of lines; a run of removed lines is set beside the run of added ones that follows it. */
export function sideBySide(lines: readonly DiffLine[]): Pair[] {
  const pairs: Pair[] = [];
  let removed: Line[] = [];
  let added: Line[] = [];
  const flush = () => {
    for (let at = 0; at < Math.max(removed.length, added.length); at += 1) {
      const [left = null, right = null] = [removed[at], added[at]];
      pairs.push({ key: `${left?.key ?? ''}|${right?.key ?? ''}`, left, right });
    }
    removed = [];
    added = [];
  };
  for (const line of lines) {
    if (line.kind === 'removed') {
      if (added.length > 0) flush();
      removed.push(line);
    } else if (line.kind === 'added') added.push(line);
    else {
      flush();
      if (line.kind === 'gap') pairs.push({ key: line.key, left: null, right: null });
      else pairs.push({ key: line.key, left: line, right: line });
    }
  }
  flush();
  return pairs;
}
