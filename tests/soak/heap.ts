/**
 * The JavaScript heap of the isolate that runs the Worker and all its objects, asked of V8 through workerd's inspector (domains `Runtime` and
 * `HeapProfiler`, https://chromedevtools.github.io/devtools-protocol/v8/), and the resident memory of its process.
 */
import { readFileSync } from 'node:fs';
import { z } from 'zod';

const targetsSchema = z.array(z.object({ title: z.string().default(''), webSocketDebuggerUrl: z.string() }));
const answerSchema = z.looseObject({
  id: z.number().optional(),
  result: z.unknown().optional(),
  error: z.looseObject({ message: z.string() }).optional(),
});
const usageSchema = z.object({ usedSize: z.number(), backingStorageSize: z.number().default(0) });

/** Longest wait for the inspector's answer. */
const ANSWER_LIMIT_MS = 30_000;

export interface MemorySample {
  /** Ms since the first sample. */
  at: number;
  /** Bytes of JavaScript that are alive after a garbage collection. */
  heap: number;
  /** Bytes that lie outside of the heap and belong to buffers that are alive. */
  buffers: number;
  /** Bytes of resident memory of the process. */
  rss: number;
}

export class WorkerMemory {
  readonly samples: MemorySample[] = [];
  readonly #port: number;
  readonly #url: string;
  readonly #pid: () => number;
  readonly #since = Date.now();

  /** @param port of the inspector. @param url of the Worker. @param pid of the process that runs it, which wrangler replaces where a source file changes */
  constructor(port: number, url: string, pid: () => number) {
    this.#port = port;
    this.#url = url;
    this.#pid = pid;
  }

  /** Collects garbage, then notes what is left. @throws where the inspector does not answer */
  async sample(): Promise<MemorySample> {
    const rss = residentBytes(this.#pid());
    const inspector = await Inspector.open(this.#port);
    // An isolate that does nothing does not answer its inspector either.
    const ask = async (method: string) => {
      const answer = inspector.ask(method);
      await fetch(`${this.#url}/health`);
      return answer;
    };
    try {
      await ask('HeapProfiler.enable');
      await ask('HeapProfiler.collectGarbage');
      const { usedSize, backingStorageSize } = usageSchema.parse(await ask('Runtime.getHeapUsage'));
      const sample = { at: Date.now() - this.#since, heap: usedSize, buffers: backingStorageSize, rss };
      this.samples.push(sample);
      return sample;
    } finally {
      inspector.close();
    }
  }
}

/** Growth of the values in bytes a minute, by least squares. @param samples at least two */
export function growth(samples: readonly MemorySample[], pick: (sample: MemorySample) => number): number {
  const minutes = samples.map(({ at }) => at / 60_000);
  const meanX = mean(minutes);
  const meanY = mean(samples.map(pick));
  const up = samples.reduce((sum, sample, at) => sum + ((minutes[at] ?? 0) - meanX) * (pick(sample) - meanY), 0);
  const down = minutes.reduce((sum, x) => sum + (x - meanX) ** 2, 0);
  return down === 0 ? 0 : up / down;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}

function residentBytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;
}

/** One connection to the inspector. */
class Inspector {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  #asked = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener('message', ({ data }) => this.#take(String(data)));
    socket.addEventListener('close', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the inspector closed the connection'));
    });
  }

  static async open(port: number): Promise<Inspector> {
    const targets = targetsSchema.parse(await (await fetch(`http://127.0.0.1:${port}/json`)).json());
    const [target] = targets;
    if (!target) throw new Error('the inspector has nothing to inspect');
    // wrangler's proxy wants a local origin, which Node does not send by itself. Node's own option, which the DOM's types do not have.
    const options = { headers: { origin: 'http://localhost' } } as unknown as string[];
    const socket = new WebSocket(target.webSocketDebuggerUrl, options);
    await new Promise<void>((resolve, reject) => {
      socket.addEventListener('open', () => resolve(), { once: true });
      socket.addEventListener('error', () => reject(new Error('the inspector refused the connection')), { once: true });
    });
    return new Inspector(socket);
  }

  ask(method: string): Promise<unknown> {
    const id = ++this.#asked;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      setTimeout(() => reject(new Error(`the inspector does not answer ${method}`)), ANSWER_LIMIT_MS).unref();
      this.#socket.send(JSON.stringify({ id, method, params: {} }));
    });
  }

  close(): void {
    this.#socket.close();
  }

  #take(data: string): void {
    const { id, result, error } = answerSchema.parse(JSON.parse(data));
    const waiting = id === undefined ? undefined : this.#waiting.get(id);
    if (id === undefined || !waiting) return;
    this.#waiting.delete(id);
    if (error) waiting.reject(new Error(error.message));
    else waiting.resolve(result);
  }
}
