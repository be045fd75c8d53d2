/**
 * Images that a page would load from wherever a text says: the one who looks at the text, or the service that shows it, would ask a host
 * that nobody chose, with what the text's author put into the address. They become links, which people follow or do not. Pure.
 */
import { splitCode } from './markdown-code.ts';

/** U+2060, a character without width that keeps its neighbours apart. */
const JOINER = '\u2060';
/**
 * An image that may stay, at its `!`: a file beside the text, or one that Linear itself keeps. Its address is written plainly, for what
 * is escaped, or named by a character's number, leads elsewhere. Its words have nothing that hides the bracket behind them: an escape, code,
 * an element or an address in angle brackets, after which another address could follow.
 */
const OWN =
  /!\[[^[\]\\`<]{0,500}\]\((?:https:\/\/uploads\.linear\.app\/[\w./%?=&+~-]{1,2000}|(?!\/)[\w./-]{1,500})(?: {1,3}"[^"\n]{0,200}")?\)/y;
/** What begins an image in Markdown, or an element of HTML that has something loaded. */
const BEGINNING =
  /!\[(\]?)|<(?=(?:img|image|picture|source|video|audio|track|svg|object|embed|iframe|frame|link|style|input)\b)/gi;
/** A line that may begin a block of HTML, in which nothing is code (spec.commonmark.org 0.31, 4.6). */
const HTML_LINE = /^ {0,3}<[a-z/!?]/im;

/** A text in Markdown, code and all, whose images of other hosts are links. Twice changes nothing more. */
export function linkedImages(markdown: string): string {
  if (!markdown.includes('![') && !markdown.includes('<')) return markdown;
  const split = splitCode(markdown, { nested: false, acrossLines: false });
  const isSure = split.every(({ text, isCode }) => isCode || !HTML_LINE.test(text));
  if (!isSure) return linkedImagesBesideCode(markdown);
  return split.map(({ text, isCode }) => (isCode ? text : linkedImagesBesideCode(text))).join('');
}

/** The same for a text in which nothing is code. */
export function linkedImagesBesideCode(text: string): string {
  return text.replace(BEGINNING, (whole, empty: string | undefined, at: number) => {
    if (!whole.startsWith('!')) return '&lt;';
    OWN.lastIndex = at;
    if (OWN.test(text)) return whole;
    return empty ? `!${JOINER}[image]` : `!${JOINER}[`;
  });
}
