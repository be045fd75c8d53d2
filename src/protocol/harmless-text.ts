/**
 * Words that a git host or Linear would act on, made into text alone: they look the same, close nothing, mention nobody and
 * link nothing. Pure; known to both sides of the gateway.
 */

/** U+2060, a character without width that keeps its neighbours apart. */
const JOINER = '\u2060';
/** Code is left as it is: nobody reads commands in it. */
const CODE = /(^ {0,3}(?:`{3,}|~{3,})[^\n]*\n[\s\S]*?(?:^ {0,3}(?:`{3,}|~{3,})[ \t]*$|$(?![\s\S]))|`[^`\n]+`)/m;
/**
 * GitHub's, GitLab's and Linear's words that close or link what is named after them (linear.app/docs/github,
 * docs.github.com/…/linking-a-pull-request-to-an-issue, docs.gitlab.com/user/project/issues/managing_issues).
 */
const MAGIC =
  /\b(clos(?:e[sd]?|ing)|fix(?:e[sd]|ing)?|resolv(?:e[sd]?|ing)|complet(?:e[sd]?|ing)|implement(?:s|ed|ing)?|refs?|references|part of|relate[sd] to|contributes to|towards?|skip|ignore)\b(:?[ \t]+)(?=(?:(?:issues?|tasks?|bugs?|and|the)[ \t]+)?[^\s]*(?:#\d|[a-z][a-z\d]*-\d|\/issues?\/|\/pull\/|\/merge_requests\/|linear\.app\/))/gi;
/** What follows in a list: "fixes ENG-1, ENG-2 and #3" closes them all, so each is kept apart by itself too. */
const NUMBER = /(^|[\s([{,;:/]|\b[\w.-]+\/[\w.-]+)(#|GH-|!)(?=\d)/gi;
const KEY = /\b([A-Za-z][A-Za-z0-9]{0,9})-(?=\d+\b)/g;
/** Names of standards, which are no issues of anybody's. */
const STANDARDS = /^(utf|sha|iso|rfc|aes|rsa|md|es|http|cve|base|ipv|ucs|x)$/i;

/** Claude's words, or anybody's, in Markdown. They may repeat what anybody wrote into an issue. */
export function harmlessMarkdown(text: string): string {
  return withoutControls(text)
    .split(CODE)
    .map((part, index) => (index % 2 === 1 ? part : harmlessWords(part)))
    .join('')
    .replaceAll('<!--', '&lt;!--');
}

/** The same for one line of plain text, in which there is no code: a title, a subject. `own` stays as it is. */
export function harmlessLine(text: string, own: string | null = null): string {
  const line = withoutControls(text).replace(/\s+/g, ' ').trim();
  return harmlessWords(line).replace(KEY, (whole, key: string, at: number, all: string) => {
    if (own !== null && all.slice(at).toLowerCase().startsWith(own.toLowerCase())) return whole;
    return STANDARDS.test(key) ? whole : `${key}-${JOINER}`;
  });
}

function harmlessWords(text: string): string {
  return text
    .replace(/@(?=[a-z\d])/gi, `@${JOINER}`)
    .replace(MAGIC, (_, word: string, space: string) => `${word[0] ?? ''}${JOINER}${word.slice(1)}${space}`)
    .replace(
      /(https?:\/\/)github\.com(?=\/[\w.-]+\/[\w.-]+\/(?:issues|pull|discussions|commit)\/)/gi,
      '$1redirect.github.com',
    )
    .replace(NUMBER, (_, before: string, mark: string) => `${before}${mark}${JOINER}`);
}

/** Without control characters other than line breaks and tabs, and without those that turn the direction of text. */
export function withoutControls(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is to be found
  return text.replace(/\r\n?/g, '\n').replace(/[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g, '');
}

/** At most so many UTF-16 code units, without cutting a character in two. */
export function cutWhole(text: string, max: number): string {
  if (text.length <= max) return text;
  const last = text.charCodeAt(max - 1);
  // Half of a pair is left out.
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? max - 1 : max);
}
