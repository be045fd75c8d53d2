import { NoDeprecatedCustomRule, parse, specifiedRules, validate } from 'graphql';
import { expect, it } from 'vitest';
import { linearSchema } from '../../../dev/linear/schema/schema.ts';
import * as operations from '../../../src/linear/api/operations.ts';

const schema = await linearSchema();

const { postDocument, ...documents } = operations;
const posts = [
  ['one activity', postDocument(1, false)],
  ['a change of a session', postDocument(0, true)],
  ['many activities with a change', postDocument(20, true)],
];

it.each([...Object.entries(documents), ...posts])(
  '%s is valid in the schema of the pinned SDK and uses nothing deprecated',
  (_name, document) => {
    expect(validate(schema, parse(document), [...specifiedRules, NoDeprecatedCustomRule])).toEqual([]);
  },
);
