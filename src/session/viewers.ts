/** The viewers of a session: hibernating WebSockets that are sent numbered entries and live output. */
import type { JournalEntry } from '../protocol/journal.ts';
import type { ViewerFrame } from '../protocol/viewer.ts';

/** Entries in one frame of a replay. */
const REPLAY_PAGE = 200;

export class Viewers {
  readonly #ctx: DurableObjectState;

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
   * @param entriesAfter reads entries after a number, at most so many
   */
  join(hello: ViewerFrame, after: number, entriesAfter: (after: number, limit: number) => JournalEntry[]): Response {
    const { 0: client, 1: server } = new WebSocketPair();
    // Answered by the platform without waking the object.
    this.#ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair('ping', 'pong'));
    this.#ctx.acceptWebSocket(server);
    server.send(JSON.stringify(hello));
    for (let from = after; ; ) {
      const entries = entriesAfter(from, REPLAY_PAGE);
      const last = entries.at(-1);
      if (!last) break;
      server.send(JSON.stringify({ t: 'entries', entries } satisfies ViewerFrame));
      from = last.seq;
    }
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
    const text = frames.map((frame) => JSON.stringify(frame)).join('\n');
    for (const socket of sockets) {
      try {
        socket.send(text);
      } catch {
        socket.close(1011, 'could not be written to');
      }
    }
  }
}
