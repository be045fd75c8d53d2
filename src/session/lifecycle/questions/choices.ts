/**
 * Options of a question: how they are listed, and which of them an answer means (pure). An option has an id of its own; its
 * place in the list counts only where no label could be mistaken for a place.
 */
import { fingerprint } from '../../../lib/fingerprint.ts';
import { comparable, spokenWords } from '../model/spoken.ts';

export interface Choice {
  /** Unique within its question. */
  id: string;
  label: string;
  /** What it means, or what would happen. */
  description?: string | undefined;
}

/** Labels with a digit, or that are a number in words, could be meant where a person writes a number. */
const HAS_NUMBER = /\p{N}|^(?:zero|one|two|three|four|five|six|seven|eight|nine|ten|none)\b/iu;
const SINGLE_LETTER = /^\p{L}[.):]?$/u;
const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';

/** What is before each option in a list: numbers; letters where a label has a number; null where neither would be clear. */
export function markersOf(choices: readonly Choice[]): string[] | null {
  if (!choices.some(({ label }) => HAS_NUMBER.test(label.trim()))) return choices.map((_, index) => `${index + 1}`);
  const isLettered = choices.some(({ label }) => SINGLE_LETTER.test(label.trim()));
  return isLettered || choices.length > LETTERS.length ? null : choices.map((_, index) => LETTERS.charAt(index));
}

/** The options as a Markdown list, with what each means. */
export function listWords(choices: readonly Choice[]): string {
  const markers = markersOf(choices);
  const isNumbered = markers?.[0] === '1';
  return choices
    .map(({ label, description }, index) => {
      const words = description ? `${label}: ${description.replace(/\s+/g, ' ').trim()}` : label;
      if (markers === null) return `- ${words}`;
      return isNumbered ? `${markers[index]}. ${words}` : `- **${markers[index]}** ${words}`;
    })
    .join('\n');
}

/**
 * Value of an option in Linear, which comes back as the text of the answer: the label for people, and in brackets which question
 * and which option it is.
 */
export function choiceValue(questionId: string, { label, id }: Choice): string {
  return `${label} (#${questionTag(questionId)}.${id})`;
}

const VALUE = /\(#([0-9a-z]{6})\.([0-9a-z-]{1,40})\)$/;

/** The question and the option that an answer names as `choiceValue` wrote them; null where it names none. */
export function readValue(text: string): { tag: string; optionId: string } | null {
  const match = VALUE.exec(text.trimEnd());
  return match?.[1] && match[2] ? { tag: match[1], optionId: match[2] } : null;
}

/** A text as people read it: without the ids that `choiceValue` adds. */
export function withoutIds(text: string): string {
  const whole = text.trimEnd();
  return VALUE.test(whole) ? whole.replace(VALUE, '').trimEnd() : text;
}

/** Short name of a question in `choiceValue`. */
export function questionTag(questionId: string): string {
  return fingerprint(questionId).padStart(6, '0').slice(-6);
}

/** What is longer than this, in UTF-16 code units, is an answer in words. */
const MAX_ANSWER = 2_000;

/**
 * The option that an answer means: by its label, by what is before it in the list, or by the only number that is in it.
 * @returns null where it means none for certain
 */
export function readChoice(text: string, choices: readonly Choice[]): Choice | null {
  if (text.length > MAX_ANSWER) return null;
  const said = comparable(spokenWords(text));
  if (said === '') return null;
  const labelled = choices.filter(({ label }) => comparable(label) === said);
  if (labelled.length > 0) return labelled.length === 1 ? (labelled[0] ?? null) : null;
  const marker = /^(?:option |#)?([\p{Nd}]{1,3}|[a-z])[.):]?$/u.exec(said)?.[1];
  if (marker === undefined) return null;
  const plain = plainDigits(marker);
  const place = markersOf(choices)?.findIndex((one) => one.toLowerCase() === plain) ?? -1;
  if (place >= 0) return choices[place] ?? null;
  const numbered = choices.filter(({ label }) => plainDigits(label).match(/\d+/g)?.includes(plain));
  return numbered.length === 1 ? (numbered[0] ?? null) : null;
}

/**
 * The options that an answer means where several may be chosen: "1, 3", "Red and Blue", each once and in the order of the list.
 * @returns null where a part of it means none for certain: then the answer is what was said
 */
export function readChoices(text: string, choices: readonly Choice[]): Choice[] | null {
  if (text.length > MAX_ANSWER) return null;
  const whole = readChoice(text, choices);
  if (whole) return [whole];
  // A label may have a comma or an "and" in it, so longer pieces are tried first.
  const pieces = spokenWords(text)
    .replace(/\s+/g, (space) => (space.includes('\n') ? '\n' : ' '))
    .replace(/^ ?[-*•] /gm, '')
    .split(/(\s?[,;\n&+、،؛，；]\s?|\s(?:and|und|et|y|e|en|og|och|i|и|و)\s)/u)
    .filter((piece) => piece !== undefined && piece.trim() !== '');
  const isSeparator = (piece: string) => /^\s*(?:[,;&+、،؛，；]|and|und|et|y|e|en|og|och|i|и|و)\s*$/u.test(piece);
  const found = new Set<Choice>();
  for (let from = 0; from < pieces.length; ) {
    const piece = pieces[from] ?? '';
    let to = pieces.length;
    let choice: Choice | null = null;
    for (; to > from && !choice; to--) choice = readChoice(pieces.slice(from, to).join(''), choices);
    if (choice) {
      found.add(choice);
      from = to + 1;
    } else if (isSeparator(piece)) from += 1;
    else return null;
  }
  return found.size > 0 ? choices.filter((choice) => found.has(choice)) : null;
}

/** Digits of any script as 0 to 9. */
function plainDigits(text: string): string {
  return text.replace(/\p{Nd}/gu, (digit) => {
    // The ten digits of a script follow each other, from a zero.
    for (let zero = digit.codePointAt(0) ?? 0, value = 0; ; zero--, value++) {
      if (value > 9 || !/\p{Nd}/u.test(String.fromCodePoint(zero - 1))) return String(value % 10);
    }
  });
}
