/** What went wrong, as programs read it: `application/problem+json` (RFC 9457), whichever part of the Worker refused. */
import type { MiddlewareHandler } from 'hono';
import type * as z from 'zod';
import { parseJson } from '../../lib/parse-json.ts';
import { apiErrorSchema } from '../../protocol/api.ts';
import type { Problem } from '../../protocol/v1/schemas.ts';

const TITLES: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  409: 'Conflict',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  422: 'Unprocessable Content',
  426: 'Upgrade Required',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
};
/** Headers of a refusal that say more about it. */
const KEPT_HEADERS = ['retry-after', 'www-authenticate', 'ratelimit', 'ratelimit-policy'];
const PROBLEM_TYPE = 'application/problem+json';

/** @param code a word for programs. @param detail a sentence for people. @param errors what does not fit */
export function problemAnswer(status: number, code: string, detail: string, errors?: Problem['errors']): Response {
  const problem: Problem = {
    ...{ type: `urn:cyrus:problem:${code}`, title: TITLES[status] ?? 'Error', status, detail, code },
    ...(errors && { errors }),
  };
  return Response.json(problem, { status, headers: { 'content-type': PROBLEM_TYPE } });
}

/** What a part of a request does not fit in, for each place of it. */
export function misfits(where: NonNullable<Problem['errors']>[number]['in'], error: z.ZodError): Problem['errors'] {
  return error.issues.map(({ path, message }) => ({ in: where, pointer: `/${path.join('/')}`, message }));
}

/** Turns every refusal on its way out into a problem. */
export const problems: MiddlewareHandler = async (c, next) => {
  await next();
  const { status, headers } = c.res;
  if (status < 400 || headers.get('content-type') === PROBLEM_TYPE) return;
  const said = apiErrorSchema.safeParse(parseJson(await c.res.text()));
  const { error, message } = said.success
    ? said.data
    : { error: 'refused', message: TITLES[status] ?? 'It was refused.' };
  const answer = problemAnswer(status, error, message);
  for (const name of KEPT_HEADERS) {
    const value = headers.get(name);
    if (value !== null) answer.headers.set(name, value);
  }
  // Headers of the answer before would come along.
  c.res = undefined;
  c.res = answer;
};
