/**
 * `GET /api/v1/sessions/:id/events`: a session as server-sent events. The Worker watches the session as a page does and passes on what it is
 * sent. When the session's object ends that, or the program does not read, the stream ends, and the program continues by the last number.
 */
import type { Hono } from 'hono';
import { asError } from '../../lib/error.ts';
import { parseJson } from '../../lib/parse-json.ts';
import { settledWithin } from '../../lib/timeout.ts';
import { log } from '../../observability/log.ts';
import { sessionPageSchema } from '../../protocol/api.ts';
import { OPERATIONS } from '../../protocol/v1/operations.ts';
import { PAGE_PROTOCOL } from '../../protocol/version.ts';
import { viewerFrameSchema } from '../../protocol/viewer.ts';
import { NO_SUCH_SESSION, needsSession, type PeopleContext, type PeopleEnv } from '../middleware/needs.ts';
import { entryEvent, FrameEvents } from './frame-events.ts';
import { viewerRequest, WATCH_MS } from './live.ts';
import { serve } from './serve.ts';

/** Most that waits for a program that does not read, in UTF-16 code units. */
const MOST_WAITING = 2 * 1024 * 1024;
/** A sign of life keeps what is between from closing a silent connection, and tells the object that somebody reads. */
const BEAT_MS = 15_000;
/** A program comes back after so long. */
const RETRY_MS = 1_000;

const STREAM_HEADERS = { 'content-type': 'text/event-stream', 'cache-control': 'no-store' };

/** A session whose journal is read by pages. */
type Journaled = Pick<PeopleContext['var']['session'], 'page'>;

/** Adds the route. */
export function eventStreamRoute(api: Hono<PeopleEnv>): void {
  serve(api, OPERATIONS.streamEntries, needsSession('session.read'), async (c, { query }) => {
    const last = Number(/^\d{1,15}$/.exec(c.req.header('last-event-id') ?? '')?.[0] ?? query.after);
    // Who may do everything was let in without a look at the session.
    if (c.var.workspaceId === null && (await c.var.session.whose()) === null) return c.json(NO_SUCH_SESSION, 404);
    if (c.req.method === 'HEAD') return new Response(null, { headers: STREAM_HEADERS });
    const until = Date.now() + WATCH_MS;
    const { webSocket } = await c.var.session.fetch(viewerRequest(last, PAGE_PROTOCOL, until));
    if (!webSocket) return c.json(NO_SUCH_SESSION, 404);
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    c.executionCtx.waitUntil(passOn(c.var.session, webSocket, writable.getWriter(), until));
    return new Response(readable, { headers: STREAM_HEADERS });
  });
}

/**
 * Passes on what the socket is sent, until either side ends or too much waits. Never rejects: a reader may leave.
 * @param until when the stream ends, in ms since the epoch: a session in which nothing happens closes no socket
 */
export async function passOn(
  session: Journaled,
  socket: WebSocket,
  writer: WritableStreamDefaultWriter<Uint8Array>,
  until: number,
): Promise<void> {
  const events = new FrameEvents();
  const utf8 = new TextEncoder();
  let waiting = 0;
  let written = writer.write(utf8.encode(`retry: ${RETRY_MS}\n\n`));
  let isOver = false;
  const end = Promise.withResolvers<void>();
  const over = () => {
    isOver = true;
    end.resolve();
  };
  const write = (text: string | Promise<string>, length: number) => {
    waiting += length;
    written = written.then(async () => {
      await writer.write(utf8.encode(await text));
      waiting -= length;
    });
    written.catch(over);
  };
  socket.addEventListener('message', ({ data }) => {
    // Nothing may follow what was left out. What came before is still written, so that a program gets on by each stream.
    if (waiting > MOST_WAITING) over();
    if (isOver || data === 'pong') return;
    for (const line of String(data).split('\n')) {
      const frame = viewerFrameSchema.safeParse(parseJson(line));
      if (!frame.success) continue;
      for (const event of events.take(frame.data)) {
        if ('text' in event) write(event.text, event.text.length);
        else write(readEntry(session, event.missed), 0);
      }
    }
  });
  socket.addEventListener('close', over);
  socket.addEventListener('error', over);
  socket.accept();
  const beat = setInterval(() => {
    if (Date.now() >= until) return over();
    if (socket.readyState === WebSocket.OPEN) socket.send('ping');
    write(': here\n\n', 0);
  }, BEAT_MS);
  writer.closed.catch(over);
  await end.promise;
  clearInterval(beat);
  try {
    socket.close(1000);
    const left = Math.max(BEAT_MS, until - Date.now());
    if ((await settledWithin(left, written)) === 'late') throw new Error('the program does not read');
    await writer.close();
  } catch (error) {
    log('api.event_stream.aborted', { error: asError(error) });
    await writer.abort().catch(() => {});
  }
}

/** @returns the event of an entry, as the journal has it */
async function readEntry(session: Journaled, seq: number): Promise<string> {
  const page = await session.page(seq - 1, 1);
  const [entry] = page === null ? [] : sessionPageSchema.parse(JSON.parse(page)).entries;
  return entry ? entryEvent(entry) : '';
}
