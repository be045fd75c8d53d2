import { createContext, useContext, useEffect, useState, useSyncExternalStore } from 'react';
import type { SessionState, SessionStore } from '../live/session-store.ts';

/** The store of the session on the page. */
export const SessionContext = createContext<SessionStore | null>(null);

/** The store; only below a `SessionContext`. */
export function useStore(): SessionStore {
  const store = useContext(SessionContext);
  if (store === null) throw new Error('There is no session above this component');
  return store;
}

/** A part of the state; draws again only when that very part changes, so it must be no new object each time. */
export function useSession<T>(part: (state: SessionState) => T): T {
  const store = useStore();
  const read = () => part(store.getState());
  return useSyncExternalStore(store.subscribe, read, read);
}

/** The server's time in ms, counted on each second while `ticking`. */
export function useServerNow(ticking: boolean): number {
  return useNow(ticking) + useSession((state) => state.skew);
}

/** This machine's time in ms, counted on each second while `ticking`. */
export function useNow(ticking: boolean, everyMs = 1000): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    if (!ticking) return;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [ticking, everyMs]);
  return now;
}
