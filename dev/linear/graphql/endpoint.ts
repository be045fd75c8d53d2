/** POST /graphql: who calls, whether the query is right, what it costs, which trouble was asked for, and then the answer. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type DocumentNode, GraphQLError, type GraphQLSchema, Kind, parse, validate } from 'graphql';
import { z } from 'zod';
import type { SimulatorClock } from '../clock.ts';
import { RATE_LIMITED, requestErrors, UNAUTHENTICATED, WRITE_SCOPE_MISSING } from '../errors.ts';
import type { FaultPlan, GraphqlFault } from '../faults.ts';
import { bearerToken, readBody, sendJson, sendText } from '../http.ts';
import type { Scope } from '../oauth/model.ts';
import { complexityOf, MAX_COMPLEXITY } from './complexity.ts';
import { carryOut, type RootFields } from './execution.ts';
import type { RateLimiter } from './rate-limit.ts';

const requestSchema = z.object({
  query: z.string(),
  variables: z.record(z.string(), z.unknown()).nullish(),
  operationName: z.string().nullish(),
});

const LARGEST_BODY_BYTES = 10 * 1024 * 1024;
/** Different queries kept parsed and checked. An agent has about a dozen. */
const CACHED_DOCUMENTS = 500;

/** How often the API was called. */
export interface CallCounts {
  /** Requests with a valid token, whatever became of them. */
  total: number;
  /** Requests without one. */
  unauthenticated: number;
  /** Answers with an error, or none. */
  failed: number;
  /** By root field, such as `agentActivityCreate`; only queries that are valid. */
  byOperation: Record<string, number>;
}

interface CheckedDocument {
  document: DocumentNode;
  isMutation: boolean;
  /** Root fields by the key they have in the answer. */
  fields: { key: string; name: string; asked: string[] }[];
}

/** On whose behalf a call is made, and what it reaches. */
export interface Caller {
  rootFields: RootFields;
  limiter: RateLimiter;
  scopes: readonly Scope[];
  /** Makes the addresses of files in a text readable without a token, for so many seconds. */
  signAddresses: (text: string, seconds: number) => string;
}

export interface GraphqlEndpointOptions {
  schema: GraphQLSchema;
  clock: SimulatorClock;
  faults: FaultPlan;
  /** @returns null when the token is unknown, expired or revoked */
  caller: (token: string) => Caller | null;
}

export class GraphqlEndpoint {
  #calls = noCalls();
  readonly #options: GraphqlEndpointOptions;
  readonly #documents = new Map<string, CheckedDocument>();

  constructor(options: GraphqlEndpointOptions) {
    this.#options = options;
  }

  get calls(): CallCounts {
    return this.#calls;
  }

  resetCalls(): void {
    this.#calls = noCalls();
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readBody(request, LARGEST_BODY_BYTES);
    const token = bearerToken(request);
    const caller = token === null ? null : this.#options.caller(token);
    if (!caller) {
      this.#calls.unauthenticated += 1;
      sendJson(response, 401, UNAUTHENTICATED);
      return;
    }
    this.#calls.total += 1;
    const succeeded = await this.#answer(caller, body, signedFor(request), response);
    if (!succeeded) this.#calls.failed += 1;
  }

