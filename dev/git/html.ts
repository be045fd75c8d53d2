/** HTML in which every inserted value is escaped unless it is HTML made here. */

/** A piece of finished HTML. */
export class Html {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

type Insert = Html | string | number | null | Insert[];

/** Template tag: strings and numbers are escaped, `Html` is taken as it is, lists are joined, null is nothing. */
export function html(parts: TemplateStringsArray, ...inserts: Insert[]): Html {
  let text = parts[0] ?? '';
  for (const [index, insert] of inserts.entries()) text += render(insert) + (parts[index + 1] ?? '');
  return new Html(text);
}

function render(insert: Insert): string {
  if (insert === null) return '';
  if (insert instanceof Html) return insert.text;
  if (Array.isArray(insert)) return insert.map(render).join('');
  return String(insert).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
