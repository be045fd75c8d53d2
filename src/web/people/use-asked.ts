import { useCallback, useEffect, useState } from 'react';
import type { Answer } from '../api.ts';

/** Something that a page asks for. `problem`: why the last try failed; what was there before stays. */
export interface Asked<T> {
  value: T | null;
  problem: string | null;
  /** Asks again. */
  again: () => void;
}

/**
 * Asks when the page opens, again when `ask` is another function, and again when the connection is back after a failure.
 * @param ask stays the same function as long as it asks for the same
 */
export function useAsked<T>(ask: (signal: AbortSignal) => Promise<Answer<T>>): Asked<T> {
  const [answer, setAnswer] = useState<{ of: typeof ask; value: T | null; problem: string | null } | null>(null);
  const [tries, setTries] = useState(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: each try asks again.
  useEffect(() => {
    const end = new AbortController();
    void ask(end.signal)
      .then((told) => {
        if (end.signal.aborted) return;
        setAnswer((before) => {
          const kept = before?.of === ask ? before.value : null;
          return told.ok
            ? { of: ask, value: told.value, problem: null }
            : { of: ask, value: kept, problem: told.message };
        });
      })
      // Left before the answer came.
      .catch(() => {});
    return () => end.abort();
  }, [ask, tries]);
  const again = useCallback(() => setTries((before) => before + 1), []);
  const current = answer?.of === ask ? answer : null;
  const problem = current?.problem ?? null;
  useEffect(() => {
    if (problem === null) return;
    window.addEventListener('online', again);
    return () => window.removeEventListener('online', again);
  }, [problem, again]);
  return { value: current?.value ?? null, problem, again };
}
