import { useEffect, useSyncExternalStore } from 'react';

/** The entry that the address names, as in `/sessions/…#e1234`; null if it names none. */
export function linkedEntry(hash: string): number | null {
  const seq = Number(/^#e(\d{1,15})$/.exec(hash)?.[1] ?? Number.NaN);
  return Number.isSafeInteger(seq) && seq > 0 ? seq : null;
}

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
