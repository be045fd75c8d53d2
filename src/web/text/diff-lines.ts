/** The lines of a unified diff, by what they are. */
export interface DiffLine {
  line: string;
  kind: 'file' | 'hunk' | 'added' | 'removed' | 'same';
  /** Where it begins in the diff. */
  at: number;
}

/** A hunk says how many lines it has: what a file contains is not taken for the head of another file. */
export function diffLines(diff: string): DiffLine[] {
  let [old, fresh, at] = [0, 0, 0];
  return diff.split('\n').map((line) => {
    const begin = at;
    at += line.length + 1;
    // About the line before it, whose end is missing; no hunk counts it.
    if (line === '\\ No newline at end of file') return { line, kind: 'same', at: begin };
    const isInHunk = old > 0 || fresh > 0;
    if (!isInHunk) {
      const counts = /^@@ -\d+,(\d+) \+\d+,(\d+) @@$/.exec(line);
      [old, fresh] = [Number(counts?.[1] ?? 0), Number(counts?.[2] ?? 0)];
      return { line, kind: counts ? 'hunk' : 'file', at: begin };
    }
    if (!line.startsWith('+')) old -= 1;
    if (!line.startsWith('-')) fresh -= 1;
    const kind = line.startsWith('+') ? 'added' : line.startsWith('-') ? 'removed' : 'same';
    return { line, kind, at: begin };
  });
}
