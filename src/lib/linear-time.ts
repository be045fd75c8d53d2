/**
 * Work on foreign text that takes time in proportion to its length, whatever is in it. A regular expression that looks for
 * the same from every place of a text does not. Pure; known to the Worker, the sandbox server and the page.
 */

/** The text without the characters at its end that `drops` names. @param drops a string of them, or a pattern for one character */
export function withoutEnding(text: string, drops: string | RegExp): string {
  const isDropped = test(drops);
  let end = text.length;
  while (end > 0 && isDropped(text.charAt(end - 1))) end--;
  return text.slice(0, end);
}

/** The text without the characters at its beginning that `drops` names. */
export function withoutBeginning(text: string, drops: string | RegExp): string {
  const isDropped = test(drops);
  let begin = 0;
  while (begin < text.length && isDropped(text.charAt(begin))) begin++;
  return text.slice(begin);
}

function test(drops: string | RegExp): (character: string) => boolean {
  return typeof drops === 'string' ? (character) => drops.includes(character) : (character) => drops.test(character);
}

/** The text without all that is from an `open` to the next `close`, both included. What is opened and not closed stays. */
export function withoutSections(text: string, open: string, close: string): string {
  const kept: string[] = [];
  let at = 0;
  for (let begin = text.indexOf(open); begin >= 0; begin = text.indexOf(open, at)) {
    const end = text.indexOf(close, begin + open.length);
    if (end < 0) break;
    kept.push(text.slice(at, begin));
    at = end + close.length;
  }
  return kept.join('') + text.slice(at);
}
