/**
 * Posts a stream's events to the gateway: in order, one request in flight, from the number after the last one stored.
 * The gateway may be away for hours; the journal's files are the buffer.
 */
import { type Backoff, backoff } from '../../src/lib/backoff.ts';
import { parseJson } from '../../src/lib/parse-json.ts';
import {
  BATCH_FLUSH_MS,
  eventBatchAnswerSchema,
  HEARTBEAT_MS,
  MAX_BATCH_BYTES,
  MAX_BATCH_EVENTS,
  supersededAnswerSchema,
  UNWATCHED_FLUSH_MS,
} from '../../src/protocol/sandbox/batches.ts';
import { SANDBOX_PROTOCOL } from '../../src/protocol/version.ts';
import { after, pause, steadyNow } from '../clock.ts';
import { log } from '../log.ts';
import type { EventJournal } from './journal.ts';

const REQUEST_TIMEOUT_MS = 30_000;
const RETRIES: Backoff = { initialMs: 100, coefficient: 2, maximumMs: 30_000 };
/** A refused token is normally replaced by a new start; this is for a refusal that was a mistake. */
const REFUSED_RETRY_MS = 60_000;

/** Whom to post to, and as what. */
export interface PostAddress {
  sessionId: string;
  generation: number;
  bootId: string;
  streamId: string;
  gatewayUrl: string;
  token: string;
}

export interface PosterOptions {
  journal: EventJournal;
  address: PostAddress;
  /** True for a stream that begins with this process: nothing of it can be stored yet. */
  fresh: boolean;
  /** Whether silence would be taken for trouble: then an empty batch is posted every HEARTBEAT_MS. */
  isBusy: () => boolean;
  /**
   * The gateway says that another life of the session took over; or, with `diskIsBehind`, that it holds other numbers
   * than this disk.
   */
  onSuperseded: (message: string, diskIsBehind: boolean) => void;
  /** The first success after failures. */
  onReconnected: () => void;
}

interface Batch {
  body: Buffer<ArrayBuffer> | string;
  /** Numbers of its first and last event; 0 for an empty batch. */
  first: number;
  last: number;
}

/** `unfit`: the gateway will not have the batch as it is. */
type Outcome = 'stored' | 'retry' | 'refused' | 'superseded' | 'unfit';

/** How the gateway says that a batch is not to be sent again as it is: malformed, too large, not understood. */
const UNFIT = [400, 413, 422];
/** A single event with which the gateway fails (HTTP 5xx) so often in a row, while it takes an empty batch, is left out. */
const MOST_FAILURES = 8;

export class EventPoster {
  readonly #journal: EventJournal;
  readonly #options: PosterOptions;
  #address: PostAddress;
  /** Last number known to be stored; null until the gateway told a restarted server. */
  #stored: number | null;
  #lastPostAt = steadyNow() - BATCH_FLUSH_MS;
  /** How long events are held back; a session that nobody watches is posted for less often. */
  #flushMs = BATCH_FLUSH_MS;
  #stopped = false;
  #failures = 0;
  /** Answers in a row by which the gateway failed with the batch that is next, and whether it takes an empty one. */
  #faults = 0;
  /** Up to this number events are sent one by one: one of them was refused. */
  #singlyUpTo = 0;
  /** What is sent in the place of a refused event: its number, and a notice as JSON. */
  #instead: { seq: number; json: string } | null = null;
  /** A kick came since the last look. */
  #hurry = false;
  #wake: (() => void) | null = null;
  #loop: Promise<void>;
  readonly #abort = new AbortController();

  constructor(options: PosterOptions) {
    this.#options = options;
    this.#journal = options.journal;
    this.#address = options.address;
    this.#stored = options.fresh ? 0 : null;
    this.#journal.onWritten = () => this.#wakeUp();
    this.#loop = this.#run();
  }

  /** Tries again now, whatever was waited for: the issue session has shown that it is there. */
  kick(): void {
    this.#hurry = true;
    this.#wakeUp();
  }

