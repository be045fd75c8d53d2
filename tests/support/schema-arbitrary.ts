/** Values that a JSON Schema allows, and values that it nearly does, for tests that try many. */
import fc from 'fast-check';

/** What is read of a schema, as zod writes it. */
export interface JsonSchema {
  type?: string;
  enum?: unknown[];
  const?: unknown;
  pattern?: string;
  format?: string;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  items?: JsonSchema;
  maxItems?: number;
  anyOf?: JsonSchema[];
  properties?: Record<string, JsonSchema>;
  required?: string[];
}

/** Values that it allows. */
export function allowed(schema: JsonSchema): fc.Arbitrary<unknown> {
  const { type, enum: words, pattern, items, anyOf, properties, required = [] } = schema;
  if ('const' in schema) return fc.constant(schema.const);
  if (words) return fc.constantFrom(...words);
  if (anyOf) return fc.oneof(...anyOf.map(allowed));
  switch (type) {
    case 'string': {
      if (schema.format === 'uri') return fc.webUrl({ validSchemes: ['https'] });
      if (pattern !== undefined) return fc.stringMatching(new RegExp(pattern));
      const { minLength = 0, maxLength = 200 } = schema;
      return fc.string({ unit: 'grapheme', minLength, maxLength: Math.min(maxLength, minLength + 200) });
    }
    case 'integer':
      return fc.integer({ min: schema.minimum ?? -1_000, max: Math.min(schema.maximum ?? 1_000_000, 2 ** 31 - 1) });
    case 'number':
      return fc.double({ noNaN: true, noDefaultInfinity: true });
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    case 'array':
      return fc.array(allowed(items ?? {}), { maxLength: Math.min(schema.maxItems ?? 5, 5) });
    case 'object': {
      const fields = Object.entries(properties ?? {}).map(([name, one]) => [name, allowed(one)] as const);
      return fc.record(Object.fromEntries(fields), { requiredKeys: required });
    }
    default:
      return fc.jsonValue();
  }
}

/** Mostly values that it allows; else one with a part that is something else, or anything at all. */
export function tried(schema: JsonSchema): fc.Arbitrary<unknown> {
  const fields = Object.keys(schema.properties ?? {});
  const spoilt =
    fields.length === 0
      ? fc.jsonValue()
      : fc
          .tuple(allowed(schema), fc.constantFrom(...fields, 'other'), fc.jsonValue())
          .map(([whole, name, part]) => ({ ...(whole as object), [name]: part }));
  return fc.oneof(
    { weight: 5, arbitrary: allowed(schema) },
    { weight: 3, arbitrary: spoilt },
    { weight: 1, arbitrary: fc.jsonValue() },
  );
}
