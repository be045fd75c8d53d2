/** GitHub's refusals, word for word where they are documented or known. */

/** An answer of the API. */
export interface Answer {
  status: number;
  body: object | null;
  headers?: Record<string, string>;
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

/** 422 with one error, as in docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api. */
export function invalid(resource: string, error: { field?: string; code: string; message?: string }): Refused {
  return refused(422, 'Validation Failed', { errors: [{ resource, ...error }] });
}
