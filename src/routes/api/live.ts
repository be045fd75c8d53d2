/** `GET /api/v1/sessions/:id/live`: the WebSocket that the page uses too. */
import type { Hono } from 'hono';
import { OPERATIONS } from '../../protocol/v1/operations.ts';
import { PAGE_PROTOCOL } from '../../protocol/version.ts';
import { WATCH_UNTIL } from '../../session/viewers/sockets.ts';
import { needsSession, type PeopleEnv } from '../middleware/needs.ts';
import { problemAnswer } from './problems.ts';
import { serve } from './serve.ts';

/** A token may be revoked meanwhile: a program connects again, and is asked for it. */
export const WATCH_MS = 5 * 60_000;

/** Adds the route. */
export function liveRoute(api: Hono<PeopleEnv>): void {
  serve(api, OPERATIONS.watchSession, needsSession('session.read'), (c, { query }) => {
    if (c.req.header('upgrade')?.toLowerCase() !== 'websocket') {
      return problemAnswer(426, 'upgrade_required', 'Ask for a WebSocket: `Upgrade: websocket`.');
    }
    const { after, protocol = PAGE_PROTOCOL } = query;
    return c.var.session.fetch(viewerRequest(after, protocol, Date.now() + WATCH_MS));
  });
}

/** The request by which a session's object lets a viewer in. @param until ms since the epoch */
export function viewerRequest(after: number, protocol: number, until: number): Request {
  const headers = { upgrade: 'websocket', [WATCH_UNTIL]: String(until) };
  return new Request(`https://session.internal/live?after=${after}&protocol=${protocol}`, { headers });
}
