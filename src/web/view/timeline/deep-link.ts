import { useEffect, useSyncExternalStore } from 'react';

/** The secret of a share link that the address has, as in `/shared/…#secret` or `#secret.e1234`; null if it has none. */
export function linkedSecret(hash: string): string | null {
  return /^#([\w-]{43})(?:\.|$)/.exec(hash)?.[1] ?? null;
}

/** The entry that the address names, as in `/sessions/…#e1234`; null if it names none. */
export function linkedEntry(hash: string): number | null {
  const seq = Number(/^#(?:[\w-]{43}\.)?e(\d{1,15})$/.exec(hash)?.[1] ?? Number.NaN);
  return Number.isSafeInteger(seq) && seq > 0 ? seq : null;
}

/** Address of an entry. */
export function entryLink(seq: number): string {
  const url = new URL(location.href);
  const secret = linkedSecret(location.hash);
  url.hash = secret === null ? `e${seq}` : `${secret}.e${seq}`;
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
