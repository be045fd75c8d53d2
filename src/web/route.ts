import { type MouseEvent, useSyncExternalStore } from 'react';

export type Route = { page: 'list' | 'account' | 'audit' | 'none' } | { page: 'session' | 'shared'; id: string };

/** The page at a path: `/`, `/account`, `/audit`, `/sessions/:id` and `/shared/:id`. */
export function routeOf(path: string): Route {
  if (path === '/') return { page: 'list' };
  const name = /^\/(account|audit)\/?$/.exec(path)?.[1];
  if (name === 'account' || name === 'audit') return { page: name };
  const [, page, id] = /^\/(sessions|shared)\/([^/]+)\/?$/.exec(path) ?? [];
  if (id === undefined) return { page: 'none' };
  try {
    return { page: page === 'shared' ? 'shared' : 'session', id: decodeURIComponent(id) };
  } catch {
    return { page: 'none' }; // A broken percent-encoding.
  }
}

/** Path of a session's page. */
export function sessionHref(id: string): string {
  return `/sessions/${encodeURIComponent(id)}`;
}

/** The address's path, followed as it changes. */
export function usePath(): string {
  return useSyncExternalStore(followPath, () => location.pathname);
}

/** For `onClick` of a link within the app: goes there without loading again. Other clicks stay the browser's. */
export function followLink(event: MouseEvent<HTMLAnchorElement>): void {
  if (event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  history.pushState(null, '', event.currentTarget.href);
  window.dispatchEvent(new PopStateEvent('popstate'));
  window.scrollTo(0, 0);
}

function followPath(changed: () => void): () => void {
  window.addEventListener('popstate', changed);
  return () => window.removeEventListener('popstate', changed);
}
