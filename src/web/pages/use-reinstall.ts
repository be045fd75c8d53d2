import { useEffect, useState } from 'react';
import { fetchReinstallNeeded } from '../api.ts';

const EVERY_MS = 60_000;

/** Names of the workspaces that have to install Cyrus again, read every minute while the page is visible. */
export function useReinstall(): readonly string[] {
  const [workspaces, setWorkspaces] = useState<readonly string[]>([]);
  useEffect(() => {
    const ended = new AbortController();
    const { signal } = ended;
    const read = async () => {
      if (signal.aborted || document.hidden) return;
      const answer = await fetchReinstallNeeded(signal).catch(() => null);
      // What is not known changes nothing: whether the server answers is told elsewhere.
      if (answer?.ok && !signal.aborted) setWorkspaces(answer.value);
    };
    void read();
    const timer = setInterval(read, EVERY_MS);
    document.addEventListener('visibilitychange', read, { signal });
    return () => {
      ended.abort();
      clearInterval(timer);
    };
  }, []);
  return workspaces;
}
