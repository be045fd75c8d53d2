/**
 * Sends webhooks as Linear does: signed, at most 5 seconds, only 200 counts, three retries that are byte-identical.
 * Source: linear.app/developers/webhooks; that retries keep their timestamp was observed by several implementers.
 */
import { createHmac, randomUUID } from 'node:crypto';
import type { SimulatorClock } from '../clock.ts';
import type { FaultPlan } from '../faults.ts';
import type { PendingDelivery } from '../state/data-file.ts';
import { type AttemptOutcome, post } from './post.ts';

/** After the first, second and third failed attempt. */
const RETRY_DELAYS_MS = [60_000, 3_600_000, 6 * 3_600_000] as const;

interface Attempt extends AttemptOutcome {
  /** ISO 8601, on the simulator's clock. */
  at: string;
  /** A copy that was sent on purpose. */
  duplicate: boolean;
}

/**
 * - `sending`: on its way or in the queue
 * - `held`: kept back by a fault until released
 * - `waiting`: failed, and will be tried again
 * - `delivered`, `failed`: done
 * - `unsent`: there was no webhook address
 */
export type DeliveryState = 'sending' | 'held' | 'waiting' | 'delivered' | 'failed' | 'unsent';

/** One event on its way, as the log shows it. */
export interface Delivery {
  /** `Linear-Delivery`. */
  id: string;
  /** `Linear-Event`. */
  event: string;
  action: string;
  /** The application it is for, and the workspace it is about. */
  clientId: string;
  workspaceId: string;
  state: DeliveryState;
  createdAt: string;
  attempts: Attempt[];
  /** Exactly what was signed and sent. */
  body: string;
  /** `Linear-Timestamp`, epoch milliseconds. */
  timestamp: number;
  nextAttemptAt: string | null;
}

export type ReleaseOrder = 'in-order' | 'reversed' | 'shuffled';

/** An application's webhook as it is now; a change counts for retries too. */
export interface WebhookTarget {
  /** Null: nowhere. */
  url: string | null;
  /** Signs what is sent. */
  secret: string;
}

export interface NewDelivery {
  event: string;
  action: string;
  payload: object;
  /** Epoch milliseconds. */
  timestamp: number;
  clientId: string;
  workspaceId: string;
}

export interface WebhookSenderOptions {
  clock: SimulatorClock;
  faults: FaultPlan;
  /** Where an application wants its events. */
  target: (clientId: string) => WebhookTarget;
  random: () => number;
  timeoutMs: number;
  /** Attempts in flight at once. */
  concurrency: number;
  /** After each change to a delivery. */
  onChange: () => void;
}

/** Finished deliveries beyond this many are forgotten, oldest first. */
const LOG_LENGTH = 10_000;

export class WebhookSender {
  readonly #options: WebhookSenderOptions;
  readonly #log = new Map<string, Delivery>();
  readonly #queue: (() => Promise<void>)[] = [];
  readonly #held: Delivery[] = [];
  readonly #idle: (() => void)[] = [];
  #inFlight = 0;
  readonly #abort = new AbortController();

  constructor(options: WebhookSenderOptions) {
    this.#options = options;
  }

