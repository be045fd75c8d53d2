/** Filters of list fields: comparisons of text, numbers and times, joined by `and` and `or`. */
import { notSimulated } from '../errors.ts';

type Value = string | number | null;
type Comparators = Record<string, unknown>;
/** As in the schema's `…Filter` inputs: a key is a field of the node, or `and`, or `or`. */
export type Filter = Record<string, unknown>;

/**
 * Keeps the items that match.
 * @param fields the values of an item by the filter's keys; times as ISO 8601
 * @throws LinearError for a field or a comparison that is not simulated
 */
export function filtered<Item>(
  items: readonly Item[],
  filter: Filter | null | undefined,
  fields: Record<string, (item: Item) => Value>,
): readonly Item[] {
  if (!filter) return items;
  return items.filter((item) => matches(item, filter, fields));
}

function matches<Item>(item: Item, filter: Filter, fields: Record<string, (item: Item) => Value>): boolean {
  return Object.entries(filter).every(([key, condition]) => {
    if (condition === null || condition === undefined) return true;
    if (key === 'and') return (condition as Filter[]).every((part) => matches(item, part, fields));
    if (key === 'or') return (condition as Filter[]).some((part) => matches(item, part, fields));
    const field = fields[key];
    if (!field) throw notSimulated(`a filter by ${key}`);
    return compares(field(item), condition as Comparators);
  });
}

function compares(value: Value, comparators: Comparators): boolean {
  return Object.entries(comparators).every(([comparator, operand]) => {
    const compare = COMPARISONS[comparator];
    if (!compare) throw notSimulated(`the comparison ${comparator}`);
    return compare(value, operand);
  });
}

const COMPARISONS: Record<string, (value: Value, operand: unknown) => boolean> = {
  eq: (value, operand) => value === operand,
  neq: (value, operand) => value !== operand,
  in: (value, operand) => (operand as Value[]).includes(value),
  nin: (value, operand) => !(operand as Value[]).includes(value),
  null: (value, operand) => (value === null) === operand,
  eqIgnoreCase: (value, operand) => lower(value) === lower(operand),
  neqIgnoreCase: (value, operand) => lower(value) !== lower(operand),
  contains: (value, operand) => String(value).includes(String(operand)),
  containsIgnoreCase: (value, operand) => lower(value).includes(lower(operand)),
  notContains: (value, operand) => !String(value).includes(String(operand)),
  startsWith: (value, operand) => String(value).startsWith(String(operand)),
  endsWith: (value, operand) => String(value).endsWith(String(operand)),
  gt: (value, operand) => value !== null && value > (operand as string | number),
  gte: (value, operand) => value !== null && value >= (operand as string | number),
  lt: (value, operand) => value !== null && value < (operand as string | number),
  lte: (value, operand) => value !== null && value <= (operand as string | number),
};

function lower(value: unknown): string {
  return String(value).toLowerCase();
}
