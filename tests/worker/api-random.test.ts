/** Random requests to every operation of the API, made of the schemas in its document. */

import { env } from 'cloudflare:workers';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import worker from '../../src/index.ts';
import { makeSecret } from '../../src/outgoing-webhooks/sign.ts';
import { openApiDocument, operations } from '../../src/protocol/v1/document.ts';
import { problemSchema } from '../../src/protocol/v1/schemas.ts';
import { openDatabase } from '../../src/store/database.ts';
import { addWebhook } from '../../src/store/workspaces/outgoing-webhooks.ts';
import { histories } from '../histories.ts';
import { spyOnLog } from '../support/log-spy.ts';
import { type JsonSchema, tried } from '../support/schema-arbitrary.ts';
import { FakeLinear } from './support/fake-linear.ts';
import { bindingsOf, installed, person, SECURE_ORIGIN, sessionOf, signedIn } from './support/people.ts';
import { tokenOf } from './support/programs.ts';

interface Described {
  parameters?: { name: string; in: 'path' | 'query' | 'header'; required: boolean; schema: JsonSchema }[];
  requestBody?: { content: { 'application/json': { schema: JsonSchema } } };
  responses: Record<string, { content?: Record<string, unknown> }>;
}
const { paths } = openApiDocument(SECURE_ORIGIN) as { paths: Record<string, Record<string, Described>> };

/** Requests to each operation. */
const MOST = 60;
const EACH = histories(MOST);
/** What they answer when all is well needs more than a request: an open question, a patch, a socket. */
const HARD_TO_MEET = ['answerQuestion', 'getDiff', 'watchSession'];
/** A body that fits, where what its schema says is not all that is asked of it. */
const FITTING: Record<string, object> = {
  '/sessions': { issue: 'ENG-1' },
  '/workspaces/{workspace}/webhooks': { url: 'https://hooks.acme.dev/', events: ['session.finished'] },
};
/** Ids that are there, by the names of parameters. */
const known: Record<string, string[]> = {};
const tokens: string[] = [];
let bindings: Env;

beforeAll(async () => {
  spyOnLog();
  const linear = new FakeLinear();
  const acme = await installed(linear, 'Acme');
  const globex = await installed(linear, 'Globex');
  const ada = person(linear, acme, 'Ada', { admin: true, teams: [acme.open.id] });
  const ben = person(linear, acme, 'Ben', { teams: [acme.open.id] });
  bindings = bindingsOf({ SIGN_IN: 'linear', OWNERS: ada.id });
  for (const [who, scope] of [
    [ada, 'admin'],
    [ben, 'write'],
    [ben, 'read'],
  ] as const) {
    tokens.push((await tokenOf(await signedIn(linear, who, bindings), scope)).token);
  }
  known.id = [await sessionOf(acme, acme.open, 'Open'), await sessionOf(globex, globex.open, 'Elsewhere')];
  known.workspace = [acme.id, globex.id];
  const { id: webhook } = await addWebhook(
    openDatabase(env.DB, env.ENCRYPTION_KEY),
    { workspaceId: acme.id, id: crypto.randomUUID() },
    { url: 'https://hooks.acme.dev/', events: ['session.finished'], enabled: true },
    makeSecret(),
    Date.now(),
  );
  known.webhook = [webhook];
  known.name = ['CLAUDE_MODEL', 'PAUSED'];
  linear.interfere = (_url, body) => {
    if (!/query Issue(Now|Facts)/.test(body)) return null;
    const { variables } = JSON.parse(body);
    const team = { id: acme.open.id, key: 'ENG', name: 'Engineering' };
    const issue = {
      ...{
        id: crypto.randomUUID(),
        identifier: variables.id,
        title: 'Some issue',
        url: 'https://linear.app/a/issue/E-1',
      },
      ...{ archivedAt: null, trashed: false, state: { type: 'unstarted' }, team, labels: { nodes: [] } },
      ...{ description: null, branchName: null, project: null },
    };
    return Response.json({ data: { issue } });
  };
});

