/** Markdown that is cut to a length: what the cut leaves open would swallow whatever comes after it. Pure. */

import { cutText } from '../../lib/markdown.ts';
import { openFence, splitCode } from './markdown-code.ts';

/**
 * The beginning of a text, with the code block and the `<details>` closed in which the cut falls.
 * @param max most UTF-16 code units, closing marks included
 */
export function cutMarkdown(text: string, max: number): string {
  const whole = text.length <= max ? closedMarkdown(text) : null;
  if (whole !== null && whole.length <= max) return whole;
  // The closing marks depend on where it is cut, and that on their length.
  let room = max;
  for (let tries = 0; tries < 20; tries++) {
    const kept = closedMarkdown(cutText(text, room));
    if (kept.length <= max) return kept;
    room = Math.max(0, room - (kept.length - max));
  }
  // So little room that not even what closes it fits: it is cut before what is opened.
  const cut = cutText(text, room);
  return cutText(cut, Math.min(openFence(cut)?.at ?? room, cut.search(/<details\b/i) >>> 0));
}

/** A text that was cut already, with what the cut left open closed. Applying it twice changes nothing more. */
export function closedMarkdown(text: string): string {
  const open = openFence(text);
  const closed = open === null ? text : `${text.endsWith('\n') ? text : `${text}\n`}${open.fence}`;
  const prose = splitCode(closed, { nested: false, acrossLines: false }).filter(({ isCode }) => !isCode);
  let folds = 0;
  for (const { text: part } of prose) {
    // One that closes nothing does not make up for one that is opened after it.
    for (const [tag] of part.matchAll(/<(?:details\b|\/details\s*>)/gi))
      folds = tag.startsWith('</') ? Math.max(0, folds - 1) : folds + 1;
  }
  return folds > 0 ? `${closed}\n\n${'</details>'.repeat(folds)}` : closed;
}
