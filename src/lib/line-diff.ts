/** What changed between two texts, line by line, as a unified diff. Pure. */

/** Lines around a change that are shown with it. */
const CONTEXT = 3;
/** Largest table that is filled to find what two texts have in common, in cells; beyond it all lines count as changed. */
const MAX_CELLS = 4_000_000;

interface Line {
  sign: ' ' | '-' | '+';
  text: string;
}

/** @returns hunks with their heads (`@@ -1,2 +1,3 @@`); empty if the texts are the same */
export function unifiedDiff(before: string, after: string): string {
  const lines = changesOf(linesOf(before), linesOf(after));
  const isShown = new Uint8Array(lines.length);
  lines.forEach(({ sign }, at) => {
    if (sign !== ' ') isShown.fill(1, Math.max(0, at - CONTEXT), at + CONTEXT + 1);
  });
  const hunks: string[] = [];
  let [oldLine, newLine] = [1, 1];
  for (let at = 0; at < lines.length; ) {
    let end = at;
    while (end < lines.length && isShown[end] === isShown[at]) end += 1;
    const part = lines.slice(at, end);
    const [removed, added] = (['-', '+'] as const).map(
      (sign) => part.filter((line) => line.sign !== other(sign)).length,
    );
    if (isShown[at] === 1) {
      hunks.push(`@@ -${span(oldLine, removed ?? 0)} +${span(newLine, added ?? 0)} @@`);
      hunks.push(...part.map(({ sign, text }) => `${sign}${text}`));
    }
    oldLine += removed ?? 0;
    newLine += added ?? 0;
    at = end;
  }
  return hunks.join('\n');
}

function other(sign: '-' | '+'): '-' | '+' {
  return sign === '-' ? '+' : '-';
}

function span(line: number, count: number): string {
  return count === 0 ? `${line - 1},0` : `${line},${count}`;
}

/** A last line without its end says so: it is another text. */
function linesOf(text: string): string[] {
  if (text === '') return [];
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  else lines.push('\\ No newline at end of file');
  return lines;
}

function changesOf(before: readonly string[], after: readonly string[]): Line[] {
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start += 1;
  let end = 0;
  const most = Math.min(before.length, after.length) - start;
  while (end < most && before[before.length - 1 - end] === after[after.length - 1 - end]) end += 1;
  const same = (text: string): Line => ({ sign: ' ', text });
  return [
    ...before.slice(0, start).map(same),
    ...middle(before.slice(start, before.length - end), after.slice(start, after.length - end)),
    ...before.slice(before.length - end).map(same),
  ];
}

/** By the longest sequence of lines that both have. */
function middle(before: readonly string[], after: readonly string[]): Line[] {
  const removed = (text: string): Line => ({ sign: '-', text });
  const added = (text: string): Line => ({ sign: '+', text });
  const width = after.length + 1;
  if (before.length * after.length > MAX_CELLS) return [...before.map(removed), ...after.map(added)];
  const common = new Uint32Array((before.length + 1) * width);
  const cell = (row: number, column: number) => common[row * width + column] ?? 0;
  for (let row = before.length - 1; row >= 0; row--) {
    for (let column = after.length - 1; column >= 0; column--) {
      common[row * width + column] =
        before[row] === after[column]
          ? cell(row + 1, column + 1) + 1
          : Math.max(cell(row + 1, column), cell(row, column + 1));
    }
  }
  const lines: Line[] = [];
  let [row, column] = [0, 0];
  while (row < before.length || column < after.length) {
    const [old, fresh] = [before[row], after[column]];
    if (old !== undefined && old === fresh) {
      lines.push({ sign: ' ', text: old });
      row += 1;
      column += 1;
    } else if (old !== undefined && (fresh === undefined || cell(row + 1, column) >= cell(row, column + 1))) {
      lines.push(removed(old));
      row += 1;
    } else if (fresh !== undefined) {
      lines.push(added(fresh));
      column += 1;
    }
  }
  return lines;
}
