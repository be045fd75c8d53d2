/** Where a browser goes after it signed in: a path of this deployment, whatever the address asked for. */

const MAX_PATH = 2_000;

/** @returns the path; `/` for anything that leads elsewhere, or back to signing in */
export function returnPath(wanted: string | undefined, origin: string): string {
  if (wanted === undefined || !wanted.startsWith('/') || wanted.length > MAX_PATH) return '/';
  try {
    const url = new URL(wanted, origin);
    if (url.origin !== origin || /^\/(sign-in|oauth|api)(\/|$)/.test(url.pathname)) return '/';
    return url.pathname.startsWith('//') ? '/' : `${url.pathname}${url.search}`;
  } catch {
    return '/';
  }
}
