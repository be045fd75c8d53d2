/** Hunks of an edit as the lines a diff shows. Pure. */
import type { Hunk } from '../../protocol/journal.ts';

export type DiffLine =
  | { readonly kind: 'gap'; readonly key: string }
  | {
      readonly kind: 'same' | 'added' | 'removed' | 'note';
      readonly key: string;
      readonly old: number | null;
      readonly new: number | null;
      readonly text: string;
      /** The part (from, to) that differs from the line it replaces, where only a part does. */
      readonly mark?: readonly [number, number];
    };

/** Lines added and removed by the hunks. */
export function diffCounts(hunks: readonly Hunk[]): { added: number; removed: number } {
  let added = 0;
  let removed = 0;
  for (const hunk of hunks) {
    for (const line of hunk.lines) {
      if (line.startsWith('+')) added += 1;
      else if (line.startsWith('-')) removed += 1;
    }
  }
  return { added, removed };
}

/** All lines, numbered on both sides, with a gap between hunks. */
export function diffLines(hunks: readonly Hunk[]): DiffLine[] {
  const lines: DiffLine[] = [];
  hunks.forEach((hunk, index) => {
    if (index > 0) lines.push({ kind: 'gap', key: `gap${index}` });
    const marks = changedParts(hunk.lines);
    let before = hunk.oldStart;
    let after = hunk.newStart;
    hunk.lines.forEach((line, at) => {
      const key = `${index}:${at}`;
      const text = line.slice(1);
      const mark = marks.get(at);
      if (line.startsWith('+')) lines.push({ kind: 'added', key, old: null, new: after++, text, mark });
      else if (line.startsWith('-')) lines.push({ kind: 'removed', key, old: before++, new: null, text, mark });
      else if (line.startsWith('\\')) lines.push({ kind: 'note', key, old: null, new: null, text: text.trim() });
      else lines.push({ kind: 'same', key, old: before++, new: after++, text });
    });
  });
  return lines;
}

/** A new file's content as the one hunk that creates it. */
export function creationHunks(content: string): Hunk[] {
  if (content === '') return [];
  const lines = content.replace(/\n$/, '').split('\n');
  const added = lines.map((line) => `+${line}`);
  return [{ oldStart: 0, oldLines: 0, newStart: 1, newLines: lines.length, lines: added }];
}

/**
 * Where as many lines were removed as added in their place, each pair is compared: what lies between their common
 * beginning and end is what changed. Pairs that have little in common are not marked.
 */
function changedParts(lines: readonly string[]): Map<number, [number, number]> {
  const marks = new Map<number, [number, number]>();
  let at = 0;
  while (at < lines.length) {
    const removedFrom = at;
    while (lines[at]?.startsWith('-')) at += 1;
    const addedFrom = at;
    while (lines[at]?.startsWith('+')) at += 1;
    const pairs = at - addedFrom;
    if (pairs > 0 && pairs === addedFrom - removedFrom) {
      for (let pair = 0; pair < pairs; pair += 1) {
        const parts = differing((lines[removedFrom + pair] ?? '').slice(1), (lines[addedFrom + pair] ?? '').slice(1));
        if (parts === null) continue;
        marks.set(removedFrom + pair, parts.old);
        marks.set(addedFrom + pair, parts.new);
      }
    }
    if (at === removedFrom) at += 1;
  }
  return marks;
}

function differing(before: string, after: string): { old: [number, number]; new: [number, number] } | null {
  const shorter = Math.min(before.length, after.length);
  let head = 0;
  while (head < shorter && before[head] === after[head]) head += 1;
  let tail = 0;
  while (tail < shorter - head && before[before.length - 1 - tail] === after[after.length - 1 - tail]) tail += 1;
  const common = before.slice(0, head).trim().length + before.slice(before.length - tail).trim().length;
  if (common < Math.max(before.trim().length, after.trim().length) / 3) return null;
  return { old: [head, before.length - tail], new: [head, after.length - tail] };
}
