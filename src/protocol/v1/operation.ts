/** What an operation of the API for programs is: its address, what it takes and what it answers. */
import * as z from 'zod';
import type { TokenScope } from '../people.ts';

export type Method = 'get' | 'post' | 'put' | 'delete';

/** What is answered when all is well. `content`: a schema for JSON, a media type for anything else; null: nothing. */
export interface Answer {
  status: 101 | 200 | 201 | 202 | 204;
  description: string;
  content: z.ZodType | `text/${string}` | null;
}

/** One operation. A program is refused with a Problem, whatever it asks for; `problems` says what the statuses of this one mean. */
export interface Operation<
  Params extends z.ZodObject = z.ZodObject,
  Query extends z.ZodObject = z.ZodObject,
  Body extends z.ZodType = z.ZodType,
> {
  id: string;
  method: Method;
  /** Below `/api/v1`, with parameters in braces. */
  path: `/${string}`;
  /** One line, without a full stop. */
  summary: string;
  description?: string;
  /** The least scope of a token. */
  scope: TokenScope;
  params: Params;
  query: Query;
  /** Null: it takes none. */
  body: Body | null;
  answer: Answer;
  problems: Partial<Record<number, string>>;
  /** The answer has a secret in it, which is shown once. */
  hasSecret?: true;
}

type Given<Params extends z.ZodObject, Query extends z.ZodObject, Body extends z.ZodType> = Omit<
  Operation<Params, Query, Body>,
  'params' | 'query' | 'body' | 'problems'
> &
  Partial<Pick<Operation<Params, Query, Body>, 'params' | 'query' | 'body' | 'problems'>>;

type Nothing = z.ZodObject<Record<string, never>>;
const nothing = z.strictObject({}) as Nothing;

/** Defines an operation; what is left out it does not take. */
export function operation<
  Params extends z.ZodObject = Nothing,
  Query extends z.ZodObject = Nothing,
  Body extends z.ZodType = z.ZodUndefined,
>(given: Given<Params, Query, Body>): Operation<Params, Query, Body> {
  const { params = nothing as unknown as Params, query = nothing as unknown as Query, body = null } = given;
  return { ...given, params, query, body, problems: given.problems ?? {} };
}
