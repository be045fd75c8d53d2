import { NoDeprecatedCustomRule, parse, specifiedRules, validate } from 'graphql';
import { expect, it } from 'vitest';
import { linearSchema } from '../../../dev/linear/schema/schema.ts';
import * as operations from '../../../src/linear/operations.ts';

const schema = await linearSchema();

it.each(Object.entries(operations))(
  '%s is valid in the schema of the pinned SDK and uses nothing deprecated',
  (_name, document) => {
    expect(validate(schema, parse(document), [...specifiedRules, NoDeprecatedCustomRule])).toEqual([]);
  },
);
