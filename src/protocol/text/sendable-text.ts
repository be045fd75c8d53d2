/** Text that other services take: APIs refuse characters that stand for nothing in text, and then nothing is said at all. Pure. */

import { cleanText } from './clean-text.ts';

/** Half of a character, as a cut in the wrong place leaves it. */
const HALVES = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** The text without control characters and others that nobody sees (clean-text.ts); half characters become U+FFFD. */
export function sendable(text: string): string {
  return cleanText(text, 'dropped-but-joiner').replace(HALVES, '\ufffd');
}

/** A value of plain data with every text in it, names of fields apart, as `sendable` has it. */
export function sendableData(value: unknown): unknown {
  if (typeof value === 'string') return sendable(value);
  if (Array.isArray(value)) return value.map(sendableData);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, sendableData(inner)]));
}

/** The first `max` UTF-16 code units, never half a character. */
export function cutWhole(text: string, max: number): string {
  return text.length <= max ? text : text.slice(0, max).replace(/[\ud800-\udbff]$/, '');
}
