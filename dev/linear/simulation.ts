/** The parts that everything happening in the workspace needs, in one hand. */
import type { SimulatorClock } from './clock.ts';
import type { World } from './state/world.ts';
import type { LinearUrls } from './urls.ts';
import type { PayloadWriter, ResourceType, WebhookPayload } from './webhooks/payloads.ts';
import type { WebhookSender } from './webhooks/sender.ts';

export interface Simulation {
  world: World;
  clock: SimulatorClock;
  urls: LinearUrls;
  payloads: PayloadWriter;
  webhooks: WebhookSender;
  /** What the app subscribed to. */
  subscriptions: ReadonlySet<ResourceType>;
}

/** Sends an event to the app, if it subscribed to its kind. */
export function emit({ subscriptions, webhooks }: Simulation, payload: WebhookPayload): void {
  if (subscriptions.has(payload.type)) {
    webhooks.send(payload.type, payload.action, payload, payload.webhookTimestamp);
  }
}
