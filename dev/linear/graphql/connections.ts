/**
 * Pages of a list, as Linear gives them: newest first, 50 unless asked otherwise, the node's id as cursor.
 * Source: linear.app/developers/pagination.
 */
import { invalidArgument } from '../errors.ts';

export interface PageArguments {
  first?: number | null;
  last?: number | null;
  after?: string | null;
  before?: string | null;
}

/** A type, not an interface: execution needs it to be open to other keys. */
export type Connection<Node> = {
  nodes: Node[];
  edges: { cursor: string; node: Node }[];
  pageInfo: { hasNextPage: boolean; hasPreviousPage: boolean; startCursor: string | null; endCursor: string | null };
};

export const DEFAULT_PAGE = 50;
const LARGEST_PAGE = 250;

/**
 * @param items oldest first
 * @param view what a node becomes; called for the nodes of the page only
 */
export function connection<Item extends { id: string }, Node>(
  items: readonly Item[],
  page: PageArguments,
  view: (item: Item) => Node,
): Connection<Node> {
  const newestFirst = items.toReversed();
  const from = page.after ? positionOf(newestFirst, 'after', page.after) + 1 : 0;
  const to = page.before ? positionOf(newestFirst, 'before', page.before) : newestFirst.length;
  const backwards = typeof page.last === 'number' && typeof page.first !== 'number';
  const size = checkedSize(backwards ? page.last : page.first);
  const start = backwards ? Math.max(from, to - size) : from;
  const end = backwards ? to : Math.min(to, from + size);
  const edges = newestFirst.slice(start, end).map((item) => ({ cursor: item.id, node: view(item) }));
  return {
    nodes: edges.map((edge) => edge.node),
    edges,
    pageInfo: {
      hasNextPage: end < newestFirst.length,
      hasPreviousPage: start > 0,
      startCursor: edges[0]?.cursor ?? null,
      endCursor: edges.at(-1)?.cursor ?? null,
    },
  };
}

function positionOf(items: readonly { id: string }[], property: string, cursor: string): number {
  const position = items.findIndex((item) => item.id === cursor);
  if (position < 0) throw invalidArgument(property, 'isCursor', `${property} is no cursor of this list`);
  return position;
}

function checkedSize(size: number | null | undefined): number {
  if (size === null || size === undefined) return DEFAULT_PAGE;
  if (size < 1 || size > LARGEST_PAGE) {
    throw invalidArgument('first', 'isInRange', `a page has 1 to ${LARGEST_PAGE} nodes, not ${size}`);
  }
  return size;
}
