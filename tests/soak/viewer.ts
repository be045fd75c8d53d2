/** A viewer of a session without a browser: the page's own connection and timeline, and what went wrong with them. */
import type { JournalEntry } from '../../src/protocol/journal.ts';
import { PAGE_PROTOCOL } from '../../src/protocol/version.ts';
import { LiveConnection } from '../../src/web/live/connection.ts';
import { applyFrame, emptyTimeline, type Timeline } from '../../src/web/live/timeline.ts';

export class Viewer {
  readonly #connection: LiveConnection;
  #timeline: Timeline = emptyTimeline;
  #connections = 0;
  /** Why connections could not be trusted any more; a page would connect again. */
  readonly problems: string[] = [];

  /** @param origin of Cyrus, e.g. `http://localhost:8787` */
  constructor(origin: string, sessionId: string) {
    const address = `${origin.replace('http', 'ws')}/api/sessions/${sessionId}/live`;
    this.#connection = new LiveConnection({
      open: () => {
        this.#connections += 1;
        return new WebSocket(`${address}?after=${this.#timeline.lastSeq}&protocol=${PAGE_PROTOCOL}`);
      },
      onFrame: (frame) => {
        const applied = applyFrame(this.#timeline, frame);
        this.#timeline = applied.timeline;
        if (applied.ok) return null;
        this.problems.push(applied.problem);
        return applied.problem;
      },
      onState: () => {},
    });
  }

  /** What the page shows: entries 1 to the last, in order. */
  get entries(): readonly JournalEntry[] {
    return this.#timeline.entries;
  }

  /** How often it connected; once, unless the connection was lost or too much was to be sent at once. */
  get connections(): number {
    return this.#connections;
  }

  close(): void {
    this.#connection.close();
  }
}
