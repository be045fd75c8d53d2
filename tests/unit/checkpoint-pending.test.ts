import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { MAX_AHEAD, PendingMoments } from '../../container/checkpoints/pending.ts';
import { setClock } from '../../container/clock.ts';

const SLACK_MS = 500;
const PATIENCE_MS = 10_000;

let now = 0;
let restoreClock = () => {};
beforeEach(() => {
  now = 0;
  restoreClock = setClock({ now: () => now, after: () => () => {} });
});
afterEach(() => restoreClock());

/** Moments of which one was kept after so long. */
function keptAfter(ms: number): PendingMoments {
  const pending = new PendingMoments();
  const number = pending.add();
  now += ms;
  pending.keptUpTo(number);
  return pending;
}

describe('a tool waits for the checkpoint of what was done before it', () => {
  test('but not of what ended a moment ago, if checkpoints are quick', async () => {
    const pending = keptAfter(200);
    const number = pending.add();
    now += 499;
    expect(pending.kept(SLACK_MS, PATIENCE_MS)).toBeNull();
    now += 1;
    const waits = pending.kept(SLACK_MS, PATIENCE_MS);
    expect(waits).not.toBeNull();
    pending.keptUpTo(number);
    await waits;
  });

  test('in any case if the last one was slow, or there was none', () => {
    for (const pending of [keptAfter(1_001), new PendingMoments()]) {
      pending.add();
      expect(pending.kept(SLACK_MS, PATIENCE_MS)).not.toBeNull();
      pending.abandon();
    }
  });

  test('so that after a loss at most a few batches are made again, all of the last half second, and mostly one', async () => {
    const pending = keptAfter(200);
    const numbers = Array.from({ length: MAX_AHEAD }, () => {
      expect(pending.kept(SLACK_MS, PATIENCE_MS)).toBeNull();
      return pending.add();
    });
    // Four were done within no time: the next tool may still begin, the one after that waits.
    expect(pending.kept(SLACK_MS, PATIENCE_MS)).toBeNull();
    numbers.push(pending.add());
    expect(pending.kept(SLACK_MS, PATIENCE_MS)).not.toBeNull();
    pending.abandon();
  });

  test('only until as few are open as may be, and not for all of them', async () => {
    const pending = keptAfter(200);
    const numbers = Array.from({ length: MAX_AHEAD + 2 }, () => pending.add());
    let mayBegin = false;
    const waits = pending.kept(SLACK_MS, PATIENCE_MS)?.then(() => {
      mayBegin = true;
    });
    pending.keptUpTo(numbers[0] ?? 0);
    await Promise.resolve();
    expect(mayBegin).toBe(false);
    pending.keptUpTo(numbers[1] ?? 0);
    await waits;
    expect(mayBegin).toBe(true);
  });

  test('until what is left is young, and until all is kept if that took long', async () => {
    const pending = keptAfter(200);
    const [first, second] = [pending.add(), pending.add()];
    now += 600;
    let mayBegin = false;
    const waits = pending.kept(SLACK_MS, PATIENCE_MS)?.then(() => {
      mayBegin = true;
    });
    pending.keptUpTo(first);
    await Promise.resolve();
    expect(mayBegin).toBe(false);
    pending.keptUpTo(second);
    await waits;

    const slow = keptAfter(1_001);
    const [third, last] = [slow.add(), slow.add()];
    now += 1_001;
    let isAll = false;
    const waitsForAll = slow.kept(SLACK_MS, PATIENCE_MS)?.then(() => {
      isAll = true;
    });
    slow.keptUpTo(third);
    await Promise.resolve();
    expect(isAll).toBe(false);
    slow.keptUpTo(last);
    await waitsForAll;
    expect(isAll).toBe(true);
  });

  test('and the end of a turn waits in any case', () => {
    const pending = keptAfter(200);
    pending.add();
    expect(pending.kept(null, PATIENCE_MS)).not.toBeNull();
    pending.abandon();
  });

  test('for all that there is by then, and for nothing that comes later', async () => {
    const pending = keptAfter(200);
    const first = pending.add();
    const second = pending.add();
    let isDone = false;
    const waits = pending.kept(null, PATIENCE_MS)?.then(() => {
      isDone = true;
    });
    pending.add();
    pending.keptUpTo(first);
    await Promise.resolve();
    expect(isDone).toBe(false);
    pending.keptUpTo(second);
    await waits;
    expect(isDone).toBe(true);
  });

  test('and no longer once checkpoints fail, until one succeeds', () => {
    const pending = keptAfter(200);
    pending.add();
    pending.abandon();
    expect(pending.kept(null, PATIENCE_MS)).toBeNull();
    pending.keptUpTo(pending.add());
    pending.add();
    expect(pending.kept(null, PATIENCE_MS)).not.toBeNull();
    pending.abandon();
  });
});
