/** A route of an operation: what comes in is checked by its schemas, and the handler is given what they made of it. */
import type { Hono, MiddlewareHandler } from 'hono';
import * as z from 'zod';
import { parseJson } from '../../lib/parse-json.ts';
import type { Operation } from '../../protocol/v1/operation.ts';
import type { Problem } from '../../protocol/v1/schemas.ts';
import type { Declared, PeopleContext, PeopleEnv } from '../middleware/needs.ts';
import { once } from './once.ts';
import { misfits, problemAnswer } from './problems.ts';

/** What a handler is given. */
export interface Input<Params, Query, Body> {
  params: Params;
  query: Query;
  body: Body;
}

/**
 * Adds the route of an operation.
 * @param guard names what the route needs, and refuses those who may not
 */
export function serve<Params extends z.ZodObject, Query extends z.ZodObject, Body extends z.ZodType>(
  api: Hono<PeopleEnv>,
  operation: Operation<Params, Query, Body>,
  guard: MiddlewareHandler<PeopleEnv> & Declared,
  handler: (
    c: PeopleContext,
    input: Input<z.output<Params>, z.output<Query>, z.output<Body>>,
  ) => Response | Promise<Response>,
): void {
  const path = operation.path.replaceAll(/\{(\w+)\}/g, ':$1');
  api.on(operation.method.toUpperCase(), path, guard, async (c) => {
    const type = c.req.header('content-type')?.split(';')[0]?.trim().toLowerCase();
    if (operation.body !== null && type !== 'application/json') {
      return problemAnswer(415, 'not_json', 'Send JSON, with the content type application/json.');
    }
    const params = operation.params.safeParse(c.req.param());
    const query = operation.query.safeParse(c.req.query());
    const body = operation.body === null ? null : operation.body.safeParse(parseJson(await c.req.text()));
    const errors: NonNullable<Problem['errors']> = [
      ...(misfits('path', params.error ?? NONE) ?? []),
      ...(misfits('query', query.error ?? NONE) ?? []),
      ...(misfits('body', body?.error ?? NONE) ?? []),
    ];
    if (!params.success || !query.success || (body !== null && !body.success)) {
      return problemAnswer(400, 'bad_request', 'Something in the request does not fit; `errors` says what.', errors);
    }
    const input = { params: params.data, query: query.data, body: body?.data as z.output<Body> };
    const answer = () => handler(c, input);
    return operation.method === 'get' ? answer() : once(c, answer, operation.hasSecret === true);
  });
}

const NONE = new z.ZodError([]);
