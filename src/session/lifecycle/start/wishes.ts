/**
 * Wishes in what people write (pure): `[repo=owner/name#branch]`, `[model=opus]` and `[effort=high]`. Linear keeps Markdown, which is not what was
 * typed: it puts a backslash before punctuation and makes links of what looks like an address. What is in code, in a quotation
 * or in a comment that nobody sees is not wished.
 */
import { withoutEnding, withoutSections } from '../../../lib/linear-time.ts';
import { withoutCode } from '../../../protocol/text/markdown-code.ts';
import { cutWhole } from '../../../protocol/text/sendable-text.ts';
import { spokenWords } from '../model/spoken.ts';

/** A repository that a text names; `unreadable`: something is in its place that is no name of one. */
export type RepositoryWish =
  | { kind: 'named'; name: string; branch: string | null }
  | { kind: 'unreadable'; written: string };

const WISH = /\[\s{0,20}(repo|repository|model|effort)\s{0,20}[=:]([^\][\n]{0,300})\]/gi;
const MAX_SHOWN = 80;

/** What a person typed, of what Linear made of it: without code, quotations, hidden comments, escapes and links. */
export function typedText(markdown: string): string {
  const written = withoutCode(markdown.replace(/\r\n?/g, '\n'), { nested: true, acrossLines: true });
  return withoutQuotes(withoutHidden(written))
    .replace(/\\([!-/:-@[-`{-~])/g, '$1')
    .replace(/<((?:https?:\/\/|mailto:)[^\s<>]*)>/gi, '$1')
    .replace(/\[([^\][]*)\]\([^()\s]*\)/g, '$1');
}

/** HTML comments are shown to nobody; one that is not closed hides the rest (spec.commonmark.org 0.31, 4.6). */
function withoutHidden(text: string): string {
  const rest = withoutSections(text, '<!--', '-->');
  const open = rest.indexOf('<!--');
  return open < 0 ? rest : rest.slice(0, open);
}

/** A sign of a list before what else a line begins with. */
const LIST_SIGN = /[ \t]*(?:[-*+]|\d{1,9}[.)])[ \t]/y;
const QUOTE_SIGN = /[ \t]*>/y;

/**
 * A Markdown text without what it quotes (spec.commonmark.org 0.31, 5.1): lines that begin with `>`, in lists too, and those that go
 * on with the quoted paragraph.
 */
export function withoutQuotes(markdown: string): string {
  let isQuoted = false;
  const kept = markdown.split('\n').filter((line) => {
    isQuoted = beginsQuote(line) || (isQuoted && line.trim() !== '');
    return !isQuoted;
  });
  return kept.join('\n');
}

function beginsQuote(line: string): boolean {
  let at = 0;
  for (LIST_SIGN.lastIndex = 0; LIST_SIGN.test(line); ) at = LIST_SIGN.lastIndex;
  QUOTE_SIGN.lastIndex = at;
  return QUOTE_SIGN.test(line);
}

/** The wishes of a text, written as short as they can be; of each kind the one that counts. Empty: none. */
export function wishesIn(markdown: string): string {
  const wishes = [
    ['repo', lastWish(markdown, /^repo/i)],
    ['model', modelWish(markdown)],
    ['effort', effortWish(markdown)],
  ];
  return wishes.flatMap(([kind, wish]) => (wish === null ? [] : [`[${kind}=${wish}]`])).join(' ');
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

/** The effort that a text wishes for, as it is written; of several wishes the last. Null: none. */
export function effortWish(markdown: string): string | null {
  return lastWish(markdown, /^effort/i);
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
  // Bounded: the name of a family of models, without repetitions.
  const named = families.filter((family) => new RegExp(`(?<![a-z])${family}(?![a-z])`, 'i').test(wished));
  const isShort = text.split(/\s+/).length <= 3;
  return named.length === 1 && (isShort || USE.test(text)) ? (named[0] ?? null) : null;
}

function lastWish(markdown: string, what: RegExp): string | null {
  const wishes = [...typedText(markdown).matchAll(WISH)].filter(([, kind = '']) => what.test(kind));
  return wishes.at(-1)?.[2]?.trim() ?? null;
}

const STOP =
  'stop|halt|cancel|abort|stopp|stoppe|anhalten|abbrechen|brich ab|hör auf|aufhören|arrête[rz]?|arrete|stoppez|annule[rz]?|detente|detén|detener|' +
  'para|alto|basta|cancela|pare|parar|ferma|fermati|fermare|smettila|interrompi|staak|hou op|sluta|avbryt|hold op|lopeta|keskeytä|' +
  'zatrzymaj|przerwij|przestań|zastav|přestaň|állj|hagyd abba|dur|durdur|iptal|стоп|остановись|останови|прекрати|хватит|отмена|зупинись|зупини|' +
  'توقف|أوقف|قف|עצור|תעצור|רוקו|रुको|रुकिए|dừng|dừng lại|hentikan|berhenti|หยุด|' +
  '停止|停止して|停止してください|止めて|止めてください|やめて|やめてください|中止|中止して|ストップ|停|停下|停下来|请停止|請停止|중지|중지해|중지해 주세요|멈춰|멈춰줘|멈춰 주세요|그만|σταμάτα';
/** What people say before it, and after it, without meaning anything else by the whole. */
const BEFORE_STOP =
  "please|pls|bitte|ok|okay|no|hey|wait|sorry|cyrus|claude|just|now|you|(?:can|could|would|will) you|por favor|s[’']il (?:te|vous) pla[iî]t|per favore|пожалуйста";
const AFTER_STOP =
  'it|this|that|now|here|there|please|pls|bitte|working|work|everything|all|immediately|right now|right away|at once|for now|for today|already|cyrus|claude|' +
  "thanks|thank you|(?:the|this|your|all) (?:work|run|session|task|turn|agent|job)|what you[’']?(?: a)?re doing|doing (?:it|this|that)|working on (?:it|this|that|this issue|the issue)|" +
  "jetzt|sofort|alles|das|damit|die arbeit|por favor|ya|ahora|agora|isso|tout|ça|maintenant|s[’']il (?:te|vous) pla[iî]t|subito|adesso|per favore|пожалуйста|всё|это|сейчас|работу";
// Bounded: words that differ, each at most four times.
const STOP_WORDS = new RegExp(`^(?:(?:${BEFORE_STOP}) ){0,4}(?:${STOP})(?: (?:${AFTER_STOP})){0,4}$`, 'iu');
const ASKS_TO = /^(?:[\p{L}’']+ ){0,3}(?:can|could|would|will) you /iu;
const STOP_SIGNS = /^[🛑✋⛔🚫]\uFE0F?$/u;

/** Whether a comment says no more than that the work is to stop, in one of many languages. A question is none, but a request. */
export function isPlainStop(markdown: string): boolean {
  const text = typedText(markdown)
    .replace(/<user\b[^<>]*>[^<]*<\/user>/gi, ' ')
    .replace(/(^|[\s(])@[\p{L}\p{N}_.-]+/gu, ' ');
  if (text.length > 200) return false;
  const words = text
    .normalize('NFKC')
    .replace(/\p{Default_Ignorable_Code_Point}/gu, '')
    .replace(/[\s.!,;:…！。，、؛،*_~"“”„«»-]+/gu, ' ')
    .trim();
  const isAsked = /[?？؟]$/.test(words);
  const said = withoutEnding(words, /[\s?？؟]/u);
  if (STOP_SIGNS.test(said)) return true;
  return said.length <= 80 && STOP_WORDS.test(said) && (!isAsked || ASKS_TO.test(said));
}
