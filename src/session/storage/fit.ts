/** Makes a value fit into a row. Pure. */
import { cutWhole } from '../../protocol/text/sendable-text.ts';

/** Most bytes of JSON in UTF-8 that a row takes; the platform's limit is 2 MB. */
export const MOST_ROW_BYTES = 900_000;

/** Longest text (UTF-16 code units) and list that are left, tried in this order until the whole fits. */
const STEPS: [mostText: number, mostItems: number][] = [
  [64_000, 300],
  [16_000, 100],
  [4_000, 30],
  [500, 10],
];

/**
 * The value as JSON; if that is longer than a row takes, with its longest texts and lists cut. What is bounded where it
 * enters never comes here that long: this is for what nobody thought of.
 * @returns JSON of at most `MOST_ROW_BYTES` in UTF-8, and whether something was cut
 */
export function fitJson(value: unknown): { json: string; isCut: boolean } {
  const json = JSON.stringify(value);
  if (fits(json)) return { json, isCut: false };
  for (const [mostText, mostItems] of STEPS) {
    const cut = JSON.stringify(shorten(value, mostText, mostItems, 0));
    if (fits(cut)) return { json: cut, isCut: true };
  }
  return { json: JSON.stringify(shorten(value, 100, 3, 0)), isCut: true };
}

function fits(json: string): boolean {
  return json.length * 3 <= MOST_ROW_BYTES || new TextEncoder().encode(json).length <= MOST_ROW_BYTES;
}

/** Deeper than anything that is stored; past it a value is left out. */
const MOST_DEPTH = 50;

function shorten(value: unknown, mostText: number, mostItems: number, depth: number): unknown {
  if (depth > MOST_DEPTH) return null;
  if (typeof value === 'string') return value.length > mostText ? `${cutWhole(value, mostText)}…` : value;
  if (Array.isArray(value)) {
    return value.slice(0, mostItems).map((item) => shorten(item, mostText, mostItems, depth + 1));
  }
  if (typeof value !== 'object' || value === null) return value;
  const fields = Object.entries(value).map(([name, field]) => [name, shorten(field, mostText, mostItems, depth + 1)]);
  return Object.fromEntries(fields);
}
