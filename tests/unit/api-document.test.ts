import { Validator } from '@seriousme/openapi-schema-validator';
import { expect, it } from 'vitest';
import { openApiDocument, operations, problemsOf } from '../../src/protocol/v1/document.ts';

type Document = {
  paths: Record<string, Record<string, { operationId: string; responses: Record<string, unknown> }>>;
  components: { schemas: Record<string, object> };
};
const document = JSON.parse(JSON.stringify(openApiDocument('https://cyrus.example'))) as Document;

it('the document of the API is valid OpenAPI 3.1, and refers to nothing that is not in it', async () => {
  const validator = new Validator();
  const { valid, errors } = await validator.validate(structuredClone(document));
  expect([valid, errors]).toEqual([true, undefined]);
  expect(validator.version).toBe('3.1');
  const refs = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)].map(
    ([, name]) => name,
  );
  expect(refs.length).toBeGreaterThan(20);
  expect(refs.filter((name) => !Object.hasOwn(document.components.schemas, name ?? ''))).toEqual([]);
});

it('a document that is not valid would be found out', async () => {
  const { paths: _, ...without } = structuredClone(document);
  const broken = { ...without, paths: { '/me': { get: { responses: [] } } } };
  expect((await new Validator().validate(broken)).valid).toBe(false);
});

it('the document says of each operation with what it may refuse', () => {
  for (const one of operations) {
    const described = document.paths[one.path]?.[one.method];
    const statuses = [...Object.keys(problemsOf(one)), String(one.answer.status)].toSorted();
    expect(Object.keys(described?.responses ?? {}).toSorted(), one.id).toEqual(statuses);
    for (const status of ['401', '403', '429']) expect(statuses).toContain(status);
  }
});

it('no answer forbids fields that a later version adds', () => {
  expect(JSON.stringify(document.components.schemas)).not.toContain('"additionalProperties":false');
});
