/** A body that passes through unchanged and at once, is looked at on its way, and broken off where it stalls. */

/** How it ended: whole, broken by the other side, given up by who reads it, or for a pause that was too long. */
export type StreamEnd = 'whole' | 'broken' | 'cancelled' | 'stalled';

export interface Watcher {
  /** A piece that was handed on just now. Must not throw. */
  onPiece: (bytes: Uint8Array) => void;
  /** Called once. Must not throw. */
  onEnd: (how: StreamEnd) => void;
  /** Longest pause between two pieces while somebody waits for the next, in ms; left out: any. */
  stallMs?: number;
}

/** Watches a body. Pieces are handed on as they come; at most one is held. */
export function watched(body: ReadableStream<Uint8Array>, watcher: Watcher): ReadableStream<Uint8Array> {
  const { stallMs } = watcher;
  const reader = body.getReader();
  let hasEnded = false;
  const end = (how: StreamEnd) => {
    if (hasEnded) return;
    hasEnded = true;
    watcher.onEnd(how);
  };
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const pause = stallMs === undefined ? null : pauseOf(stallMs);
        try {
          const read = await (pause ? Promise.race([reader.read(), pause.over]) : reader.read());
          if (read === 'stalled') {
            end('stalled');
            controller.error(new Error(`the answer stalled for ${(stallMs ?? 0) / 1000} s`));
            await reader.cancel('stalled');
          } else if (read.done) {
            end('whole');
            controller.close();
          } else {
            controller.enqueue(read.value);
            watcher.onPiece(read.value);
          }
        } catch (error) {
          end('broken');
          controller.error(error);
        } finally {
          pause?.end();
        }
      },
      async cancel(reason) {
        end('cancelled');
        await reader.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
}

/** A pause that is over after so long, in ms, unless it ends before. */
function pauseOf(ms: number): { over: Promise<'stalled'>; end: () => void } {
  const { promise, resolve } = Promise.withResolvers<'stalled'>();
  const timer = setTimeout(() => resolve('stalled'), ms);
  return { over: promise, end: () => clearTimeout(timer) };
}
