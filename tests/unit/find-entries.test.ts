import { expect, test } from 'vitest';
import type { JournalEntry } from '../../src/protocol/journal.ts';
import { findEntries } from '../../src/session/viewers/find-entries.ts';

/** What is marked of a text in which something is searched for; null: it is not found. */
function marked(text: string, wanted: string): string | null {
  const entry: JournalEntry = { seq: 1, at: 0, turn: 1, kind: 'text', text };
  const { matches } = findEntries({ lastBefore: () => 1, holding: () => [entry] }, wanted, 2);
  const [match] = matches;
  return match ? match.excerpt.slice(match.from, match.to) : null;
}

test('What is found is marked where it is, whatever letters come before it', () => {
  expect(marked('İİİİ and the Cart total', 'cart')).toBe('Cart');
  expect(marked('ẞ, ﬁ, İ: the cart', 'CART')).toBe('cart');
});

test('Letters that grow when they are made small are found themselves', () => {
  expect(marked('from İzmir to the sea', 'İzmir')).toBe('İzmir');
  expect(marked('from İzmir to the sea', 'izmir')).toBe('İzmir');
  expect(marked('from İzmir to the sea', 'sea')).toBe('sea');
});

test('What is not there is not found', () => {
  expect(marked('the cart', 'basket')).toBeNull();
});
