/** GitHub's refusals, word for word where they are documented or known. */

/** An answer of the API. */
export interface Answer {
  status: number;
  body: object | null;
  headers?: Record<string, string>;
  /** Fields named `id` are texts of digits, and sent as the numbers that they stand for. */
  numericIds?: boolean;
}

/** A request is refused. */
export class Refused extends Error {
  override readonly name = 'Refused';
  readonly answer: Answer;
  constructor(answer: Answer) {
    super(`refused with ${answer.status}`);
    this.answer = answer;
  }
}

const DOCUMENTATION = 'https://docs.github.com/rest';

/** A refusal with a message. */
export function refused(status: number, message: string, more: object = {}): Refused {
  const body = { message, ...more, documentation_url: DOCUMENTATION, status: String(status) };
  return new Refused({ status, body });
}

export const badCredentials = () => refused(401, 'Bad credentials');
/** Also for what exists and may not be seen. */
export const notFound = () => refused(404, 'Not Found');

/**
 * One page of a list, with the addresses of the others in `link`
 * (docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api).
 */
export function paged<Item>(
  all: readonly Item[],
  url: URL,
): { items: readonly Item[]; headers: Record<string, string> } {
  const size = numberOf(url, 'per_page', 30, 100);
  const page = numberOf(url, 'page', 1, Number.MAX_SAFE_INTEGER);
  const last = Math.max(1, Math.ceil(all.length / size));
  const at = (number: number, rel: string) => {
    const address = new URL(url);
    address.searchParams.set('page', String(number));
    return `<${address.href}>; rel="${rel}"`;
  };
  const links = [
    ...(page > 1 ? [at(Math.min(page - 1, last), 'prev')] : []),
    ...(page < last ? [at(page + 1, 'next'), at(last, 'last')] : []),
    ...(page > 1 ? [at(1, 'first')] : []),
  ];
  const items = all.slice((page - 1) * size, page * size);
  return { items, headers: links.length > 0 ? { link: links.join(', ') } : {} };
}

/** A number of the query; GitHub takes the most it allows for more, and what it has for nonsense. */
function numberOf(url: URL, name: string, usual: number, most: number): number {
  const given = Number(url.searchParams.get(name) ?? usual);
  return Number.isInteger(given) && given > 0 ? Math.min(given, most) : usual;
}

/** 422 with one error, as in docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api. */
export function invalid(resource: string, error: { field?: string; code: string; message?: string }): Refused {
  return refused(422, 'Validation Failed', { errors: [{ resource, ...error }] });
}
