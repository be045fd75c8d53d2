import { useCallback, useEffect, useRef, useState } from 'react';
import type { FoundEntries } from '../../../protocol/api.ts';
import { fetchFound } from '../../api.ts';

/** A search begins when nothing was typed for this long, ms. */
const TYPING_MS = 200;

export interface Find {
  matches: FoundEntries['matches'];
  /** `done`: everything was searched; `more`: further matches may be further back. */
  state: 'idle' | 'searching' | 'more' | 'done';
  problem: string | null;
  /** Searches further back. */
  more: () => void;
}

/** The match after the current one, or before it, around the ends; without a current one the first or the last. @param current -1: none */
export function nextMatch(current: number, count: number, isBack: boolean): number {
  if (isBack) return current > 0 ? current - 1 : count - 1;
  return current + 1 < count ? current + 1 : 0;
}

const NOTHING = { matches: [], next: undefined };

/** What is found of a text in a session, newest first, a part at a time. */
export function useFind(session: string, text: string): Find {
  const wanted = text.trim();
  const [found, setFound] = useState<{ matches: FoundEntries['matches']; next: number | undefined }>(NOTHING);
  const [state, setState] = useState<Find['state']>('idle');
  const [problem, setProblem] = useState<string | null>(null);
  const search = useRef<AbortController>(undefined);

  const read = useCallback(
    async (known: FoundEntries['matches'], before: number | undefined) => {
      search.current?.abort();
      const current = new AbortController();
      search.current = current;
      setState('searching');
      let answer = await fetchFound(session, { text: wanted, before }, current.signal).catch(() => null);
      // An answer searches a part: parts without a match are passed over.
      while (answer?.ok && answer.value.matches.length === 0 && answer.value.next !== undefined) {
        const further = { text: wanted, before: answer.value.next };
        answer = await fetchFound(session, further, current.signal).catch(() => null);
      }
      if (answer === null || current.signal.aborted) return;
      setProblem(answer.ok ? null : answer.message);
      if (answer.ok) {
        const { matches, next } = answer.value;
        setFound({ matches: [...known, ...matches], next });
        setState(next === undefined ? 'done' : 'more');
      } else setState('more');
    },
    [session, wanted],
  );

  useEffect(() => {
    search.current?.abort();
    setFound(NOTHING);
    setProblem(null);
    setState('idle');
    if (wanted === '') return;
    const timer = setTimeout(() => void read([], undefined), TYPING_MS);
    return () => clearTimeout(timer);
  }, [wanted, read]);
  useEffect(() => () => search.current?.abort(), []);

  return { matches: found.matches, state, problem, more: () => void read(found.matches, found.next) };
}
