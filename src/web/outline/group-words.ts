/** A group of tool calls in one sentence: "Read 6 files, ran 3 commands". Pure. */
import { plural } from '../text/format.ts';
import { diffCounts } from './diff.ts';
import type { Row } from './model.ts';

/** What is counted together: the verb, and what it is done to. */
const KINDS: readonly { names: readonly string[]; words: (count: number) => string }[] = [
  { names: ['Read'], words: (count) => `read ${plural(count, 'file')}` },
  { names: ['Grep', 'Glob', 'LS', 'ToolSearch'], words: (count) => `searched ${plural(count, 'time')}` },
  {
    names: ['Edit', 'MultiEdit', 'Write', 'NotebookEdit'],
    words: (count) => `changed files ${plural(count, 'time')}`,
  },
  { names: ['Bash'], words: (count) => `ran ${plural(count, 'command')}` },
  { names: ['WebFetch', 'WebSearch'], words: (count) => `looked on the web ${plural(count, 'time')}` },
  { names: ['Agent', 'Task'], words: (count) => `started ${plural(count, 'subagent')}` },
];

export interface GroupWords {
  text: string;
  failed: number;
  added: number;
  removed: number;
}

/** Counts the calls of a group by what they do; thoughts and remarks are not counted. */
export function groupWords(rows: readonly Row[]): GroupWords {
  const counts = new Map<(count: number) => string, number>();
  const paths = new Set<string>();
  let [failed, added, removed] = [0, 0, 0];
  for (const row of rows) {
    if (row.type !== 'tool') continue;
    const name = row.call?.name ?? '';
    const words = KINDS.find(({ names }) => names.includes(name))?.words ?? otherWords;
    counts.set(words, (counts.get(words) ?? 0) + 1);
    if (row.result?.isError && !row.stopped) failed += 1;
    if (row.result?.edit && !row.result.isError) {
      paths.add(row.result.edit.path);
      const change = diffCounts(row.result.edit.hunks);
      added += change.added;
      removed += change.removed;
    }
  }
  const parts = [...counts].map(([words, count]) =>
    words === KINDS[2]?.words && paths.size > 0 ? `changed ${plural(paths.size, 'file')}` : words(count),
  );
  const text = parts.join(', ');
  return { text: text.charAt(0).toUpperCase() + text.slice(1), failed, added, removed };
}

function otherWords(count: number): string {
  return `made ${plural(count, 'other call')}`;
}
