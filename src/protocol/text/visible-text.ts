/** Text that people judge before it is run: nothing in it may be invisible or look like something else. Pure. */

/**
 * Control and format characters (bidirectional, zero-width, tag), all that Unicode says is not to be seen, separators of lines and
 * paragraphs, blanks that are no space to a shell, what is no character, and halves of one.
 */
const DISGUISES =
  /(?! )[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}\p{Zs}\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}\u2800]/gu;

/** The text with such characters written out, e.g. `\u{202e}`; tabs and line ends stay. */
export function withoutDisguise(text: string): string {
  return text.replace(DISGUISES, (character) =>
    character === '\n' || character === '\t' ? character : `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );
}

/** A value of plain data with every text in it, names of fields included, as `withoutDisguise` has it. */
export function visibleData(value: unknown): unknown {
  if (typeof value === 'string') return withoutDisguise(value);
  if (Array.isArray(value)) return value.map(visibleData);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [withoutDisguise(name), visibleData(inner)] as const),
  );
}
