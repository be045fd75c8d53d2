/**
 * What a query costs: 0.1 for a scalar, 1 for an object, and a list multiplies what is in it by its page size, rounded up.
 * Source: linear.app/developers/rate-limiting.
 */
import {
  type DocumentNode,
  type FragmentDefinitionNode,
  type GraphQLCompositeType,
  type GraphQLSchema,
  getNamedType,
  isCompositeType,
  isInterfaceType,
  isObjectType,
  Kind,
  type SelectionSetNode,
} from 'graphql';
import { DEFAULT_PAGE } from './connections.ts';

/** The most one query may cost. */
export const MAX_COMPLEXITY = 10_000;

/**
 * @param document checked against the schema
 * @returns points
 */
export function complexityOf(
  schema: GraphQLSchema,
  document: DocumentNode,
  variables: Readonly<Record<string, unknown>>,
): number {
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
  }
  const typeNamed = (name: string, otherwise: GraphQLCompositeType) => {
    const type = schema.getType(name);
    return isCompositeType(type) ? type : otherwise;
  };

  const costOf = (selections: SelectionSetNode, parent: GraphQLCompositeType, pageSize: number): number => {
    let cost = 0;
    for (const selection of selections.selections) {
      if (selection.kind === Kind.INLINE_FRAGMENT) {
        const condition = selection.typeCondition;
        const type = condition ? typeNamed(condition.name.value, parent) : parent;
        cost += costOf(selection.selectionSet, type, pageSize);
      } else if (selection.kind === Kind.FRAGMENT_SPREAD) {
        const fragment = fragments.get(selection.name.value);
        if (!fragment) continue;
        cost += costOf(fragment.selectionSet, typeNamed(fragment.typeCondition.name.value, parent), pageSize);
      } else if (!selection.selectionSet) {
        cost += 0.1;
      } else if (isObjectType(parent) || isInterfaceType(parent)) {
        const field = parent.getFields()[selection.name.value];
        const type = field && getNamedType(field.type);
        if (!isCompositeType(type)) continue;
        const isConnection = type.name.endsWith('Connection');
        const asked = selection.arguments?.find(({ name }) => name.value === 'first' || name.value === 'last')?.value;
        const size = isConnection ? sizeOf(asked, variables) : 1;
        const each = costOf(selection.selectionSet, type, size);
        const isNodes = (selection.name.value === 'nodes' || selection.name.value === 'edges') && pageSize > 1;
        cost += isNodes ? pageSize * (1 + each) : 1 + each;
      }
    }
    return cost;
  };

  let total = 0;
  for (const definition of document.definitions) {
    if (definition.kind !== Kind.OPERATION_DEFINITION) continue;
    const root = schema.getRootType(definition.operation);
    if (root) total += costOf(definition.selectionSet, root, 1);
  }
  return Math.ceil(Math.round(total * 1000) / 1000);
}

function sizeOf(
  asked: { kind: string; value?: unknown; name?: unknown } | undefined,
  variables: Readonly<Record<string, unknown>>,
): number {
  if (asked?.kind === Kind.INT) return Number(asked.value);
  if (asked?.kind === Kind.VARIABLE) {
    const { value } = asked.name as { value: string };
    const given = variables[value];
    if (typeof given === 'number') return given;
  }
  return DEFAULT_PAGE;
}
