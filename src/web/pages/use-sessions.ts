import { useEffect, useState } from 'react';
import type { SessionList } from '../../protocol/api.ts';
import { fetchSessions } from '../api.ts';

const EVERY_MS = 4_000;

/** The list of sessions, read again every few seconds while the page is visible. `problem`: why the last try failed. */
export function useSessions(): { list: SessionList | null; problem: string | null } {
  const [list, setList] = useState<SessionList | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(() => {
    const ended = new AbortController();
    const { signal } = ended;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let reading = false;
    const read = async () => {
      if (reading || signal.aborted || document.hidden) return;
      reading = true;
      clearTimeout(timer);
      const answer = await fetchSessions(signal).catch(() => null);
      reading = false;
      if (answer === null || signal.aborted) return;
      if (answer.ok) setList(answer.value);
      setProblem(answer.ok ? null : answer.message);
      timer = setTimeout(read, EVERY_MS);
    };
    void read();
    document.addEventListener('visibilitychange', read, { signal });
    window.addEventListener('online', read, { signal });
    return () => {
      ended.abort();
      clearTimeout(timer);
    };
  }, []);
  return { list, problem };
}
