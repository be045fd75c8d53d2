/**
 * Enough Markdown to read an issue and an agent's answer. It builds elements and text nodes and never HTML from text, so that
 * nothing anybody wrote can become markup. Links go to http(s) only; images are shown as links.
 */

/** Text that is nested deeper, or in longer paragraphs, is shown as it is: hostile text must not freeze the page. */
const DEEPEST = 8;
const LONGEST_PARAGRAPH = 20_000;

/** @param {string} text @returns {DocumentFragment} */
export function markdown(text) {
  const fragment = document.createDocumentFragment();
  fragment.append(...blocks(text.replaceAll('\r\n', '\n').split('\n'), 0));
  return fragment;
}

const LIST_ITEM = /^(\s*)(?:[-*+]|\d+[.)])\s+(?:\[([ xX])\]\s+)?(.*)$/;

/** @param {string[]} lines @param {number} depth @returns {HTMLElement[]} */
function blocks(lines, depth) {
  if (depth > DEEPEST) return [element('p', {}, lines.join('\n'))];
  const made = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at];
    const fence = /^\s*(`{3,}|~{3,})/.exec(line);
    const heading = /^(#{1,6})\s+(.*)$/.exec(line);
    if (line.trim() === '') {
      at += 1;
    } else if (fence) {
      const from = at + 1;
      at = from;
      while (at < lines.length && !lines[at].trim().startsWith(fence[1])) at += 1;
      made.push(element('pre', {}, element('code', {}, lines.slice(from, at).join('\n'))));
      at += 1;
    } else if (heading) {
      // The page has its own h1 to h3.
      made.push(element(`h${Math.min(6, heading[1].length + 3)}`, {}, ...inline(heading[2], depth)));
      at += 1;
    } else if (/^\s*([-*_])(\s*\1){2,}\s*$/.test(line)) {
      made.push(element('hr'));
      at += 1;
    } else if (line.startsWith('>')) {
      const from = at;
      while (at < lines.length && lines[at].startsWith('>')) at += 1;
      const quoted = lines.slice(from, at).map((quote) => quote.replace(/^>\s?/, ''));
      made.push(element('blockquote', {}, ...blocks(quoted, depth + 1)));
    } else if (LIST_ITEM.test(line)) {
      const from = at;
      while (at < lines.length && (LIST_ITEM.test(lines[at]) || /^\s{2,}\S/.test(lines[at]))) at += 1;
      made.push(list(lines.slice(from, at), depth + 1));
    } else {
      const from = at;
      while (at < lines.length && lines[at].trim() !== '' && !startsBlock(lines[at], at > from)) at += 1;
      made.push(element('p', {}, ...inline(lines.slice(from, at).join('\n'), depth)));
    }
  }
  return made;
}

function startsBlock(line, insideParagraph) {
  return insideParagraph && (/^\s*(`{3,}|~{3,})/.test(line) || /^(#{1,6})\s/.test(line) || LIST_ITEM.test(line));
}

/** Items, each with its further lines; nesting is by indentation. */
function list(lines, depth) {
  const ordered = /^\s*\d/.test(lines[0]);
  const made = element(ordered ? 'ol' : 'ul');
  const indent = LIST_ITEM.exec(lines[0])[1].length;
  let at = 0;
  while (at < lines.length) {
    const [, , box, text] = LIST_ITEM.exec(lines[at]) ?? [null, '', undefined, lines[at].trim()];
    const item = element('li', {}, ...(box === undefined ? [] : [box === ' ' ? '☐ ' : '☑ ']), ...inline(text, depth));
    at += 1;
    const from = at;
    while (at < lines.length && lines[at].search(/\S/) > indent) at += 1;
    if (at > from) {
      const nested = lines.slice(from, at);
      if (LIST_ITEM.test(nested[0]) && depth < DEEPEST) item.append(list(nested, depth + 1));
      else item.append(' ', ...inline(nested.map((line) => line.trim()).join('\n'), depth));
    }
    made.append(item);
  }
  return made;
}

const INLINE =
  /(`+)(.+?)\1(?!`)|!?\[([^\]]*)\]\(\s*((?:[^()\s]|\([^()\s]*\))+)[^)]*\)|(https?:\/\/[^\s<>)\]]+)|\*\*(.+?)\*\*|__(.+?)__|~~(.+?)~~|(?<![\w*])\*(?!\s)(.+?)\*(?!\w)|(?<!\w)_(?!\s)(.+?)_(?!\w)/s;

/** @param {string} text @param {number} depth @returns {(Node | string)[]} */
function inline(text, depth) {
  if (depth > DEEPEST || text.length > LONGEST_PARAGRAPH) return [text];
  const made = [];
  let rest = text;
  for (let found = INLINE.exec(rest); found; found = INLINE.exec(rest)) {
    const [whole, , code, label, target, address, strong, strongToo, struck, emphasis, emphasisToo] = found;
    made.push(rest.slice(0, found.index));
    if (code !== undefined) made.push(element('code', {}, code));
    else if (target !== undefined) made.push(link(target, codeOrText(label || target)));
    else if (address !== undefined) made.push(link(address, address));
    else if (struck !== undefined) made.push(element('s', {}, ...inline(struck, depth + 1)));
    else if (strong ?? strongToo) made.push(element('strong', {}, ...inline(strong ?? strongToo, depth + 1)));
    else made.push(element('em', {}, ...inline(emphasis ?? emphasisToo, depth + 1)));
    rest = rest.slice(found.index + whole.length);
  }
  made.push(rest);
  return made;
}

function codeOrText(label) {
  const code = /^`([^`]+)`$/.exec(label);
  return code ? element('code', {}, code[1]) : label;
}

/**
 * A link to an http(s) address in a new tab; for any other address, only its label.
 * @param {string} address @param {Node | string} label
 */
export function link(address, label) {
  const url = URL.canParse(address) ? new URL(address) : null;
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:') return label;
  return element('a', { href: url.href, target: '_blank', rel: 'noopener noreferrer' }, label);
}

/**
 * Makes an element. Attributes are set as text; null and false leave one out.
 * @param {string} name @param {Record<string, unknown>} attributes @param {...(Node | string | null)} children
 */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === false || value === undefined) continue;
    made.setAttribute(key, value === true ? '' : String(value));
  }
  made.append(...children.filter((child) => child !== null && child !== ''));
  return made;
}
