/** What people wrote in a comment, without what Linear puts around it (pure). */

/** `@cyrus`, `[@cyrus](https://linear.app/…)` and the bare address of a profile, as Linear writes a mention. */
const MENTION =
  /^\s*(?:\[@?[^\]\n]{1,80}\]\(https?:\/\/[^)\s]*\/profiles\/[^)\s]*\)|<?https?:\/\/\S*\/profiles\/[^\s>]+>?|@[\p{L}\p{N}_.-]+)[\s,:;]*/u;
/** Linear escapes what Markdown would take for its own. */
const ESCAPED = /\\([!-/:-@[-`{-~])/g;

/** @returns the words alone: no mention before them, no Markdown escapes, no space around them */
export function spokenWords(text: string): string {
  let said = text.trim();
  for (let rest = said.replace(MENTION, ''); rest !== said; rest = said.replace(MENTION, '')) said = rest;
  return said.replace(ESCAPED, '$1').trim();
}

/** The same for comparisons: one case, one form of each character, single spaces, no quotes around it, no full stop after it. */
export function comparable(text: string): string {
  return text
    .normalize('NFKC')
    .toLowerCase()
    .replace(/\p{Default_Ignorable_Code_Point}/gu, '')
    .replace(/\s+/g, ' ')
    .replace(/^[\s"'`*_“”„«»‘’「」]+|[\s"'`*_“”„«»‘’「」.!。！]+$/gu, '');
}
