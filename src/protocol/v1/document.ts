/** The OpenAPI 3.1 document of the API for programs, made of the table of operations (pure). */
import * as z from 'zod';
import { ownValue } from '../../lib/own-value.ts';
import type { Operation } from './operation.ts';
import { OPERATIONS } from './operations.ts';
import { NAMED } from './schemas.ts';

type Json = Record<string, unknown>;

/** Where the API is, below the address of the deployment. */
export const API_PATH = '/api/v1';

/** What every program has to reckon with. */
const ALWAYS: Record<number, string> = {
  401: 'There is no token, or it is none, or not any more.',
  403: 'The token or its person may not do this.',
  429: 'The token made too many requests in this minute; `Retry-After` says when to go on.',
  500: 'Something went wrong; the log of the Worker has the details.',
  503: 'The database, or Linear, does not answer now.',
};
const OF_CHANGES: Record<number, string> = {
  409: 'A request with the same `Idempotency-Key` is not answered yet.',
  413: 'The body is too large.',
  415: 'The body is not JSON.',
  422: 'The `Idempotency-Key` was used for another request.',
};
const MISFIT = 'Something in the request does not fit; `errors` says what.';
const IDEMPOTENCY_KEY = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  description:
    'A word of the program’s own for this change, e.g. a UUID. The answer is kept for 24 hours: a repeat with the same key changes nothing and is answered the same.',
  schema: { type: 'string', minLength: 1, maxLength: 255 },
};
const LAST_EVENT_ID = {
  name: 'Last-Event-ID',
  in: 'header',
  required: false,
  description: 'The number of the last entry that was received.',
  schema: { type: 'string', pattern: '^[0-9]+$' },
};

/** Every operation, whatever it takes. */
export const operations: readonly Operation[] = Object.values(OPERATIONS) as unknown as Operation[];

/** Statuses with which an operation may refuse, and what each means. */
export function problemsOf({ method, params, query, body, problems }: Operation): Record<number, string> {
  const isChecked = [params, query].some(({ shape }) => Object.keys(shape).length > 0) || body !== null;
  const all: Record<string, string> = { ...ALWAYS };
  if (isChecked) Object.assign(all, { 400: MISFIT });
  if (method !== 'get') Object.assign(all, OF_CHANGES, { 400: MISFIT });
  for (const [status, words] of Object.entries(problems)) {
    const before = all[status];
    all[status] = before === undefined || words === undefined ? (words ?? '') : `${words} ${before}`;
  }
  return all;
}

/** @param server address of the deployment, e.g. `https://cyrus.example` @returns the document, to be sent as JSON */
export function openApiDocument(server: string): Json {
  const { schemas, refer } = named();
  const paths: Record<string, Json> = {};
  for (const one of operations) {
    const path = paths[one.path] ?? {};
    path[one.method] = described(one, refer);
    paths[one.path] = path;
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Cyrus',
      version: '1',
      description: 'What programs may do for people: start sessions, steer and read them, and change settings.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: `${server}${API_PATH}` }],
    security: [{ token: [] }],
    paths,
    components: {
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'A personal token, `cyrus_pat_…`.' },
      },
      schemas,
    },
  };
}

function described(one: Operation, refer: (schema: z.ZodType) => Json): Json {
  const { id, method, summary, description, scope, params, query, body, answer } = one;
  const isChange = method !== 'get';
  const parameters = [
    ...parametersOf(params, 'path'),
    ...parametersOf(query, 'query'),
    ...(isChange ? [IDEMPOTENCY_KEY] : []),
    ...(answer.content === 'text/event-stream' ? [LAST_EVENT_ID] : []),
  ];
  const refused = { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } };
  return {
    operationId: id,
    summary,
    description: [description, `Needs a token with the scope \`${scope}\`.`].filter(Boolean).join('\n\n'),
    ...(parameters.length > 0 && { parameters }),
    ...(body && {
      requestBody: { required: true, content: { 'application/json': { schema: plain(body, 'input') } } },
    }),
    responses: {
      [answer.status]: {
        description: answer.description,
        ...(answer.content !== null && { content: contentOf(answer.content, refer) }),
      },
      ...Object.fromEntries(
        Object.entries(problemsOf(one)).map(([status, words]) => [status, { description: words, content: refused }]),
      ),
    },
  };
}

function contentOf(content: z.ZodType | string, refer: (schema: z.ZodType) => Json): Json {
  return typeof content === 'string'
    ? { [content]: { schema: { type: 'string' } } }
    : { 'application/json': { schema: refer(content) } };
}

function parametersOf({ shape }: z.ZodObject, where: 'path' | 'query'): Json[] {
  return Object.entries(shape).map(([name, field]) => ({
    name,
    in: where,
    required: where === 'path' || !(field as z.ZodType).safeParse(undefined).success,
    schema: plain(field as z.ZodType, 'output'),
  }));
}

/** The shapes with names, which refer to each other, and what puts them into a schema that holds them. */
function named(): { schemas: Record<string, Json>; refer: (schema: z.ZodType) => Json } {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(NAMED)) registry.add(schema as z.ZodType, { id });
  const answers = new Map<z.ZodType, string>();
  for (const { id, answer } of operations) {
    if (!(answer.content instanceof z.ZodType)) continue;
    const known = registry.get(answer.content)?.id;
    const name = known ?? `${id.charAt(0).toUpperCase()}${id.slice(1)}Answer`;
    if (known === undefined) registry.add(answer.content, { id: name });
    answers.set(answer.content, name);
  }
  const uri = (id: string) => `#/components/schemas/${id}`;
  const made = z.toJSONSchema(registry, { uri, io: 'output', unrepresentable: 'any', override: openToMore });
  const schemas = Object.fromEntries(
    Object.entries(made.schemas).map(([id, { $schema: _, $id: _id, id: _name, ...schema }]) => [id, schema as Json]),
  );
  return { schemas, refer: (schema) => ({ $ref: uri(answers.get(schema) ?? '') }) };
}

function plain(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return rest;
}

/** Answers get new fields with time, which no program has to know. */
function openToMore({ jsonSchema }: { jsonSchema: Json }): void {
  if (ownValue(jsonSchema, 'additionalProperties') === false) delete jsonSchema.additionalProperties;
}
