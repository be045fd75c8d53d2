/** Markdown that carries text from anywhere without that text becoming part of its structure. Pure. */

/** The first `max` UTF-16 code units, never half a code point. */
export function cutText(text: string, max: number): string {
  return text.length <= max ? text : text.slice(0, max).replace(/[\ud800-\udbff]$/, '');
}

/** A code fence around a text, longer than any run of backticks in it, so that the text cannot close it. */
export function fence(text: string, language = ''): string {
  const ticks = '`'.repeat(Math.max(3, longestRun(text) + 1));
  const body = text.replace(/\r\n?/g, '\n').replace(/\n$/, '');
  return `${ticks}${language}\n${body}\n${ticks}`;
}

/** Inline code of one line; longer than any run of backticks in it. Empty text has no code span and gives an empty string. */
export function inlineCode(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  if (line === '') return '';
  const ticks = '`'.repeat(longestRun(line) + 1);
  const pad = line.startsWith('`') || line.endsWith('`') ? ' ' : '';
  return `${ticks}${pad}${line}${pad}${ticks}`;
}

function longestRun(text: string): number {
  let longest = 0;
  for (const run of text.matchAll(/`+/g)) longest = Math.max(longest, run[0].length);
  return longest;
}

/**
 * The beginning and the end of a long text with a note between them: of a test run the end matters most.
 * @param max most UTF-16 code units of the text that are kept
 */
export function headAndTail(text: string, max: number): string {
  if (text.length <= max) return text;
  const head = cutText(text, Math.floor(max / 4));
  const tail = text.slice(text.length - (max - head.length)).replace(/^[\udc00-\udfff]/, '');
  return `${head}\n… ${text.length - head.length - tail.length} characters omitted …\n${tail}`;
}

/** Longest title of an agent session; Linear takes 255 characters, its list shows fewer. */
const MAX_HEADLINE = 120;

/**
 * What a text is about, in one line without Markdown: its first line or, if that is long, its first sentence.
 * @returns '' for a text without text
 */
export function headline(text: string): string {
  const line = text
    .split('\n')
    .map((raw) => raw.replace(/^\s*(#{1,6}|[-*+>]|\d+[.)])\s+/, '').trim())
    .find((candidate) => /\p{L}/u.test(candidate) && !/^(```|~~~|!?\[[^\]]*\]\([^)]*\)$)/.test(candidate));
  const plain = (line ?? '')
    .replace(/!?\[([^\][]*)\]\([^()]*\)/g, '$1')
    .replace(/[*_`~]+/g, '')
    .replace(/\s+/g, ' ')
    .trim();
  const sentence = /^.{12,}?[.!?](?=\s)/u.exec(plain)?.[0] ?? plain;
  return cutText(sentence.replace(/[.:]$/, ''), MAX_HEADLINE);
}
