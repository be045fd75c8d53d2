/**
 * Foreign text without what people do not see in it: characters that carry words past their eyes, turn the direction of text, or make
 * one name look like another. What scripts and emoji need to be written stays. Pure; takes linear time.
 *
 * Every destination has one place where text passes: what Claude is told (`toClaude`), Linear and GitHub (`sendable`), the pages
 * (`shownText`), and questions before something runs (`withoutDisguise`, which shows such characters instead).
 */

import { plainOutput } from '../../lib/terminal-text.ts';

/**
 * All that Unicode says is not to be seen (Default_Ignorable_Code_Point), controls and format characters, and what is no character.
 * Of the format characters the signs before numbers in Arabic, Syriac and Kaithi are seen.
 */
const HIDDEN =
  /\u{1f3f4}\u{e0067}\u{e0062}(?:\u{e0065}\u{e006e}\u{e0067}|\u{e0073}\u{e0063}\u{e0074}|\u{e0077}\u{e006c}\u{e0073})\u{e007f}|(?:(?![\n\t\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\u{110bd}\u{110cd}])[\p{Default_Ignorable_Code_Point}\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Noncharacter_Code_Point}])+/gu;
/** Letters of scripts in which a joiner or a non-joiner changes how a word is written (unicode.org/reports/tr31, 2.3). */
const JOINING =
  /[\p{Script=Arabic}\p{Script=Hebrew}\p{Script=Syriac}\p{Script=Nko}\p{Script=Mandaic}\p{Script=Mongolian}\p{Script=Devanagari}\p{Script=Bengali}\p{Script=Gurmukhi}\p{Script=Gujarati}\p{Script=Oriya}\p{Script=Tamil}\p{Script=Telugu}\p{Script=Kannada}\p{Script=Malayalam}\p{Script=Sinhala}\p{Script=Khmer}\p{Script=Myanmar}\p{Script=Tibetan}\p{Script=Balinese}\p{Script=Javanese}]/u;
const PICTOGRAPH = /[\p{Extended_Pictographic}\p{Emoji_Modifier}\u{1f1e6}-\u{1f1ff}]/u;
const KEYCAP = /[0-9#*]/;
const MONGOLIAN = /\p{Script=Mongolian}/u;
/** Letters of scripts that are written from right to left, beside which a mark of direction puts punctuation where it belongs. */
const FROM_RIGHT =
  /[\p{Script=Arabic}\p{Script=Hebrew}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}\p{Script=Samaritan}\p{Script=Mandaic}]/u;
/** U+2060, by which Cyrus itself keeps git hosts and Linear from reading commands in text (harmless-text.ts). */
const JOINER = '\u2060';

/** What becomes of hidden characters: they are left out, left out but for Cyrus's own U+2060, or written as `\u{202e}`. */
type Hidden = 'dropped' | 'dropped-but-joiner' | 'written';

/** The text without hidden characters; breaks of lines that are written in another way become `\n`. */
export function cleanText(text: string, hidden: Hidden = 'dropped'): string {
  return text.replace(/\r\n?|[\u2028\u2029]/g, '\n').replace(HIDDEN, (run: string, at: number, whole: string) => {
    if (run.startsWith('\u{1f3f4}')) return run;
    const before = lastOf(whole, at);
    const after = firstOf(whole, at + run.length);
    const needed = neededOf(run, before, after, hidden === 'dropped-but-joiner');
    return hidden === 'written' ? written(run, needed) : needed;
  });
}

/** A run of hidden characters with those written out that nothing needs. */
function written(run: string, needed: string): string {
  const left = Array.from(needed);
  return Array.from(run, (one) => {
    if (one !== left[0]) return `\\u{${one.codePointAt(0)?.toString(16)}}`;
    left.shift();
    return one;
  }).join('');
}

/** Of a run of hidden characters those that what is around them needs, each once. */
function neededOf(run: string, before: string, after: string, keepsJoiner: boolean): string {
  const isPicture = PICTOGRAPH.test(before);
  const style = /^[\ufe0e\ufe0f]/.exec(run)?.[0] ?? '';
  const isStyled = style !== '' && (isPicture || (KEYCAP.test(before) && after === '\u20e3'));
  const kept = isStyled ? style : '';
  if (/\u200d/.test(run) && isPicture && PICTOGRAPH.test(after)) return `${kept}\u200d`;
  const joint = /[\u200c\u200d]/.exec(run)?.[0];
  if (joint !== undefined && JOINING.test(before)) return joint;
  const mark = /[\u200e\u200f\u061c]/.exec(run)?.[0];
  if (mark !== undefined && (FROM_RIGHT.test(before) || FROM_RIGHT.test(after))) return mark;
  if (MONGOLIAN.test(before)) return /[\u180b-\u180f]/.exec(run)?.[0] ?? '';
  return keepsJoiner && run === JOINER && before.trim() !== '' && after.trim() !== '' ? JOINER : kept;
}

/** The character before a place; empty at the beginning. */
function lastOf(text: string, at: number): string {
  return Array.from(text.slice(Math.max(0, at - 2), at)).at(-1) ?? '';
}

function firstOf(text: string, at: number): string {
  return Array.from(text.slice(at, at + 2))[0] ?? '';
}

/** Most of a name that is shown, in UTF-16 code units. */
const MAX_NAME = 200;

/** A name of a person, a team, a label or a file, as it is shown: one line without hidden characters, and not long. */
export function displayName(name: string, max: number = MAX_NAME): string {
  const line = cleanText(name).replace(/\s+/g, ' ').trim();
  return line.length <= max ? line : `${line.slice(0, max).replace(/[\ud800-\udbff]$/, '')}…`;
}

/** What Claude is told: prompts, answers, decisions, and what is added to its system prompt. */
export function toClaude(text: string): string {
  return cleanText(text);
}

/** What a page shows, as a terminal would at the end; see `withoutDisguise` for what people allow. */
export function shownText(text: string): string {
  return cleanText(plainOutput(text));
}

/** The same for what runs or ran, and for logs: hidden characters are written out. */
export function markedText(text: string): string {
  return cleanText(text, 'written');
}

/** A value of plain data with every text in it, names of fields apart, as `show` has it. */
export function shownData<T>(value: T, show?: (text: string) => string): T;
export function shownData(value: unknown, show: (text: string) => string = shownText): unknown {
  if (typeof value === 'string') return show(value);
  if (Array.isArray(value)) return value.map((one: unknown) => shownData(one, show));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, shownData<unknown>(inner, show)]));
}