  /** A start with a new token or address. */
  renew(gateway: { url: string; token: string }): void {
    this.#address = { ...this.#address, gatewayUrl: gateway.url, token: gateway.token };
    this.kick();
  }

  /**
   * Posts what is left.
   * @param limitMs gives up after this time; the rest stays on disk
   * @returns true when everything is stored
   */
  async flush(limitMs: number): Promise<boolean> {
    await this.#journal.flushed();
    this.kick();
    return await this.stored(this.#journal.lastSeq, limitMs);
  }

  /**
   * Waits until everything up to a number is stored.
   * @param limitMs gives up after this time
   * @returns whether it is
   */
  async stored(seq: number, limitMs: number): Promise<boolean> {
    const deadline = steadyNow() + limitMs;
    this.kick();
    while (!this.#stopped) {
      if (this.#stored !== null && this.#stored >= seq) return true;
      if (steadyNow() >= deadline) return false;
      await pause(10);
    }
    return false;
  }

  /** Stops posting; a request in flight is cut off. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#journal.onWritten = () => {};
    this.#abort.abort();
    this.#wakeUp();
    await this.#loop;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      if (!this.#due()) {
        const untilHeartbeat = this.#lastPostAt + HEARTBEAT_MS - steadyNow();
        await this.#sleep(this.#options.isBusy() ? Math.max(1, untilHeartbeat) : HEARTBEAT_MS);
        continue;
      }
      // The first event after a pause goes out at once; what follows closely travels together.
      await this.#gather();
      if (this.#stopped) return;
      this.#hurry = false;
      const outcome = await this.#post();
      await this.#settle(outcome);
    }
  }

  /** Lets events join the batch, until it is full, its time is over or somebody waits for it. */
  async #gather(): Promise<void> {
    const isFull = () => this.#stored !== null && this.#journal.written - this.#stored >= MAX_BATCH_EVENTS;
    while (!this.#stopped && !this.#hurry && !isFull()) {
      const left = this.#flushMs - (steadyNow() - this.#lastPostAt);
      if (left <= 0 || left > this.#flushMs) return;
      await this.#sleep(left);
    }
  }

  #due(): boolean {
    if (this.#stored === null || this.#journal.written > this.#stored) return true;
    return this.#options.isBusy() && steadyNow() - this.#lastPostAt >= HEARTBEAT_MS;
  }

  async #post(): Promise<Outcome> {
    const { sessionId, generation, bootId, streamId, gatewayUrl, token } = this.#address;
    const head = { protocol: SANDBOX_PROTOCOL, generation, bootId, streamId };
    try {
      const batch = await this.#batch(head);
      this.#lastPostAt = steadyNow();
      const answer = await fetch(`${gatewayUrl}/events`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: batch.body,
        redirect: 'error',
        signal: AbortSignal.any([this.#abort.signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]),
      });
      if (answer.ok) {
        const { stored, watched } = eventBatchAnswerSchema.parse(await answer.json());
        this.#flushMs = watched === false ? UNWATCHED_FLUSH_MS : BATCH_FLUSH_MS;
        const outcome = await this.#advance(stored);
        // An answer that takes nothing of what was sent would otherwise be repeated without a pause.
        return outcome === 'stored' && batch.last > 0 && stored < batch.first ? 'retry' : outcome;
      }
      const text = (await answer.text()).slice(0, 500);
      if (answer.status === 409) {
        const superseded = supersededAnswerSchema.safeParse(parseJson(text));
        if (superseded.success) {
          this.#options.onSuperseded(superseded.data.message, false);
          return 'superseded';
        }
      }
      this.#warn({ sessionId, status: answer.status, answer: text });
      if (answer.status === 401 || answer.status === 403) return 'refused';
      return this.#judge(batch, answer.status, text);
    } catch (error) {
      if (!this.#stopped) this.#warn({ sessionId, error: reason(error) });
      return 'retry';
    }
  }

  /** What becomes of a batch that the gateway did not take. One event must never keep those after it from getting through. */
  #judge(batch: Batch, status: number, answer: string): Outcome {
    if (batch.last === 0) return 'retry';
    const isUnfit = UNFIT.includes(status);
    this.#faults = isUnfit ? 0 : this.#faults + 1;
    if (!isUnfit && this.#faults < MOST_FAILURES) return 'retry';
    if (batch.last > batch.first) {
      this.#singlyUpTo = batch.last;
      this.#faults = 0;
      return isUnfit ? 'unfit' : 'retry';
    }
    if (this.#instead?.seq === batch.first) return 'retry';
    this.#instead = { seq: batch.first, json: noticeInstead(batch, status, answer) };
    return isUnfit ? 'unfit' : 'retry';
  }

  async #batch(head: { generation: number; bootId: string; streamId: string }): Promise<Batch> {
    const slice =
      this.#stored === null
        ? null
        : await this.#journal.read(this.#stored + 1, this.#mostEvents(this.#stored + 1), MAX_BATCH_BYTES - 1024);
    if (!slice) return { body: JSON.stringify({ ...head, events: [] }), first: 0, last: 0 };
    // The events are JSON already: they are pasted in, not parsed.
    const open = Buffer.from(`${JSON.stringify(head).slice(0, -1)},"events":[`);
    return {
      body: Buffer.concat([
        open,
        this.#instead?.seq === slice.first ? Buffer.from(this.#instead.json) : slice.json,
        Buffer.from(']}'),
      ]),
      first: slice.first,
      last: slice.first + slice.count - 1,
    };
  }

  #mostEvents(next: number): number {
    return next <= this.#singlyUpTo ? 1 : MAX_BATCH_EVENTS;
  }

  async #advance(stored: number): Promise<Outcome> {
    if (stored > this.#journal.lastSeq || stored < this.#journal.firstKept - 1) {
      // The disk was set back, or the issue session was. Numbers given now would be taken for others.
      this.#options.onSuperseded(
        `the issue session has stored ${stored} events, this disk holds ${this.#journal.firstKept} to ${this.#journal.lastSeq}`,
        true,
      );
      return 'superseded';
    }
    if (stored > (this.#stored ?? 0)) this.#faults = 0;
    this.#stored = stored;
    await this.#journal.acknowledge(stored);
    return 'stored';
  }

  async #settle(outcome: Outcome): Promise<void> {
    switch (outcome) {
      case 'stored':
        if (this.#failures > 0) {
          this.#failures = 0;
          this.#options.onReconnected();
        }
        return;
      case 'superseded':
        this.#stopped = true;
        return;
      case 'unfit':
        // Sent in another way at once.
        return;
      case 'refused':
        this.#failures += 1;
        await this.#pause(REFUSED_RETRY_MS);
        return;
      case 'retry':
        this.#failures += 1;
        await this.#pause(backoff(RETRIES, this.#failures, Math.random()));
    }
  }

  /** Waits; a kick ends it early, new events do not. */
  async #pause(ms: number): Promise<void> {
    const until = steadyNow() + ms;
    while (!this.#stopped && !this.#hurry && steadyNow() < until) await this.#sleep(until - steadyNow());
  }

  async #sleep(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const cancel = after(ms, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
    this.#wake = null;
  }

  #wakeUp(): void {
    this.#wake?.();
  }

  /** The first failure of a row, and then ever more rarely. */
  #warn(fields: Record<string, unknown>): void {
    const failures = this.#failures + 1;
    if ((failures & (failures - 1)) === 0) log('events.batch.failed', { ...fields, failures });
  }
}

/** Says that an event is missing and why; older Workers know it too. */
function noticeInstead({ body, first }: Batch, status: number, answer: string): string {
  const event = body.toString();
  const type = /"type":"([a-z-]{1,40})"/.exec(event.slice(event.indexOf('"events":[') + 1))?.[1] ?? 'unknown';
  const why = answer.replace(/\s+/g, ' ').slice(0, 200);
  const text = `Event ${first} of the sandbox (${type}) was not accepted: HTTP ${status} ${why}`;
  return JSON.stringify({ type: 'notice', seq: first, at: Date.now(), text });
}

/** `fetch` hides what happened in the cause. */
function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}
