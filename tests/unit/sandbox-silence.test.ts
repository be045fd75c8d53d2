import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { heardOf } from '../../src/routes/gateway/sandbox-silence.ts';

let looks: number[];
let answers: (number | null)[];
let watchers: Promise<void>[];

const now = () => performance.now();
const heard = (isAwaited = true) =>
  heardOf(
    'session',
    isAwaited,
    async () => {
      looks.push(now());
      return answers.length > 0 ? (answers.shift() ?? null) : 5_000;
    },
    (work) => watchers.push(work),
  );

beforeEach(() => {
  vi.useFakeTimers();
  looks = [];
  answers = [];
  watchers = [];
});
afterEach(async () => {
  heard(false);
  await vi.advanceTimersByTimeAsync(60_000);
  await Promise.all(watchers);
  vi.useRealTimers();
});

describe('a sandbox that posts', () => {
  it('is not looked after', async () => {
    for (let second = 0; second < 120; second += 1) {
      heard();
      await vi.advanceTimersByTimeAsync(1_000);
    }
    expect(looks).toEqual([]);
  });

  it('is looked after once in each pause of ten seconds', async () => {
    for (let beat = 0; beat < 12; beat += 1) {
      heard();
      await vi.advanceTimersByTimeAsync(9_990);
    }
    expect(looks).toHaveLength(12);
  });

  it('has one watcher at a time, none of which lasts longer than the platform allows', async () => {
    for (let post = 0; post < 2_000; post += 1) {
      heard();
      await vi.advanceTimersByTimeAsync(15);
    }
    expect(watchers.length).toBeLessThanOrEqual(3);
    await vi.advanceTimersByTimeAsync(25_000);
    await Promise.all(watchers);
  });
});

describe('a sandbox that posts no more', () => {
  it.each([1, 7, 14, 26, 39])('is looked after five seconds later, %i s after the first post', async (seconds) => {
    for (let second = 0; second < seconds; second += 1) {
      heard();
      await vi.advanceTimersByTimeAsync(1_000);
    }
    heard();
    const last = now();
    answers = [null];
    await vi.advanceTimersByTimeAsync(60_000);
    expect(looks).toEqual([last + 5_000]);
  });

  it('is looked after when the session says so, if that was heard of it by another way', async () => {
    heard();
    const last = now();
    answers = [3_000, null];
    await vi.advanceTimersByTimeAsync(60_000);
    expect(looks).toEqual([last + 5_000, last + 8_000]);
  });

  it('is not looked after if its turn is over', async () => {
    heard();
    await vi.advanceTimersByTimeAsync(4_000);
    heard(false);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(looks).toEqual([]);
  });
});
