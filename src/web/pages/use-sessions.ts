import { useCallback, useEffect, useRef, useState } from 'react';
import type { SessionList } from '../../protocol/api.ts';
import { fetchSessions } from '../api.ts';
import { type Listed, withNewest, withOlder } from './session-pages.ts';

const EVERY_MS = 4_000;

/** The list as far as it was read. `older`: reads the page that follows; null at the end, or while it is read. */
export interface Sessions {
  list: (Omit<SessionList, 'sessions' | 'next'> & Listed) | null;
  /** Why the last try failed. */
  problem: string | null;
  older: (() => void) | null;
  isReadingOlder: boolean;
}

/** The newest sessions, read again every few seconds while the page is visible, and older ones page by page. */
export function useSessions(): Sessions {
  const [list, setList] = useState<Sessions['list']>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [isReadingOlder, setReadingOlder] = useState(false);
  const ended = useRef<AbortSignal>(undefined);
  useEffect(() => {
    const end = new AbortController();
    const { signal } = end;
    ended.current = signal;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let reading = false;
    const read = async () => {
      if (reading || signal.aborted || document.hidden) return;
      reading = true;
      clearTimeout(timer);
      const answer = await fetchSessions(signal).catch(() => null);
      reading = false;
      if (answer === null || signal.aborted) return;
      if (answer.ok) setList((known) => ({ ...answer.value, ...withNewest(known, answer.value) }));
      setProblem(answer.ok ? null : answer.message);
      timer = setTimeout(read, EVERY_MS);
    };
    void read();
    document.addEventListener('visibilitychange', read, { signal });
    window.addEventListener('online', read, { signal });
    return () => {
      end.abort();
      clearTimeout(timer);
    };
  }, []);
  const next = list?.next;
  const older = useCallback(async () => {
    const signal = ended.current;
    if (next === undefined || signal === undefined) return;
    setReadingOlder(true);
    const answer = await fetchSessions(signal, next).catch(() => null);
    setReadingOlder(false);
    if (answer === null || signal.aborted) return;
    if (answer.ok) {
      // The list may have begun again meanwhile: then this page does not follow it.
      setList((known) => (known && known.next === next ? { ...known, ...withOlder(known, answer.value) } : known));
    }
    setProblem(answer.ok ? null : answer.message);
  }, [next]);
  return {
    list,
    problem,
    older: next === undefined || isReadingOlder ? null : () => void older(),
    isReadingOlder,
  };
}
