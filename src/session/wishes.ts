/**
 * Wishes in what people write (pure): `[repo=owner/name#branch]` and `[model=opus]`. Linear keeps Markdown, which is not what was
 * typed: it puts a backslash before punctuation and makes links of what looks like an address. What stands in code is quoted, not
 * wished.
 */
import { withoutCode } from '../protocol/markdown-code.ts';
import { cutWhole } from '../protocol/sendable-text.ts';
import { spokenWords } from './spoken.ts';

/** A repository that a text names; `unreadable`: something stands in its place that is no name of one. */
export type RepositoryWish =
  | { kind: 'named'; name: string; branch: string | null }
  | { kind: 'unreadable'; written: string };

const WISH = /\[\s{0,20}(repo|repository|model)\s{0,20}[=:]([^\][\n]{0,300})\]/gi;
const MAX_SHOWN = 80;

/** What a person typed, of what Linear made of it: without code, escapes and links. */
export function typedText(markdown: string): string {
  return withoutCode(markdown.replace(/\r\n?/g, '\n'), { nested: true, acrossLines: true })
    .replace(/\\([!-/:-@[-`{-~])/g, '$1')
    .replace(/<((?:https?:\/\/|mailto:)[^\s<>]*)>/gi, '$1')
    .replace(/\[([^\][]*)\]\([^()\s]*\)/g, '$1');
}

/** The repository that a text wishes for; of several wishes the last. Null: none. */
export function repositoryWish(markdown: string): RepositoryWish | null {
  const written = lastWish(markdown, /^repo/i);
  if (written === null) return null;
  const unreadable: RepositoryWish = { kind: 'unreadable', written: cutWhole(written, MAX_SHOWN) };
  const address =
    /^(?:https?:\/\/|git@|ssh:\/\/git@)[^/:\s]+[/:]([\w.-]+(?:\/[\w.-]+)*?\/[\w.-]+?)(?:\.git)?(?:\/(?:-\/)?tree\/([\w./-]+))?\/?(?:#([\w./-]+))?$/.exec(
      written,
    );
  if (address?.[1]) return { kind: 'named', name: address[1], branch: address[2] ?? address[3] ?? null };
  const name = /^([\w.-]+(?:\/[\w.-]+)*)(?:#([\w./-]+))?$/.exec(written);
  return name?.[1] ? { kind: 'named', name: name[1], branch: name[2] ?? null } : unreadable;
}

/** The model that a text wishes for, as it is written; of several wishes the last. Null: none. */
export function modelWish(markdown: string): string | null {
  return lastWish(markdown, /^model/i);
}

const MAX_SPOKEN = 120;
/** Words by which people ask for something to be used, in many languages. */
const USE =
  /(?<!\p{L})(?:use|using|try|take|switch|change|continue|go on|proceed|with|on|prefer|please|instead|then|nimm|nehm\p{L}*|benutz\p{L}*|verwende\p{L}*|mit|wechs\p{L}*|bitte|utilise[rz]?|avec|prends|prenez|usa|usar|utiliza|con|com|por favor|gebruik|met|brug|använd|med|użyj|z|použij|s|käytä|kullan|ile|hãy|dùng|pakai|gunakan|используй\p{L}*|возьми\p{L}*|с|на|використай|з|استخدم|تמש|השתמש|עם)(?!\p{L})|使用|改用|换|換|用|使って|使う|切り替え|で続|でお願|사용|써|바꿔|로|ใช้|इस्तेमाल|उपयोग/iu;
const NOT =
  /(?<!\p{L})(?:not|don't|dont|no|never|without|nicht|kein\p{L}*|ohne|ne|pas|sans|sin|não|sem|niet|geen|zonder|не|без|ikke|inte)(?!\p{L})|[?？؟]\s*$|不要|别|ない|말고/iu;

/** What is to be used no more: "instead of Opus". */
const OTHER_THAN =
  /(?<!\p{L})(?:instead of|rather than|and not|, not|statt|anstatt|au lieu d[e'’]|plutôt que|en lugar de|en vez de|em vez de|invece di|in plaats van|вместо)\s*\p{L}+/giu;

/**
 * The family of models that a short comment asks for in plain words: "please use Sonnet then". Issues and longer texts speak of models
 * without a wish, so only a tag counts there.
 * @param families names of models, lower case
 */
export function spokenModel(markdown: string, families: readonly string[]): string | null {
  const text = spokenWords(typedText(markdown)).replace(/[’‘]/g, "'");
  const wished = text.replace(OTHER_THAN, ' ');
  if (text === '' || text.length > MAX_SPOKEN || NOT.test(wished)) return null;
  const named = families.filter((family) => new RegExp(`(?<![a-z])${family}(?![a-z])`, 'i').test(wished));
  const isShort = text.split(/\s+/).length <= 3;
  return named.length === 1 && (isShort || USE.test(text)) ? (named[0] ?? null) : null;
}

function lastWish(markdown: string, what: RegExp): string | null {
  const wishes = [...typedText(markdown).matchAll(WISH)].filter(([, kind = '']) => what.test(kind));
  return wishes.at(-1)?.[2]?.trim() ?? null;
}

const STOP_WORDS =
  /^(?:please\s+|bitte\s+)?(?:stop|halt|cancel|abort|stopp|anhalten|abbrechen|arrête[zr]?|detente|detén|para|pare|ferma(?:ti)?|стоп|остановись|停止|止めて|やめて|停下|停|중지|멈춰)(?:\s+(?:it|this|that|now|here|please|bitte|working|work|everything|all|jetzt|sofort))*$/iu;

/** Whether a comment says no more than that the work is to stop. */
export function isPlainStop(markdown: string): boolean {
  const words = typedText(markdown)
    .replace(/<user\b[^<>]*>[^<]*<\/user>/gi, ' ')
    .replace(/(^|\s)@[\w.-]+/g, ' ')
    .replace(/[\s.!,…！。]+/gu, ' ')
    .trim();
  return words.length <= 60 && STOP_WORDS.test(words);
}
