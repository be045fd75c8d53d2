import { expect, it } from 'vitest';
import { batches, inBatches } from '../../../src/lib/concurrency.ts';

it('a long list is taken in batches, in order, of which none is empty or too long', () => {
  expect([...batches([1, 2, 3, 4, 5], 2)]).toEqual([[1, 2], [3, 4], [5]]);
  expect([...batches([1, 2], 2)]).toEqual([[1, 2]]);
  expect([...batches([], 2)]).toEqual([]);
});

it('what is done in batches is done for each, for no more at the same time, and none begins after a batch that failed', async () => {
  let now = 0;
  let most = 0;
  const begun: number[] = [];
  const act = async (item: number) => {
    begun.push(item);
    now += 1;
    most = Math.max(most, now);
    await Promise.resolve();
    now -= 1;
    if (item === 5) throw new Error('five');
    return item * 2;
  };
  expect(await inBatches([1, 2, 3, 4], 3, act)).toEqual([2, 4, 6, 8]);
  expect(most).toBe(3);
  begun.length = 0;
  await expect(inBatches([5, 6, 7], 2, act)).rejects.toThrow('five');
  expect(begun).toEqual([5, 6]);
});
