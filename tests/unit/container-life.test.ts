import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ContainerLifetime, type Memory, migrateLifetime } from '../../src/sandbox/container-life.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const NOW = 1_790_000_000_000;

let stored: Map<string, unknown>;
let kv: Memory;

beforeEach(() => {
  vi.useFakeTimers({ now: NOW, toFake: ['Date'] });
  stored = new Map();
  kv = {
    get: (key) => stored.get(key),
    put: (key, value) => void stored.set(key, structuredClone(value)),
    delete: (key) => stored.delete(key),
  };
});
afterEach(() => void vi.useRealTimers());

/** A life whose object is evicted between any two looks. */
const life = () => new ContainerLifetime(kv);
const setClock = (by: number) => void vi.setSystemTime(Date.now() + by);
/** Time passes, with a look every three minutes. @returns whether the life was over at any of them */
const live = (ms: number): boolean => {
  let isOver = false;
  for (let left = ms; left > 0; left -= 3 * MINUTE) {
    setClock(Math.min(left, 3 * MINUTE));
    isOver ||= life().isOver();
  }
  return isOver;
};

describe('a container', () => {
  it('lives for twelve hours at most', () => {
    life().begin();
    expect(live(12 * HOUR)).toBe(false);
    expect(live(6 * MINUTE)).toBe(true);
  });

  it.each([1, 13, -1, -13])('lives as long if the clock is set by %i hours', (hours) => {
    life().begin();
    live(HOUR);
    setClock(hours * HOUR);
    expect(live(10 * HOUR)).toBe(false);
    expect(live(HOUR + 6 * MINUTE)).toBe(true);
  });

  it('that saves has its fifteen minutes, however the clock is set', () => {
    life().begin();
    live(HOUR);
    expect(life().isEnding).toBe(false);
    expect(life().end()).toBe('signal');
    expect(life().isEnding).toBe(true);
    setClock(HOUR);
    expect(life().end()).toBe('wait');
    setClock(-5 * HOUR);
    expect(life().end()).toBe('wait');
    live(9 * MINUTE);
    expect(life().end()).toBe('wait');
    live(6 * MINUTE);
    expect(life().end()).toBe('destroy');
  });

  it('begins another life with nothing lived', () => {
    life().begin();
    live(13 * HOUR);
    life().end();
    life().begin();
    expect(life().isEnding).toBe(false);
    expect(live(12 * HOUR)).toBe(false);
  });

  it('that an earlier version started has lived since then, and continues ending', () => {
    stored.set('cyrus-started-at', NOW - 11 * HOUR);
    stored.set('cyrus-stopping-since', NOW - MINUTE);
    migrateLifetime(kv);
    expect(life().isEnding).toBe(true);
    expect(life().end()).toBe('wait');
    expect(live(HOUR)).toBe(false);
    expect(live(6 * MINUTE)).toBe(true);
  });
});
