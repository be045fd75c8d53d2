/**
 * Whether people say yes or no, in the words of many languages (pure). What is not clearly one of the two is `unclear`, and is to
 * be asked again: a word that means yes in one language and something else in another is left out on purpose.
 */
import { spokenWords } from '../model/spoken.ts';

/** `yes`: nothing but a yes; `always`: also from now on; `no`: nothing but a no; `no-because`: a no that says more. */
export type YesNo = 'yes' | 'always' | 'no' | 'no-because' | 'unclear';

type Kind = 'yes' | 'always' | 'no' | 'filler' | 'odd';

const PHRASES: Record<Kind, string> = {
  yes: `yes|yep|yup|yeah|yea|aye|y|ok|okay|k|sure|sure thing|of course|certainly|absolutely|definitely|by all means|fine|fine by me
    |fine with me|sounds good|looks good|lgtm|go|go ahead|go for it|do it|do that|do so|run it|run that|let it run|proceed|continue|carry on
    |allow|allow it|allow this|allow that|allow once|allowed|i allow it|approve|approve it|approved|accept|accepted|agreed|granted|permission granted
    |you may|you can|ship it|confirmed|confirm|👍|✅|👌|🆗|✔|☑
    |ja|jawohl|jap|klar|gerne|einverstanden|mach|mach das|mach es|erlaubt|erlaube es|erlauben|genehmigt|in ordnung|geht klar
    |oui|ouais|d'accord|vas y|allez y|bien sûr|autorisé|j'autorise|c'est bon|volontiers
    |sí|claro|claro que sí|adelante|vale|de acuerdo|hazlo|permitido|por supuesto|dale
    |sim|claro que sim|pode|pode ser|pode fazer|pode ir|autorizado|à vontade|com certeza
    |sì|certo|certamente|va bene|d'accordo|fallo|procedi|consentito
    |ja graag|prima|akkoord|doe maar|ga je gang|toegestaan
    |ja tack|varsågod|kör|kör på|tillåt|ja takk|javisst|selvfølgelig
    |да|конечно|давай|давайте|хорошо|ладно|разрешаю|разрешено|согласен|согласна|можно|ага|звісно|дозволяю|згоден
    |tak jest|dobrze|oczywiście|zgoda|pozwalam|zezwalam|ano|jasně|povoluji|souhlasím|áno|súhlasím|igen|rendben|persze
    |evet|tamam|olur|elbette|izin veriyorum|onaylıyorum|ναι|εντάξει|βεβαίως|kyllä|joo|toki|selvä
    |نعم|أجل|ايوه|أيوه|موافق|تفضل|حسنا|حسنًا|تمام|אישור|מאשר|כן|בסדר|קדימה|بله|آره|باشه
    |हाँ|हां|जी हाँ|जी हां|ठीक है|vâng|đồng ý|được|cứ làm đi|iya|boleh|silakan|setuju|lanjutkan|ใช่|ได้|ตกลง|อนุญาต
    |はい|ええ|うん|いいよ|いいですよ|どうぞ|許可|許可します|許可する|実行して|実行してください|実行|進めて|進めてください|やって|やってください|お願いします|了解|了解です|承認|承認します
    |是|是的|好|好的|好吧|行|可以|可以的|没问题|沒問題|同意|允许|允許|继续|繼續|执行|執行|批准
    |네|예|응|좋아|좋아요|좋습니다|그래|그래요|허용|허용합니다|진행|진행해|진행해요|진행하세요|진행해 주세요|실행해|실행하세요|승인|승인합니다|해 주세요|해주세요`,
  always: `always|always allow|allow always|allow for this session|for this session|for the session|allow for the session|for the whole session
    |immer|toujours|siempre|sempre|всегда|总是|總是|いつも|항상|دائما|dauerhaft`,
  no: `no|n|nope|nah|nay|no way|don't|dont|do not|never|not|cannot|can't|must not|mustn't|shouldn't|should not|won't|deny|denied|deny it|reject|rejected|refuse|refused|forbidden|stop|cancel|abort|disallow|not allowed|👎|❌|🚫|⛔|🛑
    |nein|nicht|niemals|nie|kein|keine|auf keinen fall|verboten|ablehnen|abgelehnt|nee|nee bedankt|niet|geen
    |non|ne pas|pas|jamais|refusé|interdit|nunca|jamás|denegado|não|nao|negado|mai|negato|rifiutato
    |nej|nei|inte|ikke|aldrig|aldri|нет|не|нельзя|никогда|запрещено|ні|nie|nigdy|nikdy|nem|soha
    |hayır|asla|olmaz|όχι|μην|ποτέ|ei|älä|لا|كلا|ليس|أبدا|אל|לא|نه|خیر
    |नहीं|मत|không|đừng|tidak|jangan|bukan|ไม่|อย่า
    |いいえ|いや|だめ|ダメ|駄目|やめて|やめてください|しないで|しないでください|拒否|不許可|許可しない|許可しません
    |不是|不要|不行|不可以|不好|不允许|不允許|不同意|别|別|拒绝|拒絕|禁止
    |아니|아니요|아니오|안 돼|안돼|안 돼요|안돼요|하지 마|하지마|하지 마세요|하지마세요|거부|거절`,
  filler: `please|pls|plz|thanks|thank you|thx|cheers|cyrus|claude|hi|hello|hey|then|now|just|and|so|well|it|that|this|once|🙏|🙂|😊|🎉|🚀|for me|from me|with that|with it
    |bitte|danke|dann|jetzt|einfach|ruhig|es|das|merci|s'il te plaît|s'il vous plaît|svp|stp|por favor|gracias|porfa|obrigado|obrigada|per favore|per piacere|grazie
    |graag|alsjeblieft|alstublieft|dank je|bedankt|tack|takk|пожалуйста|спасибо|будь ласка|дякую|proszę|dziękuję|prosím|děkuji|ďakujem|kérem|köszönöm
    |lütfen|teşekkürler|παρακαλώ|ευχαριστώ|kiitos|من فضلك|شكرا|רק|בבקשה|תודה|لطفا|ممنون|कृपया|धन्यवाद|làm ơn|cảm ơn|xin|tolong|terima kasih|กรุณา|ขอบคุณ|ครับ|ค่ะ
    |ください|です|ます|ありがとう|ありがとうございます|请|請|谢谢|謝謝|了|吧|的|주세요|감사합니다|고마워요|고맙습니다`,
  // Begin like a no and are none.
  odd: `no problem|no problems|no prob|no worries|no objection|no objections|no issue|no issues|no concerns|no doubt|no need|not a problem|don't worry|do not worry|don't mind|do not mind|why not|can't wait|not sure|not certain|no idea|no clue|no comment|never mind|nevermind|non issue|non blocking
    |kein problem|keine einwände|keine ahnung|nicht sicher|warum nicht|pas de problème|pas de souci|pourquoi pas|sin problema|no hay problema|por qué no|no sé|no lo sé|sem problema|sem problemas|não sei|nessun problema|perché no|non so|non lo so
    |geen probleem|waarom niet|inga problem|ikke noe problem|нет проблем|не проблема|не знаю|не уверен|не уверена|почему бы и нет|nie ma problemu|nie wiem|není problém|nincs|sorun yok|neden olmasın|κανένα πρόβλημα
    |لا مشكلة|لا بأس|לא בעיה|אין בעיה|कोई बात नहीं|không sao|tidak apa apa|tidak masalah|ไม่เป็นไร|不错|不錯|不客气|不客氣`,
};