interface Asked {
  token: string;
  path: string;
  headers: Record<string, string>;
  body: string | undefined;
}

/** Requests to an operation. */
function asked(path: string, { parameters = [], requestBody }: Described): fc.Arbitrary<Asked> {
  const given = parameters.map(({ name, in: where, required, schema }) => {
    const ids = known[name] ?? [];
    const value = ids.length > 0 ? fc.oneof(fc.constantFrom<unknown>(...ids), tried(schema)) : tried(schema);
    const text = value.map((one) => (typeof one === 'string' ? one : (JSON.stringify(one) ?? '')));
    return { name, where, value: where === 'path' || required ? text : fc.option(text, { nil: undefined }) };
  });
  const schema = requestBody?.content['application/json'].schema;
  const body = schema
    ? fc.oneof(
        { weight: 9, arbitrary: tried(schema).map((one) => JSON.stringify(one)) },
        { weight: 1, arbitrary: fc.string() },
        ...(path in FITTING ? [{ weight: 9, arbitrary: fc.constant(JSON.stringify(FITTING[path])) }] : []),
      )
    : fc.constant(undefined);
  const values = fc.tuple(...given.map(({ value }) => value as fc.Arbitrary<string | undefined>));
  return fc.record({ token: fc.constantFrom(...tokens), values, body }).map(({ token, values: all, body: sent }) => {
    const of = (where: string) => given.flatMap((one, index) => (one.where === where ? [[one.name, all[index]]] : []));
    const filled = of('path').reduce((to, [name = '', value = '']) => to.replace(`{${name}}`, encode(value)), path);
    const query = of('query').flatMap(([name = '', value]) =>
      value === undefined ? [] : [`${name}=${encode(value)}`],
    );
    // A program cannot send other characters in a header.
    const headers = of('header').filter(([, value]) => value !== undefined && /^[\x20-\x7e]+$/.test(value));
    return { token, path: `${filled}?${query.join('&')}`, headers: Object.fromEntries(headers), body: sent };
  });
}

function encode(text: string): string {
  return encodeURIComponent(text.toWellFormed()) || '-';
}

async function send({ token, path, headers, body }: Asked, method: string): Promise<Response> {
  return worker.request(
    `${SECURE_ORIGIN}/api/v1${path}`,
    {
      method: method.toUpperCase(),
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
      ...(body !== undefined && { body: body.toWellFormed() }),
    },
    bindings,
    { waitUntil: () => {}, passThroughOnException: () => {}, props: {} },
  );
}

describe.each(operations.map((one) => [one.id, one] as const))('%s, asked at random', (_id, operation) => {
  it('answers with a status of the document and what its schema allows, and never fails by itself', async () => {
    const described = paths[operation.path]?.[operation.method];
    if (!described) throw new Error('the document does not have it');
    await env.DB.prepare('update api_tokens set requests = 0').run();
    const statuses = new Set<number>();
    await fc.assert(
      fc.asyncProperty(asked(operation.path, described), async (request) => {
        const response = await send(request, operation.method);
        const { status } = response;
        statuses.add(status);
        expect(status).toBeLessThan(500);
        expect(Object.keys(described.responses)).toContain(String(status));
        const type = response.headers.get('content-type') ?? '';
        if (type === 'text/event-stream') return response.body?.cancel();
        const text = await response.text();
        if (status >= 400) {
          expect(type).toBe('application/problem+json');
          expect(z.strictObject(problemSchema.shape).parse(JSON.parse(text)).status).toBe(status);
          return;
        }
        const { content } = operation.answer;
        if (content === null) return;
        if (typeof content === 'string') expect(type).toContain(content);
        // What the schema knows is all that is answered.
        else expect(JSON.parse(text)).toEqual(content.parse(JSON.parse(text)));
      }),
      { numRuns: EACH, seed: 1 },
    );
    // Requests that are refused alone would prove little.
    if (EACH === MOST && !HARD_TO_MEET.includes(operation.id)) expect([...statuses]).toContain(operation.answer.status);
  });
});
