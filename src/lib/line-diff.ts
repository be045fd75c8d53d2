/** What changed between two texts, line by line, as a unified diff. Pure. */
import { type StructuredPatchHunk, structuredPatch } from 'diff';

/** Lines around a change that are shown with it. */
const CONTEXT = 3;
/** Most lines that differ while it is looked for what two texts have in common; beyond it all lines count as changed. */
const MAX_EDITS = 1_000;

/** @returns hunks with their heads (`@@ -1,2 +1,3 @@`); empty if the texts are the same */
export function unifiedDiff(before: string, after: string): string {
  const options = { context: CONTEXT, maxEditLength: MAX_EDITS };
  const patch = structuredPatch('', '', before, after, undefined, undefined, options);
  const hunks = patch?.hunks ?? [replacement(before, after)];
  return hunks.map((hunk) => [headOf(hunk), ...hunk.lines].join('\n')).join('\n');
}

function headOf({ oldStart, oldLines, newStart, newLines }: StructuredPatchHunk): string {
  return `@@ -${span(oldStart, oldLines)} +${span(newStart, newLines)} @@`;
}

function span(line: number, count: number): string {
  return count === 0 ? `${line - 1},0` : `${line},${count}`;
}

/** Every line of the one text goes, every line of the other comes. */
function replacement(before: string, after: string): StructuredPatchHunk {
  const [removed, added] = [linesOf(before), linesOf(after)];
  const lines = [...marked('-', removed, before), ...marked('+', added, after)];
  return { oldStart: 1, oldLines: removed.length, newStart: 1, newLines: added.length, lines };
}

function linesOf(text: string): string[] {
  return text === '' ? [] : text.replace(/\n$/, '').split('\n');
}

/** A last line without its end says so: it is another text. */
function marked(sign: '-' | '+', lines: string[], text: string): string[] {
  const isOpen = text !== '' && !text.endsWith('\n');
  return [...lines.map((line) => `${sign}${line}`), ...(isOpen ? ['\\ No newline at end of file'] : [])];
}