/** Longest first, so that "no problem" is found before "no". */
const LEXICON: [phrase: string, kind: Kind][] = (Object.entries(PHRASES) as [Kind, string][])
  .flatMap(([kind, phrases]) => phrases.split('|').map((phrase): [string, Kind] => [plain(phrase), kind]))
  .sort(([a], [b]) => b.length - a.length);

/** By their first character: of some thousand phrases few begin as a word does. */
const BY_BEGINNING = new Map<string, typeof LEXICON>();
for (const entry of LEXICON) {
  const first = entry[0].charAt(0);
  BY_BEGINNING.set(first, [...(BY_BEGINNING.get(first) ?? []), entry]);
}

/** These are written without spaces between words. */
const JOINED = /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Hangul}\p{sc=Thai}\p{Extended_Pictographic}]/u;
const WORD = /[\p{L}\p{N}\p{M}']/u;

/** What a text says to a question that wants a yes or a no. */
export function readYesNo(text: string): YesNo {
  const words = spokenWords(text);
  const said = partsOf(plain(words)).filter((part) => part !== 'filler');
  const [first] = said;
  // "No. 1" is a number.
  if (first === undefined || /^no\W{0,2}\p{Nd}/iu.test(words)) return 'unclear';
  if (first === 'no') {
    if (said.every((part) => part === 'no')) return 'no';
    // "No, don't allow it" denies twice; "no need to ask, go ahead" is no clear no.
    const isTaken = said.some((part, index) => isYes(part) && said[index - 1] !== 'no');
    return isTaken ? 'unclear' : 'no-because';
  }
  if (!said.every(isYes) || /[?？؟;]\s*$/u.test(words)) return 'unclear';
  return said.includes('always') ? 'always' : 'yes';
}

function isYes(part: Kind | 'rest' | undefined): boolean {
  return part === 'yes' || part === 'always';
}

/** The text as known phrases; what is between them is `rest`. */
function partsOf(text: string): (Kind | 'rest')[] {
  const parts: (Kind | 'rest')[] = [];
  for (let at = 0; at < text.length; ) {
    const found = BY_BEGINNING.get(text.charAt(at))?.find(
      ([phrase]) => text.startsWith(phrase, at) && endsWord(text, at + phrase.length),
    );
    if (found) {
      parts.push(found[1]);
      at += found[0].length;
    } else {
      parts.push('rest');
      at += 1;
      while (at < text.length && WORD.test(text.charAt(at)) && !JOINED.test(text.charAt(at))) at += 1;
    }
    while (text.charAt(at) === ' ') at += 1;
  }
  return parts;
}

function endsWord(text: string, end: number): boolean {
  const isPair = /[\udc00-\udfff]/.test(text.charAt(end - 1));
  return JOINED.test(text.slice(end - (isPair ? 2 : 1), end)) || !WORD.test(text.charAt(end));
}

/** One case, one form of each character; punctuation is space, and an apostrophe always the same. */
function plain(text: string): string {
  return text
    .normalize('NFKC')
    .toLowerCase()
    .replace(/[\p{Default_Ignorable_Code_Point}\p{Emoji_Modifier}]/gu, '')
    .replace(/[’‘`´]/g, "'")
    .replace(/[^\p{L}\p{N}\p{M}\p{Extended_Pictographic}']+/gu, ' ')
    .trim();
}
