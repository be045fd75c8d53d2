/** What a page asks of a session: parts of its journal as JSON, and a connection that tells what comes. */
import type { SessionPage } from '../../protocol/api.ts';
import { PAGE_PROTOCOL, protocolMismatch } from '../../protocol/version.ts';
import { CLOSE_NO_SUCH_SESSION, CLOSE_PROTOCOL, type SessionView } from '../../protocol/viewer.ts';
import type { Journal } from '../storage/journal.ts';
import type { Broadcast } from './broadcast.ts';
import { refuseSocket, WATCH_UNTIL } from './sockets.ts';

/** What a page shows beside the journal. */
type About = Pick<SessionPage, 'session' | 'mayWork'>;

/** The session and the entries after a number: a SessionPage as JSON text. */
export function pageAfter(about: About, journal: Journal, after: number, limit: number): string {
  const page: SessionPage = { ...about, entries: journal.after(after, limit), head: journal.head };
  return JSON.stringify(page);
}

/** The same for the entries before a number, nearest first in what is chosen. @param before null: the newest */
export function pageBefore(about: About, journal: Journal, before: number | null, limit: number): string {
  const saved = before === null ? journal.lastSaved() : null;
  const entries = journal.before(before, limit);
  const page: SessionPage = { ...about, entries, head: journal.head, ...(saved && { saved }) };
  return JSON.stringify(page);
}

/**
 * A viewer's WebSocket: `?after=N` is the last number it has; WATCH_UNTIL says how long it may watch without being asked again.
 * @param shown what a page shows of the session; null: there is none
 */
export async function connect(
  request: Request,
  shown: () => Promise<SessionView | null>,
  broadcast: Broadcast,
): Promise<Response> {
  if (request.headers.get('upgrade') !== 'websocket')
    return new Response('this address takes WebSocket connections only', { status: 426 });
  const { searchParams } = new URL(request.url);
  const mismatch = protocolMismatch(
    { name: 'Cyrus', protocol: PAGE_PROTOCOL },
    { name: 'this page', protocol: Number(searchParams.get('protocol') ?? 1) },
  );
  if (mismatch !== null) return refuseSocket(CLOSE_PROTOCOL, `${mismatch}: reload the page`);
  const session = await shown();
  if (!session) return refuseSocket(CLOSE_NO_SUCH_SESSION, 'no such session');
  const until = Number(request.headers.get(WATCH_UNTIL) ?? Number.NaN);
  return broadcast.join(session, Number(searchParams.get('after') ?? 0), Number.isNaN(until) ? null : until);
}
