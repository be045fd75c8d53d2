/** The viewers of a session: hibernating WebSockets that are sent numbered entries and live output. */
import * as z from 'zod';
import type { JournalEntry } from '../../protocol/journal.ts';
import { CLOSE_MORE, type ViewerFrame } from '../../protocol/viewer.ts';

/** Entries in one frame of a replay. */
const REPLAY_PAGE = 200;
/** Most of a replay that one connection is sent, in UTF-16 code units: a viewer that does not read costs no more than that. */
const MOST_REPLAYED = 1024 * 1024;
/** Most that is sent to a viewer after its last sign that it reads (pages send a ping every 15 s). */
const MOST_UNREAD = 16 * 1024 * 1024;

/** Header by which a route says how long a viewer may watch, in ms since the epoch; left out: as long as they like. */
export const WATCH_UNTIL = 'x-cyrus-watch-until';
const attachmentSchema = z.object({ until: z.number() });

/** A socket is refused in words a client can read: accepted, then closed with a code of its own. */
export function refuseSocket(code: number, reason: string): Response {
  const { 0: client, 1: server } = new WebSocketPair();
  server.accept();
  server.close(code, reason);
  return new Response(null, { status: 101, webSocket: client });
}

export class Viewers {
  readonly #ctx: DurableObjectState;
  /** What was sent to each since it was heard of; after hibernation it is counted from zero. */
  readonly #unread = new WeakMap<WebSocket, { length: number; heardAt: number }>();

  /** How long each may watch; what hibernation forgot is read from the socket. */
  readonly #until = new WeakMap<WebSocket, number>();

  constructor(ctx: DurableObjectState) {
    this.#ctx = ctx;
  }

  get count(): number {
    return this.#ctx.getWebSockets().length;
  }

  /**
   * Takes in a viewer and brings it up to date. Runs without an interruption, so that nothing can happen between the
   * replay and the first live frame.
   * @param hello the first frame
   * @param after last number the viewer has
   * @param until when it has to connect again, in ms since the epoch; null: never
   * @param entriesAfter reads entries after a number, at most so many
   */
  join(
    hello: ViewerFrame,
    after: number,
    until: number | null,
    entriesAfter: (after: number, limit: number) => JournalEntry[],
  ): Response {
    const { 0: client, 1: server } = new WebSocketPair();
    // Answered by the platform without waking the object.
    this.#ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair('ping', 'pong'));
    this.#ctx.acceptWebSocket(server);
    if (until !== null) server.serializeAttachment({ until });
    this.#until.set(server, until ?? Number.POSITIVE_INFINITY);
    server.send(JSON.stringify(hello));
    let sent = 0;
    for (let from = after; ; ) {
      const entries = entriesAfter(from, REPLAY_PAGE);
      const last = entries.at(-1);
      if (!last) break;
      if (sent > MOST_REPLAYED) {
        // The platform does not tell how much of it was read; a viewer that has read all of it comes back for more.
        server.close(CLOSE_MORE, 'more entries follow: connect again after the last one');
        break;
      }
      const text = JSON.stringify({ t: 'entries', entries } satisfies ViewerFrame);
      sent += text.length;
      server.send(text);
      from = last.seq;
    }
    this.#unread.set(server, { length: sent, heardAt: 0 });
    return new Response(null, { status: 101, webSocket: client });
  }

  /**
   * Sends frames to everyone, as one message: many small ones cost more than what is in them. A socket that cannot be
   * written to is closed; its viewer comes back by itself.
   */
  send(frames: ViewerFrame[]): void {
    if (frames.length === 0) return;
    const sockets = this.#ctx.getWebSockets();
    if (sockets.length === 0) return;
    const now = Date.now();
    const text = frames.map((frame) => JSON.stringify(frame)).join('\n');
    for (const socket of sockets) {
      if (socket.readyState !== WebSocket.OPEN) continue;
      try {
        if (this.#untilOf(socket) <= now) socket.close(CLOSE_MORE, 'connect again: who watches is asked again');
        else if (this.#keepsUp(socket, text.length)) socket.send(text);
        else socket.close(CLOSE_MORE, 'too slow: connect again after the last entry');
      } catch {
        socket.close(1011, 'could not be written to');
      }
    }
  }

  #untilOf(socket: WebSocket): number {
    const known = this.#until.get(socket);
    if (known !== undefined) return known;
    const attached = attachmentSchema.safeParse(socket.deserializeAttachment());
    const until = attached.success ? attached.data.until : Number.POSITIVE_INFINITY;
    this.#until.set(socket, until);
    return until;
  }

  /** Counts what is about to be sent; false if the viewer has not been heard of for too much of it. */
  #keepsUp(socket: WebSocket, length: number): boolean {
    const heardAt = this.#ctx.getWebSocketAutoResponseTimestamp(socket)?.getTime() ?? 0;
    const known = this.#unread.get(socket);
    const unread = known && known.heardAt === heardAt ? known.length + length : length;
    this.#unread.set(socket, { length: unread, heardAt });
    return unread <= MOST_UNREAD;
  }
}
