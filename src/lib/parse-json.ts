/** Deeper than anything that is meant. What walks through a value by calling itself, as JSON.stringify does, fails at some thousand. */
const MOST_NESTED = 500;

/** The value of a JSON text; undefined, which no such text stands for, where it is none, or is nested more than 500 deep. Never throws. */
export function parseJson(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    // Each level takes two characters at least.
    return text.length > 2 * MOST_NESTED && isNestedDeeper(value, MOST_NESTED) ? undefined : value;
  } catch {
    return undefined;
  }
}

/** Level by level, since a text can be nested deeper than a function may call itself. */
function isNestedDeeper(value: unknown, most: number): boolean {
  let level = [value].filter(isNested);
  for (let depth = 1; level.length > 0; depth++) {
    if (depth > most) return true;
    const next: object[] = [];
    for (const one of level) for (const inner of Object.values(one)) if (isNested(inner)) next.push(inner);
    level = next;
  }
  return false;
}

function isNested(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
