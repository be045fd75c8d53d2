/**
 * Words that a git host or Linear would act on, made into text alone: they look the same, close nothing, mention nobody and
 * link nothing. Pure; known to both sides of the gateway.
 */

import { cleanText } from './clean-text.ts';
import { linkedImagesBesideCode } from './foreign-images.ts';
import { splitCode } from './markdown-code.ts';

/** U+2060, a character without width that keeps its neighbours apart. */
const JOINER = '\u2060';
/**
 * A line that may begin a block of HTML, in which a fence is none (spec.commonmark.org 0.31, 4.6). If there is one, nothing
 * counts as code.
 */
const HTML_LINE = /^ {0,3}<[a-z/!?]/im;
/**
 * GitHub's, GitLab's and Linear's words that close or link what is named after them (linear.app/docs/github,
 * docs.github.com/…/linking-a-pull-request-to-an-issue, docs.gitlab.com/user/project/issues/managing_issues), also on the next line,
 * in a list, or in bold.
 */
const MAGIC =
  /\b(clos(?:e[sd]?|ing)|fix(?:e[sd]|ing)?|resolv(?:e[sd]?|ing)|complet(?:e[sd]?|ing)|implement(?:s|ed|ing)?|refs?|references?|part of|relate[sd]? to|contribut(?:es?|ing) to|towards?|skip|ignore|duplicates?|duplicate of|mentions?|blocks|blocked by|unblocks|reopens?|reopened)\b([*_~]{0,3}:?[*_~]{0,3}\s+)(?=(?:[-*+>]\s+)?(?:(?:issues?|tasks?|tickets?|bugs?|and|the)\s+){0,2}[^\s]*(?:#\d|[a-z][a-z\d]{0,9}-\d|!\d|\/issues?\/|\/pull\/|\/merge_requests\/|linear\.app\/))/gi;
/** A number of an issue or a pull request: `#1`, `GH-1`, `owner/name#1`, GitLab's `!1`. */
const NUMBER = /(?<![&\w])(GH-)(?=\d)|(?<!&)(#)(?=\d)|(?<![\w!])(!)(?=\d)/gi;
const ANY_KEY = /\b([A-Za-z][A-Za-z0-9]{0,9})-(?=\d+\b)/g;
/** The same as it is by itself, not as part of a path or a longer name. */
const KEY = /(?<![\w/.@-])([A-Za-z][A-Za-z0-9]{0,9})-(?=\d+\b)/g;
/** Names of standards, which are no issues of anybody's. */
const STANDARDS =
  /^(utf|sha|iso|rfc|aes|rsa|md|es|http|cve|cwe|base|ipv|ucs|x|gpt|pep|tls|ecma|ieee|ansi|covid|gpl|mpl|agpl|lgpl|apache|bsd)$/i;
const ADDRESS = /(\b(?:https?:\/\/|www\.)[^\s<>()[\]"'`]+)/gi;

/**
 * Claude's words, or anybody's, in Markdown. They may repeat what anybody wrote into an issue.
 * @param own identifier of the issue that the text is about, which stays as it is
 */
export function harmlessMarkdown(text: string, own: string | null = null): string {
  const plain = cleanText(text);
  const split = splitCode(plain, { nested: false, acrossLines: false });
  const isSure = split.every(({ text: part, isCode }) => isCode || !HTML_LINE.test(part));
  return (isSure ? split : [{ text: plain, isCode: false }])
    .map(({ text: part, isCode }, at, all) => {
      if (isCode) return harmlessCode(part);
      const next = all[at + 1];
      const before = next?.isCode ? apartFrom(part, next.text.slice(0, LOOK_AHEAD)) : part;
      return harmlessKeys(harmlessSegment(linkedImagesBesideCode(before)), own, /^[A-Z][A-Z\d]*$/);
    })
    .join('')
    .replaceAll('<!--', '&lt;!--');
}

/** The same for one line of plain text, in which there is no code: a title, a subject. `own` stays as it is. */
export function harmlessLine(text: string, own: string | null = null): string {
  const line = cleanText(text).replace(/\s+/g, ' ').trim();
  // Linear looks for identifiers in the whole of a title, addresses included.
  const inAddress = /\b([A-Za-z][A-Za-z0-9]{0,9}-)(\d)(?=\d*\b)/g;
  return besidesAddresses(
    harmlessKeys(harmlessSegment(line), own),
    (part) => part,
    (part) => part.replace(inAddress, (_, key: string, digit: string) => `${key}%3${digit}`),
  );
}

/** The same for a commit message, in which git hosts know no code. */
export function harmlessPlain(text: string, own: string | null = null): string {
  return harmlessKeys(harmlessSegment(cleanText(text)), own, /^[A-Z][A-Z\d]*$/);
}

/** Identifiers of Linear's, such as ENG-123, unless they name a standard or the issue itself. @param isKey which words may be one; null: any, wherever it is */
function harmlessKeys(text: string, own: string | null, isKey: RegExp | null = null): string {
  return besidesAddresses(text, (part) =>
    part.replace(isKey === null ? ANY_KEY : KEY, (whole, key: string, at: number, all: string) => {
      // Bounded: an identifier without repetitions, at one place.
      const isOwn = own !== null && new RegExp(`^${own}(?!\\d)`, 'i').test(all.slice(at));
      return isOwn || STANDARDS.test(key) || isKey?.test(key) === false ? whole : `${key}-${JOINER}`;
    }),
  );
}

function harmlessSegment(text: string): string {
  const broken = text.replace(MAGIC, (_, word: string, space: string) => apart(word) + space);
  return besidesAddresses(
    broken,
    (part) => part.replace(/@(?=[a-z\d_])/gi, `@${JOINER}`).replace(NUMBER, (mark) => `${mark}${JOINER}`),
    harmlessAddress,
  );
}

/** As far as a word that closes is looked after, in UTF-16 code units. */
const LOOK_AHEAD = 80;

/** A word that closes what the code after it names: "fixes `ENG-1`". Linear reads the text, not the Markdown. */
function apartFrom(text: string, after: string): string {
  return (text + after)
    .replace(MAGIC, (whole, word: string, space: string, at: number) =>
      at + word.length > text.length ? whole : apart(word) + space,
    )
    .slice(0, -after.length || undefined);
}

/**
 * Code stays as it is, for people copy it; only a word that closes an issue of Linear's, which knows no code, is kept apart. Words before
 * what merely looks like an identifier stay.
 */
function harmlessCode(code: string): string {
  return code.replace(MAGIC, (whole, word: string, space: string, at: number) => {
    const named = code.slice(at + whole.length, at + whole.length + LOOK_AHEAD).split('\n', 1)[0] ?? '';
    const keys = [...named.matchAll(/\b([A-Z][A-Z\d]{0,9})-\d/g)].map(([, key = '']) => key);
    const isClosing = named.includes('linear.app/') || keys.some((key) => !STANDARDS.test(key));
    return isClosing ? apart(word) + space : whole;
  });
}

function apart(word: string): string {
  return `${word[0] ?? ''}${JOINER}${word.slice(1)}`;
}

/** An address of an issue or the like leads there still, and no git host takes it for a reference. */
function harmlessAddress(address: string): string {
  return address
    .replace(
      /^(?:(https?:\/\/)(?:www\.)?|www\.)github\.com(?=\/[\w.-]+\/[\w.-]+\/(?:issues|pull|discussions|commit)\/)/i,
      (_, scheme: string | undefined) => `${scheme ?? 'https://'}redirect.github.com`,
    )
    .replace(
      /^(https?:\/\/(?!redirect\.github\.com|github\.com)[^/]+\/.*?\/(?:issues|pull|discussions|merge_requests)\/)(\d)/i,
      (_, before: string, digit: string) => `${before}%3${digit}`,
    );
}

function besidesAddresses(
  text: string,
  change: (part: string) => string,
  address: (part: string) => string = (part) => part,
): string {
  return text
    .split(ADDRESS)
    .map((part, index) => (index % 2 === 1 ? address(part) : change(part)))
    .join('');
}

/** At most so many UTF-16 code units, without cutting a character in two. */
export function cutWhole(text: string, max: number): string {
  if (text.length <= max) return text;
  const last = text.charCodeAt(max - 1);
  // Half of a pair is left out.
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? max - 1 : max);
}
