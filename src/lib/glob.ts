/**
 * Patterns by which an admin names branches and paths: `*` is any text without a slash, `**` any text, `?` one character that is no
 * slash; before a slash `**` may also be nothing. Everything else stands for itself. Pure; takes time in proportion to pattern times text.
 */
import * as z from 'zod';

/** A pattern as it may be set. */
export const globSchema = z
  .string()
  .trim()
  .min(1)
  .max(200)
  .regex(/^[^\p{Cc}\p{Cf}\\]+$/u, 'a pattern of visible characters, without backslashes, e.g. release/*');

/** Longest text that is compared, in UTF-16 code units; what is longer fits no pattern. */
const MAX_TEXT = 4_096;

/** Whether the whole text fits the pattern. @param ignoresCase for hosts and file systems that make no difference */
export function fitsGlob(text: string, pattern: string, ignoresCase = false): boolean {
  if (text.length > MAX_TEXT) return false;
  const [subject, tokens] = ignoresCase
    ? [text.toLowerCase(), tokensOf(pattern.toLowerCase())]
    : [text, tokensOf(pattern)];
  // Which beginnings of the text fit the tokens so far.
  let fits = new Uint8Array(subject.length + 1);
  fits[0] = 1;
  for (const token of tokens) fits = afterToken(token, subject, fits);
  return fits[subject.length] === 1;
}

/** `**` followed by a slash is one token. */
function tokensOf(pattern: string): string[] {
  return pattern.match(/\*\*\/|\*\*|[\s\S]/gu) ?? [];
}

function afterToken(token: string, text: string, fits: Uint8Array): Uint8Array<ArrayBuffer> {
  const next = new Uint8Array(text.length + 1);
  let isOpen = false;
  for (let end = 0; end <= text.length; end++) {
    const last = end === 0 ? '' : text.charAt(end - 1);
    switch (token) {
      case '*':
        isOpen = fits[end] === 1 || (isOpen && last !== '/');
        next[end] = isOpen ? 1 : 0;
        break;
      case '**':
        isOpen ||= fits[end] === 1;
        next[end] = isOpen ? 1 : 0;
        break;
      case '**/':
        if (fits[end] === 1 || (isOpen && last === '/')) next[end] = 1;
        isOpen ||= fits[end] === 1;
        break;
      case '?':
        if (end > 0 && last !== '/' && fits[end - 1] === 1) next[end] = 1;
        break;
      default:
        if (end >= token.length && fits[end - token.length] === 1 && text.startsWith(token, end - token.length)) {
          next[end] = 1;
        }
    }
  }
  return next;
}
