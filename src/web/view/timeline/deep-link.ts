import { useEffect, useSyncExternalStore } from 'react';
import { linkedEntry } from './linked-entry.ts';

/** Address of an entry. */
export function entryLink(seq: number): string {
  const url = new URL(location.href);
  url.hash = `e${seq}`;
  return url.href;
}

/** Calls `go` with the entry that the address names, at first and when it changes. */
export function useLinkedEntry(go: (seq: number) => void): void {
  const hash = useSyncExternalStore(followHash, () => location.hash);
  useEffect(() => {
    const seq = linkedEntry(hash);
    if (seq !== null) go(seq);
  }, [hash, go]);
}

function followHash(changed: () => void): () => void {
  window.addEventListener('hashchange', changed);
  return () => window.removeEventListener('hashchange', changed);
}
