import { describe, expect, it } from 'vitest';
import { type Bucket, draw, slide, type WindowDecision } from '../../src/operations/limits/request-window.ts';

const MINUTE = 60_000;

describe('a sliding window', () => {
  const policy = { limit: 3, windowMs: MINUTE };

  function play(moments: number[]): WindowDecision[] {
    let times: number[] = [];
    return moments.map((now) => {
      const taken = slide(times, policy, now);
      ({ times } = taken);
      return taken.decision;
    });
  }
  const allowed = (moments: number[]) => play(moments).map((decision) => decision.allowed);

  it('lets in as many as it says, and the next one a window after the first, to the millisecond', () => {
    expect(allowed([0, 1, 2, 3])).toEqual([true, true, true, false]);
    expect(allowed([0, 1, 2, MINUTE - 1, MINUTE, MINUTE])).toEqual([true, true, true, false, true, false]);
    expect(allowed([0, 1, 2, MINUTE, MINUTE + 1, MINUTE + 1])).toEqual([true, true, true, true, true, false]);
  });

  it('never has more than its limit in any window, whenever requests come', () => {
    let seed = 7;
    const random = () => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed / 2_147_483_647;
    };
    const moments: number[] = [];
    for (let now = 0; moments.length < 2_000; now += Math.floor(random() * 20_000)) moments.push(now);
    const outcomes = allowed(moments);
    const passed = moments.filter((_, index) => outcomes[index]);
    for (const from of passed) {
      expect(passed.filter((time) => time >= from && time < from + MINUTE).length).toBeLessThanOrEqual(3);
    }
    // And it lets in who may come: nobody is refused while there are fewer.
    for (const [index, now] of moments.entries()) {
      if (outcomes[index]) continue;
      expect(passed.filter((time) => time > now - MINUTE && time <= now)).toHaveLength(3);
    }
  });

  it('who is refused and tries again is not kept out by that, and is told when there is room', () => {
    const decisions = play([0, 1, 2, 30_000, 59_000, MINUTE]);
    expect(decisions.at(-1)?.allowed).toBe(true);
    expect(decisions[3]).toEqual({ allowed: false, limit: 3, remaining: 0, resetMs: 30_000 });
    expect(play([0])[0]).toEqual({ allowed: true, limit: 3, remaining: 2, resetMs: MINUTE });
  });

  it('a clock that is set back keeps nobody out', () => {
    expect(allowed([100_000, 100_001, 100_002, 50_000])).toEqual([true, true, true, true]);
  });
});

describe('a bucket', () => {
  const policy = { burst: 1_000, perMinute: 100 };

  it('lets in a burst to the request, then as many a minute as it says, and says when there is room', () => {
    let bucket: Bucket | null = null;
    let owed = 0;
    const ask = (now: number) => {
      const drawn = draw(bucket, policy, owed, now);
      ({ bucket } = drawn);
      // What may come on credit comes.
      owed = drawn.draw.free;
      return drawn.draw.allowed ? 1 + drawn.draw.free : 0;
    };
    const passing = (now: number) => {
      let count = 0;
      for (let more = ask(now); more > 0; more = ask(now)) count += more;
      return count;
    };
    expect(passing(0)).toBe(1_000);
    expect(draw(bucket, policy, 0, 0).draw).toEqual({ allowed: false, free: 0, waitMs: 600 });
    expect(passing(599)).toBe(0);
    expect(passing(600)).toBe(1);
    expect(passing(MINUTE)).toBe(99);
    expect(passing(2 * MINUTE)).toBe(100);
    expect(passing(60 * MINUTE)).toBe(1_000);
  });

  it('that was emptied before the clock was set back by months is full again, and not empty for as long', () => {
    const empty = { level: 0, at: 100 * 24 * 60 * MINUTE };
    expect(draw(empty, { burst: 1_000, perMinute: 100 }, 0, 0)).toMatchObject({ draw: { allowed: true, waitMs: 0 } });
    expect(draw({ level: 0, at: 1_000 }, { burst: 1_000, perMinute: 100 }, 0, 0).draw.allowed).toBe(false);
  });
});
