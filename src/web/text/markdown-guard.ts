/** Longer text in one piece is shown plain; what people and Claude write has blank lines. */
const MAX_LENGTH = 24_000;
/** Characters that may open something which only ends at the end of the text, so that each is compared with each. */
const MAX_DELIMITERS = 2_000;
/** More than 20 quotes or lists in one another, opened on one line. */
const DEEP_NESTING = /^[ \t]*(?:(?:>|[-+*][ \t]|\d{1,9}[.)][ \t])[ \t]*){20}/m;

/**
 * Whether Markdown can be parsed in a moment. Parsing takes time that grows with the square of the number of its
 * delimiters: measured with react-markdown 10, 64 kB of `*a_ ` take a minute, 2,000 delimiters at most a quarter of a
 * second. Repository content and issues are not trusted to be kind.
 */
export function isCheapMarkdown(text: string): boolean {
  if (text.length > MAX_LENGTH) return false;
  let delimiters = 0;
  for (const character of text) {
    if (DELIMITERS.has(character)) delimiters += 1;
    if (delimiters > MAX_DELIMITERS) return false;
  }
  return !DEEP_NESTING.test(text);
}

const DELIMITERS = new Set(['*', '_', '~', '<', '>', '[']);

/**
 * Only addresses of the web become links; everything else (`javascript:`, `file:`, paths of the repository) stays text.
 * Returns the address, or undefined.
 */
export function webAddress(href: string | null | undefined): string | undefined {
  return href != null && /^https?:\/\//i.test(href) ? href : undefined;
}
