import {
  type GraphQLOutputType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
  isUnionType,
  NoDeprecatedCustomRule,
  parse,
  type SelectionSetNode,
  specifiedRules,
  validate,
} from 'graphql';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { linearSchema } from '../../../dev/linear/schema/schema.ts';
import { query } from '../../../src/linear/api/operation.ts';
import * as operations from '../../../src/linear/api/operations.ts';
import * as peopleOperations from '../../../src/linear/api/people-operations.ts';

const schema = await linearSchema();

const { postOperation, ...known } = operations;
const all = Object.entries({
  ...known,
  ...peopleOperations,
  'one activity': postOperation(1, false),
  'a change of a session': postOperation(0, true),
  'many activities with a change': postOperation(20, true),
});

const LEAVES: Record<string, unknown> = {
  Boolean: true,
  Float: 0.5,
  Int: 1,
  DateTime: '2026-11-01T12:00:00.000Z',
  JSON: {},
  JSONObject: {},
};

/** What Linear answers to a selection by its schema: with a value in every field, or with `null` in each that may be null. */
function answerTo(selected: SelectionSetNode | undefined, type: GraphQLOutputType, isSparse: boolean): unknown {
  if (!isNonNullType(type)) return isSparse ? null : present(selected, type, isSparse);
  return present(selected, type.ofType, isSparse);
}

function present(selected: SelectionSetNode | undefined, type: GraphQLOutputType, isSparse: boolean): unknown {
  if (isListType(type)) return isSparse ? [] : [answerTo(selected, type.ofType, false)];
  // Some texts are addresses.
  if (isLeafType(type)) return LEAVES[type.name] ?? 'https://linear.app/x';
  if (isUnionType(type)) {
    const [asked] = (selected?.selections ?? []).filter((selection) => selection.kind === 'InlineFragment');
    const member = type.getTypes().find(({ name }) => name === asked?.typeCondition?.name.value);
    if (!member) throw new Error(`no answer of the union ${type}`);
    return present(asked?.selectionSet, member, isSparse);
  }
  if (!isObjectType(type)) throw new Error(`no answer of the type ${type}`);
  const fields = type.getFields();
  return Object.fromEntries(
    (selected?.selections ?? []).map((selection) => {
      const field = selection.kind === 'Field' ? fields[selection.name.value] : undefined;
      if (selection.kind !== 'Field' || !field) throw new Error(`no answer for a ${selection.kind} of ${type.name}`);
      const name = (selection.alias ?? selection.name).value;
      return [name, answerTo(selection.selectionSet, field.type, isSparse)];
    }),
  );
}

describe.each(all)('the operation %s', (_name, { document, answer }) => {
  it('is valid in the schema of the pinned SDK and uses nothing deprecated', () => {
    expect(validate(schema, parse(document), [...specifiedRules, NoDeprecatedCustomRule])).toEqual([]);
  });

  it.each([
    ['in full', false],
    ['with nothing but what it must have', true],
  ])('takes the answer of Linear %s', (_how, isSparse) => {
    const [operation] = parse(document).definitions;
    if (operation?.kind !== 'OperationDefinition') throw new Error('no operation');
    const root = operation.operation === 'query' ? schema.getQueryType() : schema.getMutationType();
    if (!root) throw new Error('no root');
    const sample = present(operation.selectionSet, root, isSparse);
    expect(answer.safeParse(sample).error?.issues ?? []).toEqual([]);
  });
});

it('a schema that refuses what Linear may answer does not compile', () => {
  const withParent = z.object({ issue: z.object({ parent: z.object({ id: z.string() }) }) });
  // @ts-expect-error An issue may have no parent.
  expect(query()('query { … }', withParent)).toBeDefined();
});
