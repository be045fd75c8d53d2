/** Texts of others as Linear may show them: calling nobody, showing no foreign image, no longer than it takes (pure). */
import { cutMarkdown } from '../../../protocol/text/cut-markdown.ts';
import { linkedImages, linkedImagesBesideCode } from '../../../protocol/text/foreign-images.ts';

/** Longest body of an activity; Linear does not publish its own limit. */
export const MAX_BODY = 20_000;

/**
 * A text as body of an activity: of a size Linear takes, and calling nobody. Applying it twice changes nothing more.
 * @param fullLength length of the text before the journal cut it, where it did
 */
export function safeBody(text: string, fullLength?: number, max: number = MAX_BODY): string {
  const whole = safeMarkdown(text.trim());
  if (whole.length <= max && fullLength === undefined) return whole;
  return `${cutSafely(whole, max - 200)}\n\n_Cut here; the live page has the rest._`;
}

/** A cut may end code early, and what was text in it would be an image: then images in code are links too. */
function cutSafely(text: string, max: number): string {
  const cut = cutMarkdown(text, max);
  return linkedImages(cut) === cut ? cut : cutMarkdown(linkedImagesBesideCode(text), max);
}

/** U+2060, a character without width that keeps its neighbours apart. */
const JOINER = '\u2060';

/**
 * Takes away what would call someone: the agent's own mention would start it again, and Linear turns the address of a
 * profile into a mention of that person.
 */
export function safeText(text: string): string {
  return text.replace(/@(?=cyrus\b)/gi, `@${JOINER}`).replace(/(linear\.app\/[\w-]+\/)(?=profiles\/)/gi, `$1${JOINER}`);
}

/** The same for a text that Linear shows as Markdown: images of foreign hosts are links. */
export function safeMarkdown(text: string): string {
  return linkedImages(safeText(text));
}