  /** Hands over an event. Returns at once; the attempts follow. */
  send({ event, action, payload, timestamp, clientId, workspaceId }: NewDelivery): Delivery {
    const delivery: Delivery = {
      id: randomUUID(),
      event,
      action,
      clientId,
      workspaceId,
      state: 'sending',
      createdAt: new Date(timestamp).toISOString(),
      attempts: [],
      body: JSON.stringify(payload),
      timestamp,
      nextAttemptAt: null,
    };
    this.#remember(delivery);
    if (this.#options.target(clientId).url === null) delivery.state = 'unsent';
    else if (this.#options.faults.current.webhooks.hold) this.#hold(delivery);
    else this.#start(delivery);
    return delivery;
  }

  /** Sends what was held back; deliveries leave one after the other in that order, each once the one before was answered. */
  async release(order: ReleaseOrder): Promise<number> {
    const held = this.#held.splice(0);
    if (order === 'reversed') held.reverse();
    if (order === 'shuffled') shuffle(held, this.#options.random);
    for (const delivery of held) {
      delivery.state = 'sending';
      this.#start(delivery);
      await this.settled();
    }
    return held.length;
  }

  /** Oldest first. */
  deliveries(): Delivery[] {
    return [...this.#log.values()];
  }

  delivery(id: string): Delivery | undefined {
    return this.#log.get(id);
  }

  /** When nothing is in flight or queued; retries that wait for their time do not count. */
  settled(): Promise<void> {
    if (this.#inFlight === 0 && this.#queue.length === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** What a restart must take up again. */
  pending(): PendingDelivery[] {
    const pending: PendingDelivery[] = [];
    for (const delivery of this.#log.values()) {
      const { id, event, action, body, timestamp, state, clientId, workspaceId } = delivery;
      if (state !== 'waiting' && state !== 'sending' && state !== 'held') continue;
      const failures = delivery.attempts.filter((attempt) => !attempt.duplicate).length;
      const nextAttemptAt = delivery.nextAttemptAt ? Date.parse(delivery.nextAttemptAt) : this.#options.clock.now();
      pending.push({ id, event, action, body, timestamp, failures, nextAttemptAt, clientId, workspaceId });
    }
    return pending;
  }

  /**
   * Takes up what an earlier run left.
   * @param ofOlderRuns what a delivery is for and about that does not say it
   */
  resume(pending: readonly PendingDelivery[], ofOlderRuns: { clientId: string; workspaceId: string }): void {
    const now = this.#options.clock.now();
    for (const { id, event, action, body, timestamp, failures, nextAttemptAt, ...origin } of pending) {
      const clientId = origin.clientId ?? ofOlderRuns.clientId;
      const workspaceId = origin.workspaceId ?? ofOlderRuns.workspaceId;
      const createdAt = new Date(timestamp).toISOString();
      const at = new Date(nextAttemptAt).toISOString();
      const delivery: Delivery = {
        ...{
          id,
          event,
          action,
          clientId,
          workspaceId,
          state: 'waiting',
          createdAt,
          body,
          timestamp,
          nextAttemptAt: at,
        },
        attempts: Array.from({ length: failures }, () => ({
          at: createdAt,
          status: null,
          ms: 0,
          error: 'before the simulator was restarted',
          duplicate: false,
        })),
      };
      this.#remember(delivery);
      this.#options.clock.schedule(Math.max(0, nextAttemptAt - now), () => this.#attempt(delivery, false));
    }
  }

  /** Sends nothing more, and gives up what is in flight. */
  close(): Promise<void> {
    this.#abort.abort();
    this.#queue.length = 0;
    return this.settled();
  }

  #start(delivery: Delivery): void {
    const { duplicates, duplicatesAfterMs, duplicatesWithNewId } = this.#options.faults.current.webhooks;
    void this.#attempt(delivery, false);
    for (let copy = 0; copy < duplicates; copy += 1) {
      const id = duplicatesWithNewId ? randomUUID() : delivery.id;
      if (duplicatesAfterMs === 0) void this.#attempt(delivery, true, id);
      else this.#options.clock.schedule(duplicatesAfterMs, () => this.#attempt(delivery, true, id));
    }
  }

  #hold(delivery: Delivery): void {
    delivery.state = 'held';
    this.#held.push(delivery);
  }

  #remember(delivery: Delivery): void {
    this.#log.set(delivery.id, delivery);
    if (this.#log.size > LOG_LENGTH) {
      for (const [id, { state }] of this.#log) {
        if (state === 'waiting' || state === 'sending' || state === 'held') continue;
        this.#log.delete(id);
        break;
      }
    }
    this.#options.onChange();
  }

  /** Queues an attempt; resolves when it was made. */
  #attempt(delivery: Delivery, duplicate: boolean, id = delivery.id): Promise<void> {
    return new Promise((resolve) => {
      this.#queue.push(() => this.#attemptNow(delivery, duplicate, id).then(resolve));
      this.#runQueue();
    });
  }

  #runQueue(): void {
    while (this.#inFlight < this.#options.concurrency) {
      const next = this.#queue.shift();
      if (!next) break;
      this.#inFlight += 1;
      void next().then(() => {
        this.#inFlight -= 1;
        this.#runQueue();
      });
    }
    if (this.#inFlight === 0 && this.#queue.length === 0) {
      for (const resolve of this.#idle.splice(0)) resolve();
    }
  }

  async #attemptNow(delivery: Delivery, duplicate: boolean, id: string): Promise<void> {
    if (this.#abort.signal.aborted) return;
    const at = this.#options.clock.iso();
    if (!duplicate) {
      delivery.state = 'sending';
      delivery.nextAttemptAt = null;
    }
    const { url, secret } = this.#options.target(delivery.clientId);
    const headers = this.#headers(delivery, id, secret);
    const outcome: AttemptOutcome =
      url === null
        ? { status: null, ms: 0, error: 'no webhook address' }
        : await post(url, headers, delivery.body, this.#options.timeoutMs, this.#abort.signal);
    delivery.attempts.push({ at, ...outcome, duplicate });
    // The fate of a copy is logged and has no consequence.
    if (!duplicate) this.#settle(delivery, outcome.status === 200);
    this.#options.onChange();
  }

  #settle(delivery: Delivery, succeeded: boolean): void {
    const failures = delivery.attempts.filter((attempt) => !attempt.duplicate).length;
    const delay = RETRY_DELAYS_MS[failures - 1];
    if (succeeded) {
      delivery.state = 'delivered';
    } else if (delay === undefined || this.#abort.signal.aborted) {
      delivery.state = 'failed';
    } else {
      const { clock } = this.#options;
      delivery.state = 'waiting';
      delivery.nextAttemptAt = new Date(clock.now() + delay).toISOString();
      clock.schedule(delay, () => this.#attempt(delivery, false));
    }
  }

  #headers(delivery: Delivery, id: string, secret: string): Record<string, string> {
    return {
      'content-type': 'application/json; charset=utf-8',
      'linear-delivery': id,
      'linear-event': delivery.event,
      'linear-signature': createHmac('sha256', secret).update(delivery.body).digest('hex'),
      'linear-timestamp': String(delivery.timestamp),
      'user-agent': 'Linear-Webhook',
    };
  }
}

function shuffle<Item>(items: Item[], random: () => number): void {
  for (let last = items.length - 1; last > 0; last -= 1) {
    const other = Math.floor(random() * (last + 1));
    const [moved] = items.splice(other, 1);
    if (moved !== undefined) items.push(moved);
  }
}
