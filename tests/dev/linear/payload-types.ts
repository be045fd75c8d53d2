/** Holds a webhook body against the type the schema has for it. */
import {
  type GraphQLOutputType,
  type GraphQLSchema,
  getNullableType,
  isEnumType,
  isListType,
  isNonNullType,
  isObjectType,
  isUnionType,
} from 'graphql';

/** Seen in captured payloads beyond the schema. */
const BEYOND_THE_SCHEMA = new Set(['dismissedAt', 'dismissedById', 'plan', 'externalUrls']);

/**
 * @param typeName an output type of the schema
 * @returns what is wrong, a line for each place: a missing or unknown key, a wrong kind of value
 */
export function mismatches(schema: GraphQLSchema, typeName: string, value: unknown): string[] {
  const type = schema.getType(typeName);
  if (!isObjectType(type)) throw new Error(`the schema has no object type ${typeName}`);
  return check(type, value, typeName);
}

function check(type: GraphQLOutputType, value: unknown, at: string): string[] {
  if (value === null || value === undefined) return isNonNullType(type) ? [`${at} is missing`] : [];
  const present = getNullableType(type);
  if (isListType(present)) {
    if (!Array.isArray(value)) return [`${at} is no list`];
    return value.flatMap((item, index) => check(present.ofType, item, `${at}[${index}]`));
  }
  if (isUnionType(present)) {
    const attempts = present.getTypes().map((member) => check(member, value, `${at}(${member.name})`));
    return attempts.reduce((best, attempt) => (attempt.length < best.length ? attempt : best));
  }
  if (isObjectType(present)) {
    const fields = present.getFields();
    const given = value as Record<string, unknown>;
    const unknown = Object.keys(given).filter((key) => !(key in fields) && !BEYOND_THE_SCHEMA.has(key));
    return [
      ...unknown.map((key) => `${at}.${key} is not in the schema`),
      ...Object.values(fields).flatMap((field) => check(field.type, given[field.name], `${at}.${field.name}`)),
    ];
  }
  if (isEnumType(present)) return present.getValue(String(value)) ? [] : [`${at} is no ${present.name}: ${value}`];
  const kinds: Record<string, string> = { String: 'string', ID: 'string', DateTime: 'string', Float: 'number' };
  const wanted = 'name' in present ? kinds[present.name] : undefined;
  return wanted === undefined || typeof value === wanted ? [] : [`${at} is a ${typeof value}, not a ${wanted}`];
}
