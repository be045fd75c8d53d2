/** What people wrote in a comment, without what Linear puts around it (pure). */
import { withoutBeginning, withoutEnding } from '../../../lib/linear-time.ts';

/** `@cyrus`, `[@cyrus](https://linear.app/…)` and the bare address of a profile, as Linear writes a mention. */
const MENTION =
  /(?:\[@?[^\]\n]{1,80}\]\(https?:\/\/[^)\s]{0,200}\/profiles\/[^)\s]{0,200}\)|<?https?:\/\/\S{0,200}\/profiles\/[^\s>]{1,200}>?|@[\p{L}\p{N}_.-]+)[\s,:;]*/uy;
/** Linear escapes what Markdown would take for its own. */
const ESCAPED = /\\([!-/:-@[-`{-~])/g;

/** @returns the words alone: no mention before them, no Markdown escapes, no space around them */
export function spokenWords(text: string): string {
  const said = text.trim();
  let from = 0;
  for (MENTION.lastIndex = 0; MENTION.test(said); ) from = MENTION.lastIndex;
  return said.slice(from).replace(ESCAPED, '$1').trim();
}

/** The same for comparisons: one case, one form of each character, single spaces, no quotes around it, no full stop after it. */
export function comparable(text: string): string {
  const plain = text
    .normalize('NFKC')
    .toLowerCase()
    .replace(/\p{Default_Ignorable_Code_Point}/gu, '')
    .replace(/\s+/g, ' ');
  return withoutBeginning(withoutEnding(plain, /[\s"'`*_“”„«»‘’「」.!。！]/u), /[\s"'`*_“”„«»‘’「」]/u);
}
