import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  NoDeprecatedCustomRule,
  NoUnusedFragmentsRule,
  parse,
  specifiedRules,
  validate,
  validateSchema,
} from 'graphql';
import { describe, expect, it } from 'vitest';
import { linearSchema, linearSchemaText } from '../../../dev/linear/schema/schema.ts';
import { OPERATIONS } from './api.ts';

const sdkModule = join(import.meta.dirname, '../../../node_modules/@linear/sdk/dist/index.mjs');

describe("Linear's schema, derived from @linear/sdk", () => {
  it('is a valid schema', async () => {
    expect(validateSchema(await linearSchema())).toEqual([]);
  });

  it('admits every operation the SDK itself sends', async () => {
    const schema = await linearSchema();
    const rules = specifiedRules.filter((rule) => rule !== NoUnusedFragmentsRule);
    const source = await readFile(sdkModule, 'utf8');
    let operations = 0;
    const problems: string[] = [];
    for (const [, text = ''] of source.matchAll(/new TypedDocumentString\(`([^`]*)`/g)) {
      if (!/^\s*(query|mutation|subscription) /.test(text)) continue;
      operations += 1;
      problems.push(...validate(schema, parse(text), rules).map((error) => error.message));
    }
    expect(operations).toBeGreaterThan(600);
    expect(problems).toEqual([]);
  });

  it.each(Object.entries(OPERATIONS))('admits %s, which an agent needs, without deprecated parts', async (_, query) => {
    expect(validate(await linearSchema(), parse(query), [...specifiedRules, NoDeprecatedCustomRule])).toEqual([]);
  });

  it('is derived once and then read from the cache, of which several processes may be the first user', async () => {
    const cache = await mkdtemp(join(tmpdir(), 'linear-schema-'));
    try {
      const [first, second] = await Promise.all([linearSchemaText(cache), linearSchemaText(cache)]);
      expect(second).toBe(first);
      expect(await readdir(cache)).toEqual([expect.stringMatching(/^linear-schema-[\d.]+\.graphql$/)]);
      expect(await linearSchemaText(cache)).toBe(first);
    } finally {
      await rm(cache, { recursive: true });
    }
  });
});
