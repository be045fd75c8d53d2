/**
 * Bounds on what enters the journal. The CLI's lines carry whatever a repository, a tool or a model produced, so every
 * string and every structure is cut to a known size before it is kept.
 */
import { MAX_ENTRY_TEXT } from '../protocol/journal.ts';

/** Longest name, id or status word that is kept, in UTF-16 code units. */
const MAX_WORD = 200;
/** Deeper structures are replaced by a mark: code that walks the journal later need not fear for its stack. */
const MAX_DEPTH = 24;

/** Text for the journal; `truncatedFrom` (its original length in UTF-16 code units) is there only where it was cut. */
export interface BoundedText {
  text: string;
  truncatedFrom?: number;
}

/**
 * Cuts a text to at most `max` UTF-16 code units, never inside a code point, and replaces lone surrogates (which UTF-8
 * cannot carry) by U+FFFD.
 */
export function boundText(text: string, max: number = MAX_ENTRY_TEXT): BoundedText {
  if (text.length <= max) return { text: wellFormed(text) };
  return { text: wellFormed(cutAt(text, max)), truncatedFrom: text.length };
}

/** The first `max` UTF-16 code units of a text, one less where that would split a code point. */
export function cutAt(text: string, max: number): string {
  if (text.length <= max) return text;
  const last = text.charCodeAt(max - 1);
  const splits = last >= 0xd800 && last <= 0xdbff;
  return text.slice(0, splits ? max - 1 : max);
}

/** A name, an id or a status word: one that is too long is cut. */
export function boundWord(word: string): string {
  return wellFormed(cutAt(word, MAX_WORD));
}

function wellFormed(text: string): string {
  return text.isWellFormed() ? text : text.toWellFormed();
}

/**
 * Bounds a JSON value, such as the input of a tool call. A value that fits is given back as it is; otherwise long
 * strings are cut first, then what lies past the budget is left out with a mark.
 * @param max most characters of strings, keys and punctuation that are kept, roughly the length as JSON
 * @returns the value, and `truncatedFrom` (its size as counted here) where something was left out
 */
export function boundValue(value: unknown, max: number = MAX_ENTRY_TEXT): { value: unknown; truncatedFrom?: number } {
  const measured = measure(value, 0);
  if (measured.size <= max && measured.depth < MAX_DEPTH && measured.wellFormed) return { value };
  const budget = { left: max, perString: Math.max(256, Math.floor(max / 2)) };
  const bounded = prune(value, 0, budget);
  return measured.size <= max && measured.depth < MAX_DEPTH
    ? { value: bounded }
    : { value: bounded, truncatedFrom: measured.size };
}

interface Measure {
  size: number;
  depth: number;
  wellFormed: boolean;
}

/** Counts without recursion, so that the deepest structure JSON.parse accepts can be measured. */
function measure(value: unknown, startDepth: number): Measure {
  const result: Measure = { size: 0, depth: startDepth, wellFormed: true };
  const pending: { value: unknown; depth: number }[] = [{ value, depth: startDepth }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    result.depth = Math.max(result.depth, next.depth);
    if (typeof next.value === 'string') {
      result.size += next.value.length + 2;
      result.wellFormed &&= next.value.isWellFormed();
    } else if (Array.isArray(next.value)) {
      result.size += 2;
      for (const item of next.value) pending.push({ value: item, depth: next.depth + 1 });
    } else if (typeof next.value === 'object' && next.value !== null) {
      result.size += 2;
      for (const [key, item] of Object.entries(next.value)) {
        result.size += key.length + 3;
        pending.push({ value: item, depth: next.depth + 1 });
      }
    } else {
      result.size += 8;
    }
  }
  return result;
}

interface Budget {
  left: number;
  perString: number;
}

function prune(value: unknown, depth: number, budget: Budget): unknown {
  if (typeof value === 'string') {
    const room = Math.max(0, Math.min(budget.perString, budget.left));
    budget.left -= Math.min(value.length, room) + 2;
    if (value.length <= room) return wellFormed(value);
    return `${wellFormed(cutAt(value, room))}… [${value.length - room} more characters]`;
  }
  if (typeof value !== 'object' || value === null) {
    budget.left -= 8;
    return value;
  }
  budget.left -= 2;
  if (depth >= MAX_DEPTH) return '[nested too deeply to store]';
  if (Array.isArray(value)) {
    const kept: unknown[] = [];
    for (const item of value) {
      if (budget.left <= 0) break;
      kept.push(prune(item, depth + 1, budget));
    }
    if (kept.length < value.length) kept.push(`[${value.length - kept.length} more items]`);
    return kept;
  }
  const entries = Object.entries(value);
  const kept: [string, unknown][] = [];
  for (const [key, item] of entries) {
    if (budget.left <= 0) break;
    budget.left -= Math.min(key.length, MAX_WORD) + 3;
    kept.push([boundWord(key), prune(item, depth + 1, budget)]);
  }
  if (kept.length < entries.length) kept.push(['…', `[${entries.length - kept.length} more entries]`]);
  // fromEntries defines own properties, so a key named __proto__ stays a key.
  return Object.fromEntries(kept);
}
