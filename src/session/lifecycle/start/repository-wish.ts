/** Whether a person who writes in the middle of a turn wishes for another repository, in whatever language (pure). */
import { readAnswer, readTag } from './match-repository.ts';

/** `use`: certain enough to start over there; `unsure`: one of these may be meant. */
export type Wish = { kind: 'use'; repository: string } | { kind: 'unsure'; options: string[] };

/** Words for a repository, in many languages. */
const REPOSITORY =
  /(?<!\p{L})(?:repo|repos|repository|repositor\p{L}*|repozit\p{L}*|dépôts?|depósito|depo|depoyu|depoda)(?!\p{L})|репо|リポジトリ|レポ|仓库|倉庫|储存库|存储库|저장소|레포|مستودع|المخزن|מאגר|ריפו|रिपॉज़?िटरी|αποθετήρι|kho (?:mã|lưu)|คลัง/iu;
/** Words that turn to another one, in the same languages. */
const OTHER =
  /(?<!\p{L})(?:wrong|instead|other|another|different|ander\w*|falsch\w*|statt\w*|autres?|mauvais\w*|plutôt|pas (?:ce|le bon)|otr[oa]s?|equivocad\w*|incorrect\w*|outr[oa]s?|errad\w*|altr[oa]|sbagliat\w*|invece|verkeerd\w*|annan|annat|andra|anden|andet|andre|feil|forkert|toinen|toise\w*|väär\w*|inn\w{1,3}|drugi\w*|jin\w{1,3}|druh\w*|špatn\w*|másik\w*|rossz|diğer\w*|başka|öbür|yanlış\w*|khác|nhầm|lain|salah)(?!\p{L})|друг|не т[оа]|ошиб|вместо|інш|помил|別の|他の|ほかの|違う|間違|もう一つ|另一|另外|其他|其它|别的|別的|错|錯|다른|잘못|틀|الآخر|آخر|أخرى|الخطأ|خطأ|بدل|אחר|שגוי|הלא נכון|अन्य|दूसर|गलत|άλλο|λάθος|อื่น|ผิด/iu;
/** Words of English that wish for what is named. */
const WISH = /\b(?:use|switch|wrong|instead|meant)\b/i;
const THE_OTHER = /\b(?:other|different|another|wrong) (?:repo|repository|one)\b/i;
/** Words of English that speak of another repository without a wish for it. */
const MENTION = /\b(?:as|at|compare|copy|copied|from|how|like|look|same|see|similar)\b/i;
/** Both kinds of words close to each other, either way round. Bounded: at most 20 characters are between them. */
const OTHER_REPOSITORY = new RegExp(
  `(?:${OTHER.source})[^.!?\\n]{0,20}(?:${REPOSITORY.source})|(?:${REPOSITORY.source})[^.!?\\n]{0,20}(?:${OTHER.source})`,
  'iu',
);
/** A longer text that names another repository tells of it, mostly. */
const MAX_WISH = 200;

/**
 * @param text what was said, without mentions
 * @param current repository that is worked in
 * @param others the other repositories there are
 * @returns null if nothing in it is about another repository
 */
export function readWish(text: string, current: string, others: string[]): Wish | null {
  const tag = readTag(text);
  if (tag) {
    const tagged = readAnswer(tag.fullName, others);
    return tagged === null ? null : { kind: 'use', repository: tagged };
  }
  if (others.length === 0 || text.length > MAX_WISH || /^[#\p{N}.)]+$/u.test(text)) return null;
  const named = others.filter((name) => names(text, name, [current, ...others]));
  const isAboutOther = OTHER_REPOSITORY.test(text);
  const [only] = named.length > 0 ? named : others;
  const isOne = (named.length > 0 ? named : others).length === 1;
  const isCertain = named.length > 0 ? isAboutOther || WISH.test(text) : WISH.test(text) && THE_OTHER.test(text);
  if (only !== undefined && isOne && isCertain) return { kind: 'use', repository: only };
  if (named.length > 0) return MENTION.test(text) && !isAboutOther ? null : { kind: 'unsure', options: named };
  return isAboutOther || THE_OTHER.test(text) ? { kind: 'unsure', options: others } : null;
}

/** Whether a text has the name of a repository in it, as a word; the short one only where no other has it too. */
function names(text: string, fullName: string, all: string[]): boolean {
  if (text.toLowerCase().includes(fullName.toLowerCase())) return true;
  const short = shortName(fullName);
  const isUnique = all.filter((name) => shortName(name) === short).length === 1;
  return (
    isUnique &&
    // Bounded: a repository's name, without repetitions.
    new RegExp(`(?<![\\p{L}\\p{N}/_-])${escapePattern(short)}(?![\\p{L}\\p{N}/_-]|\\.\\p{L})`, 'iu').test(text)
  );
}

function shortName(fullName: string): string {
  return fullName.slice(fullName.lastIndexOf('/') + 1).toLowerCase();
}

function escapePattern(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\-]/g, '\\$&');
}
