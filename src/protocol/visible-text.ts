/** Text that people judge before it is run: nothing in it may be invisible or look like something else. Pure. */

/** Control, format (bidirectional, zero-width, tag), line and paragraph separators, and letters that show as blanks. */
const DISGUISES = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\u115f\u1160\u3164\uffa0]/gu;

/** The text with such characters written out, e.g. `\u{202e}`; tabs and line ends stay. */
export function withoutDisguise(text: string): string {
  return text.replace(DISGUISES, (character) =>
    character === '\n' || character === '\t' ? character : `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );
}
