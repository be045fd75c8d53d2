import { describe, expect, it } from 'vitest';
import {
  initialPace,
  MOST_LATE_MS,
  type Pace,
  schedule,
  type Urgency,
} from '../../src/session/lifecycle/model/post-pacing.ts';

/** Plays what is said at these seconds; gives back the times, in seconds, at which something is sent. */
function sent(said: [second: number, urgency: Urgency][], verbosity: 'normal' | 'verbose' = 'normal'): number[] {
  let pace: Pace = initialPace(verbosity, 1_000_000);
  const times = new Set<number>();
  let flush: number | null = null;
  for (const [second, urgency] of said) {
    const now = 1_000_000 + second * 1000;
    if (flush !== null && flush <= now) times.add(flush);
    const next = schedule(pace, urgency, verbosity, now);
    if (!next) continue;
    pace = next.pace;
    flush = next.at;
  }
  if (flush !== null) times.add(flush);
  return [...times].map((time) => (time - 1_000_000) / 1000);
}

const every = (seconds: number, until: number, urgency: Urgency = 'news'): [number, Urgency][] =>
  Array.from({ length: Math.floor(until / seconds) + 1 }, (_, index) => [index * seconds, urgency]);

describe('what is told of a turn', () => {
  it('goes out at once in the beginning', () => {
    expect(sent([[0, 'news']])).toEqual([0]);
    expect(sent(every(2, 6))).toEqual([0, 2, 4, 6]);
  });

  it('is gathered more and more as the turn continues, at most for 160 s', () => {
    const times = sent(every(1, 3600));
    const gaps = times.slice(1).map((time, index) => time - (times[index] ?? 0));
    expect(gaps.slice(0, 12)).toEqual(gaps.slice(0, 12).toSorted((a, b) => a - b));
    expect(Math.floor(Math.max(...gaps))).toBeLessThanOrEqual(160);
  });

  it.each([1, 5, 20, 60])('costs at most 34 calls in an hour with something to tell every %i seconds', (seconds) => {
    expect(sent(every(seconds, 3600)).length).toBeLessThanOrEqual(34);
  });

  it('goes out at once if a person waits for it, with what was gathered', () => {
    const busy = every(1, 600).filter(([second]) => second !== 601);
    expect(sent([...busy, [601, 'answer']]).at(-1)).toBe(601);
  });

  it('is left out if calls are scarce and the next activity replaces it anyway', () => {
    const pace: Pace = { tokens: 1, at: 0, flushAt: 0 };
    expect(schedule(pace, 'passing', 'normal', 1000)).toBeNull();
    expect(schedule(pace, 'news', 'normal', 1000)).not.toBeNull();
  });

  it('is told sooner if everything is wanted', () => {
    expect(sent(every(1, 3600), 'verbose').length).toBeGreaterThan(80);
  });

  it.each([0.1, 1, 30, 300])('is at most 160 s late if people talk every %s s', (seconds) => {
    let pace = initialPace('normal', 0);
    for (let talk = 0; talk < 100; talk += 1) {
      const now = Math.round(talk * seconds * 1000);
      pace = schedule(pace, 'answer', 'normal', now)?.pace ?? pace;
      for (const later of [0, 50]) {
        const news = schedule(pace, 'news', 'normal', now + later);
        expect(news?.at).toBeLessThanOrEqual(now + later + MOST_LATE_MS);
        pace = news?.pace ?? pace;
      }
    }
  });

  it('is not later if the clock was set back or forward', () => {
    for (const jump of [-3_600_000, 3_600_000]) {
      let pace: Pace = initialPace('normal', 10_000_000);
      for (let second = 0; second < 60; second += 1) {
        pace = schedule(pace, 'news', 'normal', 10_000_000 + second * 1000)?.pace ?? pace;
      }
      const now = 10_060_000 + jump;
      expect(schedule(pace, 'answer', 'normal', now)?.at).toBe(now);
      expect(schedule(pace, 'news', 'normal', now)?.at).toBeLessThanOrEqual(now + MOST_LATE_MS);
    }
  });
});
