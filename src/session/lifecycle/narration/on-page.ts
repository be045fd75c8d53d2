/** How Linear is told what people say on the page, where they signed in with their names (pure). */
import { cutText } from '../../../lib/markdown.ts';
import { safeMarkdown, safeText } from './safe-text.ts';

const MAX_NAME = 100;
/** Most of what was said that is repeated in the thread, in UTF-16 code units. */
const MAX_SAID = 2_000;

/** A person by their name, and that they were on the page: "Ada Example on the page". */
export function nameOnPage(author: string): string {
  return `${safeText(cutText(author.replace(/\s+/g, ' ').trim(), MAX_NAME))} on the page`;
}

/** What a person said on the page, for the thread. */
export function saidOnPage(author: string, text: string): string {
  const said = text.length > MAX_SAID ? `${cutText(text, MAX_SAID)}…` : text;
  const quoted = safeMarkdown(said)
    .split('\n')
    .map((line) => `> ${line}`)
    .join('\n');
  return `${nameOnPage(author)}:\n\n${quoted}`;
}
