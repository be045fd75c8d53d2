/**
 * Carries out a checked operation. The simulator knows a part of Linear's 1,300 types; for the rest it answers with the
 * empty value the schema allows (null, '', 0, false, an empty list), as an almost unused workspace would. If that is
 * impossible, and for whole queries and mutations, it says that it does not simulate this.
 */
import {
  type DocumentNode,
  type ExecutionResult,
  execute,
  type GraphQLError,
  type GraphQLFieldResolver,
  type GraphQLFormattedError,
  type GraphQLOutputType,
  type GraphQLSchema,
  getNullableType,
  isEnumType,
  isListType,
  isNonNullType,
  isObjectType,
  isScalarType,
} from 'graphql';
import { formatExecutionError, notSimulated } from '../errors.ts';
import { connection } from './connections.ts';

export type RootFields = Record<string, (argumentsOfField: never) => unknown>;

export interface Answer {
  data?: ExecutionResult['data'];
  errors?: GraphQLFormattedError[];
}

export interface Operation {
  schema: GraphQLSchema;
  document: DocumentNode;
  variables: Record<string, unknown> | null | undefined;
  operationName: string | null | undefined;
  /** Applied to every Markdown text of the answer; null: as it is. */
  rewriteMarkdown: ((text: string) => string) | null;
}

/**
 * @returns what the API answers; `rejected` when the variables did not fit, so that nothing was executed
 */
export async function carryOut(
  operation: Operation,
  rootFields: RootFields,
): Promise<{ answer: Answer; rejected: readonly GraphQLError[] | null }> {
  const result = await execute({
    schema: operation.schema,
    document: operation.document,
    rootValue: rootFields,
    variableValues: operation.variables,
    operationName: operation.operationName,
    contextValue: operation.rewriteMarkdown,
    fieldResolver: resolveField,
  });
  if (result.errors && !('data' in result)) return { answer: {}, rejected: result.errors };
  const answer: Answer = { data: result.data ?? null };
  if (result.errors) answer.errors = result.errors.map(formatExecutionError);
  return { answer, rejected: null };
}

/** Fields that hold Markdown. */
const MARKDOWN_FIELDS = new Set(['description', 'body']);

const resolveField: GraphQLFieldResolver<unknown, Operation['rewriteMarkdown']> = (source, args, rewrite, info) => {
  const { fieldName, parentType, returnType } = info;
  const value = (source as Record<string, unknown>)[fieldName];
  if (typeof value === 'function') return value(args);
  if (rewrite && typeof value === 'string' && MARKDOWN_FIELDS.has(fieldName)) return rewrite(value);
  if (value !== undefined) return value;
  const isRoot = info.path.prev === undefined;
  if (isRoot) throw notSimulated(`${parentType.name}.${fieldName}`);
  return emptyValue(returnType, `${parentType.name}.${fieldName}`, source as Record<string, unknown>);
};

function emptyValue(type: GraphQLOutputType, field: string, source: Record<string, unknown>): unknown {
  if (!isNonNullType(type)) return null;
  const present = getNullableType(type);
  if (isListType(present)) return [];
  if (isEnumType(present)) return present.getValues()[0]?.value;
  if (isScalarType(present)) {
    if (present.name === 'DateTime') return source.createdAt ?? EPOCH;
    return EMPTY_SCALARS[present.name] ?? {};
  }
  if (isObjectType(present) && present.name.endsWith('Connection')) return connection([], {}, () => null);
  // A part of its parent, such as settings, can be empty; another entity cannot be made up.
  if (isObjectType(present) && !present.getInterfaces().some(({ name }) => name === 'Node')) return {};
  throw notSimulated(field);
}

const EPOCH = new Date(0).toISOString();
const EMPTY_SCALARS: Record<string, unknown> = { String: '', ID: '', Boolean: false, Int: 0, Float: 0 };
