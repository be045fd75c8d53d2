/** The viewers of `bench:stream`, a process of its own: real WebSockets that note what arrives, and when. */
import { decodeFrame } from '../../src/web/live/decode.ts';
import { applyFrame, emptyTimeline } from '../../src/web/live/timeline.ts';
import { now, STAMP } from './claude-lines.ts';

/** `join`: connect. `report`: once entry `head` has arrived everywhere, say what was seen of pieces made after `since`. `leave`: close the sockets. */
export type ViewerOrder =
  | { type: 'join'; url: string; count: number }
  | { type: 'report'; head: number; since: number }
  | { type: 'leave' };

export interface ViewerReport {
  /** From the making of a piece to its arrival at a viewer, in ms, over all viewers, sorted. */
  latencies: number[];
  /** Payload bytes for each viewer, without the first frame. */
  bytes: number[];
  messages: number;
  /** Viewers whose page holds every entry, in order. */
  complete: number;
  /** The entries, as the first viewer's page holds them. */
  entries: unknown[];
}

interface Viewer {
  socket: WebSocket;
  arrived: { at: number; data: string }[];
}

let viewers: Viewer[] = [];

process.on('message', async (order: ViewerOrder) => {
  switch (order.type) {
    case 'join':
      viewers = await Promise.all(Array.from({ length: order.count }, () => join(order.url)));
      process.send?.('joined');
      return;
    case 'report':
      process.send?.(await report(order.head, order.since));
      return;
    case 'leave':
      for (const { socket } of viewers) socket.close();
      viewers = [];
      process.send?.('left');
  }
});

function join(url: string): Promise<Viewer> {
  const socket = new WebSocket(url);
  const viewer: Viewer = { socket, arrived: [] };
  return new Promise((resolve, reject) => {
    socket.addEventListener('error', () => reject(new Error(`no socket at ${url}`)));
    socket.addEventListener('message', (event) => {
      if (viewer.arrived.push({ at: now(), data: String(event.data) }) === 1) resolve(viewer);
    });
  });
}

async function report(head: number, since: number): Promise<ViewerReport> {
  const deadline = Date.now() + 30_000;
  const last = new RegExp(`"seq":${head}\\b`);
  const isDone = ({ arrived }: Viewer) => arrived.slice(-20).some(({ data }) => last.test(data));
  while (!viewers.every(isDone) && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 50));
  const latencies = viewers.flatMap(({ arrived }) => arrived.flatMap(({ at, data }) => delays(at, data, since)));
  const timelines = viewers.map(({ arrived }) => fold(arrived.flatMap(({ data }) => data.split('\n'))));
  const [first] = timelines;
  const whole = JSON.stringify(first);
  return {
    latencies: latencies.sort((a, b) => a - b),
    bytes: viewers.map(({ arrived }) => arrived.slice(1).reduce((sum, { data }) => sum + Buffer.byteLength(data), 0)),
    messages: viewers.reduce((sum, { arrived }) => sum + arrived.length, 0),
    complete: timelines.filter((entries) => entries?.length === head && JSON.stringify(entries) === whole).length,
    entries: first ?? [],
  };
}

function delays(at: number, data: string, since: number): number[] {
  const made = [...data.matchAll(STAMP)].map(([, stamp]) => Number(stamp));
  return made.filter((time) => time >= since).map((time) => at - time);
}

/** What the page makes of these frames; null where one does not fit onto those before it. */
function fold(frames: string[]): unknown[] | null {
  let timeline = emptyTimeline;
  for (const text of frames) {
    const frame = decodeFrame(text);
    const applied = frame !== null && frame !== 'unknown' && applyFrame(timeline, frame);
    if (applied === false || !applied.ok) return null;
    timeline = applied.timeline;
  }
  return [...timeline.entries];
}
