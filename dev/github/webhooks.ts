/**
 * The webhooks of the stand-in's App: signed, sent once, and kept in a list (docs.github.com/en/webhooks). As with GitHub nothing is
 * repeated by itself; a repeat has the same `X-GitHub-Delivery`. Tests have them held, reordered, lost or sent again.
 */
import { createHmac, randomUUID } from 'node:crypto';
import { z } from 'zod';
import { type Answer, notFound } from './answers.ts';
import { payloadSchemas, type WebhookEvent } from './payloads.ts';

/** Where webhooks go, and what signs them. */
export interface WebhookTarget {
  url: string;
  secret: string;
}

/** One delivery, as it was made. */
export interface Delivery {
  /** Larger than JavaScript's numbers are exact, as GitHub's. */
  id: string;
  guid: string;
  event: WebhookEvent;
  action: string | null;
  payload: object;
  redelivery: boolean;
  /** Milliseconds since the epoch. */
  at: number;
  /** What the target answered; 0: nothing, or it was not sent. */
  status: number;
}

const FIRST_ID = 3_804_004_623_172_239_366n;
/** GitHub waits no longer for an answer. */
const ANSWER_LIMIT_MS = 10_000;

export class Webhooks {
  readonly #now: () => number;
  readonly #deliveries: Delivery[] = [];
  readonly #underWay = new Set<Promise<void>>();
  #target: WebhookTarget | null = null;
  #held: Delivery[] | null = null;
  #lost = 0;

  /** @param now the clock, in ms since the epoch */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** From now on webhooks go there; null: nowhere. */
  sendTo(target: WebhookTarget | null): void {
    this.#target = target;
  }

  /** Something happened. @throws Error where the payload is not of GitHub's documented shape */
  emit(event: WebhookEvent, payload: object): void {
    if (!this.#target) return;
    const parsed = payloadSchemas[event].safeParse(payload);
    if (!parsed.success)
      throw new Error(`the stand-in made a wrong webhook ${event}: ${z.prettifyError(parsed.error)}`);
    const action = 'action' in payload && typeof payload.action === 'string' ? payload.action : null;
    this.#queue({ ...this.#next(), guid: randomUUID(), event, action, payload, redelivery: false, at: 0, status: 0 });
  }

  /** From now on nothing is sent until `release`. */
  hold(): void {
    this.#held ??= [];
  }

  /** Sends what was held. @param order what comes first; left out: in the order in which it happened */
  release(order: (held: Delivery[]) => Delivery[] = (held) => held): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (const delivery of order(held)) this.#queue(delivery);
  }

  /** The next so many do not arrive. */
  lose(count: number): void {
    this.#lost = count;
  }

  /** Sends a delivery again, as the button of the App's settings does. */
  redeliver({ guid, event, action, payload }: Delivery): void {
    this.#queue({ ...this.#next(), guid, event, action, payload, redelivery: true, at: 0, status: 0 });
  }

  /** Everything that was sent so far, oldest first. */
  get deliveries(): readonly Delivery[] {
    return this.#deliveries;
  }

  /** Waits for the answers to everything that was sent. */
  async settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  /** `GET /app/hook/deliveries`, the newest first. */
  list(url: URL): Answer {
    const size = Math.min(Number(url.searchParams.get('per_page') ?? 30), 100);
    const all = this.#deliveries.toReversed();
    const cursor = url.searchParams.get('cursor');
    const from = cursor === null ? 0 : all.findIndex(({ id }) => id === cursor);
    const items = from < 0 ? [] : all.slice(from, from + size);
    const next = from < 0 ? undefined : all[from + size];
    const headers: Record<string, string> = {};
    if (next) {
      const address = new URL(url);
      address.searchParams.set('cursor', next.id);
      headers.link = `<${address.href}>; rel="next"`;
    }
    return { status: 200, body: items.map(summaryOf), headers, numericIds: true };
  }

  /** `GET /app/hook/deliveries/:id`. @throws Refused 404 */
  one(id: string): Answer {
    const delivery = this.#deliveries.find((one) => one.id === id);
    if (!delivery) throw notFound();
    const { payload, status } = delivery;
    const request = { headers: headersOf(delivery), payload };
    return { status: 200, body: { ...summaryOf(delivery), request, response: { headers: {}, payload: `${status}` } } };
  }

  #next(): { id: string } {
    return { id: String(FIRST_ID + BigInt(this.#deliveries.length + (this.#held?.length ?? 0))) };
  }

  #queue(delivery: Delivery): void {
    if (this.#held) {
      this.#held.push(delivery);
      return;
    }
    // As it happens now: what was held is late.
    Object.assign(delivery, this.#next(), { at: this.#now() });
    this.#deliveries.push(delivery);
    if (this.#lost > 0) {
      this.#lost -= 1;
      return;
    }
    const sending = this.#send(delivery).finally(() => this.#underWay.delete(sending));
    this.#underWay.add(sending);
  }

  async #send(delivery: Delivery): Promise<void> {
    if (!this.#target) return;
    const { url, secret } = this.#target;
    const body = JSON.stringify(delivery.payload);
    const signature = `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`;
    const headers = { ...headersOf(delivery), 'x-hub-signature-256': signature };
    try {
      const signal = AbortSignal.timeout(ANSWER_LIMIT_MS);
      const response = await fetch(url, { method: 'POST', headers, body, redirect: 'manual', signal });
      await response.arrayBuffer();
      delivery.status = response.status;
    } catch {
      // As in GitHub's list: it did not arrive.
      delivery.status = 0;
    }
  }
}

/** docs.github.com/en/webhooks/webhook-events-and-payloads#delivery-headers */
function headersOf({ guid, event }: Delivery): Record<string, string> {
  return {
    'content-type': 'application/json',
    'user-agent': 'GitHub-Hookshot/044aadd',
    'x-github-delivery': guid,
    'x-github-event': event,
    'x-github-hook-id': '292430182',
    'x-github-hook-installation-target-type': 'integration',
  };
}

function summaryOf({ id, guid, at, redelivery, status, event, action }: Delivery): object {
  return {
    id,
    guid,
    delivered_at: new Date(at).toISOString(),
    redelivery,
    duration: 0.2,
    status: status >= 200 && status < 300 ? 'OK' : 'failed to connect to host',
    status_code: status,
    event,
    action,
    installation_id: 1,
    repository_id: 1,
    throttled_at: null,
  };
}
