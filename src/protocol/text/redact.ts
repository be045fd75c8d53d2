/** What a log may say of a text that comes from elsewhere: nothing that looks like a token, and not too much of it. Pure. */
import { cutWhole, sendable } from './sendable-text.ts';

/** Most of a text that a log keeps, in UTF-16 code units. */
const MAX_VALUE_LENGTH = 2_000;
/** Takes the place of a secret. */
export const REDACTED = '[redacted]';

/** What tokens look like: Cyrus's own, Claude's and OpenAI's, GitHub's, GitLab's, Linear's, Slack's, npm's, AWS's, JWTs, header values, addresses with a password. */
const secretLooks: readonly [RegExp, string][] = [
  [/\bcyrus_(?:st|pat)_[\w.-]+/g, REDACTED],
  [/\bsk-ant-[\w-]+/g, REDACTED],
  [/\bsk-[\w-]{20,}/g, REDACTED],
  [/\bxox[a-z]-[\w-]{10,}/g, REDACTED],
  [/\bnpm_\w{20,}/g, REDACTED],
  [/\bA[KS]IA[A-Z0-9]{16}\b/g, REDACTED],
  // Also with a JWT behind the App's id, which has dots and dashes (`ghs_1001_eyJ….….…`).
  [/\bgh[a-z]_\w[\w.-]*/g, REDACTED],
  [/\bgithub_pat_\w+/g, REDACTED],
  [/\bglpat-[\w.-]+/g, REDACTED],
  [/\blin_[a-z]+_\w+/g, REDACTED],
  // An address at which anybody may write.
  [/\bhooks\.slack\.com\/[\w/-]+/g, REDACTED],
  [/\beyJ[\w-]+\.[\w-]+\.[\w-]+/g, REDACTED],
  [/\b(Bearer|Basic)(\s+|%20)[\w+/=.~-]{6,}/gi, `$1 ${REDACTED}`],
  [/\/\/[^\s/@:]*:[^\s/@]+@/g, `//${REDACTED}@`],
];

/** A short text of plain characters in which nothing looks like a token: ids and names, most of what is logged. */
const PLAIN = /^[\x20-\x7e]{0,200}$/;
const SUSPECT =
  /cyrus_(?:st|pat)_|sk-|xox[a-z]-|npm_|a[ks]ia|gh[a-z]_|github_pat_|glpat-|lin_|eyJ|bearer|basic|hooks\.slack|\/\//i;

/**
 * Takes out of a text everything that looks like a token, and control characters, and cuts it.
 * @returns the text, at most 2,000 characters of it, with `[redacted]` in place of each token
 */
export function redact(text: string): string {
  if (PLAIN.test(text) && !SUSPECT.test(text)) return text;
  // Cut generously first: a huge text costs no more than its beginning, and a token at the final cut is still whole here.
  const clean = withoutTokens(sendable(cutWhole(text, 2 * MAX_VALUE_LENGTH)));
  return clean.length > MAX_VALUE_LENGTH || text.length > 2 * MAX_VALUE_LENGTH
    ? `${cutWhole(clean, MAX_VALUE_LENGTH)}… (${text.length} characters)`
    : clean;
}

/** A text with `[redacted]` in place of everything that looks like a token, else as it is. */
export function withoutTokens(text: string): string {
  return secretLooks.reduce((clean, [looks, replacement]) => clean.replace(looks, replacement), text);
}