  /** @returns whether the answer is one without errors */
  async #answer(
    { limiter, rootFields, scopes, signAddresses }: Caller,
    body: Buffer,
    signSeconds: number | null,
    response: ServerResponse,
  ): Promise<boolean> {
    const { schema, faults } = this.#options;
    const refuse = (code: string, errors: readonly { message: string }[]) => {
      sendJson(response, 400, requestErrors(code, errors));
      return false;
    };
    const request = parseRequest(body);
    if (!request) return refuse('BAD_REQUEST', [{ message: 'The body must be JSON with a "query" string' }]);
    const checked = this.#check(request.query);
    if ('errors' in checked) return refuse(checked.code, checked.errors);
    const variables = request.variables ?? {};
    const complexity = complexityOf(schema, checked.document, variables);
    if (complexity > MAX_COMPLEXITY) {
      const message = `Query too complex: ${complexity} points, the maximum is ${MAX_COMPLEXITY}`;
      return refuse('INPUT_ERROR', [{ message }]);
    }
    for (const { name } of checked.fields) this.#calls.byOperation[name] = (this.#calls.byOperation[name] ?? 0) + 1;
    if (!limiter.take(complexity)) {
      sendJson(response, 400, RATE_LIMITED, limiter.headers(complexity));
      return false;
    }
    if (checked.isMutation && !scopes.includes('write')) {
      sendJson(response, 200, WRITE_SCOPE_MISSING, limiter.headers(complexity));
      return false;
    }

    const hits = faults.take(checked.fields.map(({ name }) => name));
    for (const { fault, ms } of hits) if (fault === 'slow') await new Promise((resolve) => setTimeout(resolve, ms));
    const instead = hits.find(({ fault }) => fault !== 'slow' && fault !== 'timeout-after-commit');
    if (instead && this.#fail(instead, checked, complexity, limiter, response)) return false;

    const { document } = checked;
    const rewriteMarkdown = signSeconds === null ? null : (text: string) => signAddresses(text, signSeconds);
    const operation = { schema, document, variables, operationName: request.operationName, rewriteMarkdown };
    const { answer, rejected } = await carryOut(operation, rootFields);
    if (rejected) return refuse('BAD_USER_INPUT', rejected);
    const silent = hits.find(({ fault }) => fault === 'timeout-after-commit');
    if (silent) {
      const cut = setTimeout(() => response.destroy(), silent.ms);
      response.once('close', () => clearTimeout(cut));
      return false;
    }
    sendJson(response, 200, answer, limiter.headers(complexity));
    return !answer.errors;
  }

  /** @returns false when the fault does not apply to this call */
  #fail(
    { fault, status, ms }: GraphqlFault,
    checked: CheckedDocument,
    complexity: number,
    limiter: RateLimiter,
    response: ServerResponse,
  ): boolean {
    const { clock } = this.#options;
    if (fault === 'http-error') {
      sendText(response, status, `${status} from the simulator, as asked for`);
    } else if (fault === 'unauthorized') {
      sendJson(response, 401, UNAUTHENTICATED);
    } else if (fault === 'rate-limited') {
      sendJson(response, 400, RATE_LIMITED, limiter.headers(complexity, clock.now() + ms));
    } else if (fault === 'success-false' && checked.isMutation) {
      const unsuccessful = checked.fields.map(({ key, asked }) => [key, unsuccessfulPayload(asked)]);
      sendJson(response, 200, { data: Object.fromEntries(unsuccessful) }, limiter.headers(complexity));
    } else {
      return false;
    }
    return true;
  }

  /** Parses and validates; each query text once. */
  #check(query: string): CheckedDocument | { code: string; errors: readonly GraphQLError[] } {
    const known = this.#documents.get(query);
    if (known) return known;
    let document: DocumentNode;
    try {
      document = parse(query, { maxTokens: 20_000 });
    } catch (error) {
      if (error instanceof GraphQLError) return { code: 'GRAPHQL_PARSE_FAILED', errors: [error] };
      throw error;
    }
    const errors = validate(this.#options.schema, document);
    if (errors.length > 0) return { code: 'GRAPHQL_VALIDATION_FAILED', errors };
    const checked = { document, ...rootSelection(document) };
    if (this.#documents.size >= CACHED_DOCUMENTS) this.#documents.clear();
    this.#documents.set(query, checked);
    return checked;
  }
}

/** The header by which a caller asks for addresses of files that need no token. */
function signedFor(request: IncomingMessage): number | null {
  const seconds = Number(request.headers['public-file-urls-expire-in']);
  return Number.isInteger(seconds) && seconds > 0 ? seconds : null;
}

function noCalls(): CallCounts {
  return { total: 0, unauthenticated: 0, failed: 0, byOperation: {} };
}

function parseRequest(body: Buffer): z.infer<typeof requestSchema> | null {
  try {
    return requestSchema.parse(JSON.parse(body.toString()));
  } catch {
    return null;
  }
}

function rootSelection(document: DocumentNode): Pick<CheckedDocument, 'isMutation' | 'fields'> {
  const fields: CheckedDocument['fields'] = [];
  let isMutation = false;
  for (const definition of document.definitions) {
    if (definition.kind !== Kind.OPERATION_DEFINITION) continue;
    isMutation ||= definition.operation === 'mutation';
    for (const field of definition.selectionSet.selections) {
      if (field.kind !== Kind.FIELD) continue;
      const asked = field.selectionSet?.selections.flatMap((selection) =>
        selection.kind === Kind.FIELD ? [selection.alias?.value ?? selection.name.value] : [],
      );
      fields.push({ key: field.alias?.value ?? field.name.value, name: field.name.value, asked: asked ?? [] });
    }
  }
  return { isMutation, fields };
}

/** What a mutation that did nothing answers: no error, only `success: false`. */
function unsuccessfulPayload(asked: readonly string[]): Record<string, unknown> {
  const payload = Object.fromEntries(asked.map((key): [string, unknown] => [key, null]));
  if ('lastSyncId' in payload) payload.lastSyncId = 0;
  return { ...payload, success: false };
}
