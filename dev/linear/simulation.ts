/** The parts that everything happening in a workspace needs, in one hand. */
import type { SimulatorClock } from './clock.ts';
import type { Application, Installation } from './oauth/model.ts';
import type { World } from './state/world.ts';
import type { LinearUrls } from './urls.ts';
import type { PayloadWriter, WebhookPayload } from './webhooks/payloads.ts';
import type { WebhookSender } from './webhooks/sender.ts';

export interface Simulation {
  world: World;
  clock: SimulatorClock;
  urls: LinearUrls;
  payloads: PayloadWriter;
  webhooks: WebhookSender;
  /** The application in this workspace; null: there is none. */
  installed: () => { installation: Installation; application: Application } | null;
}

/** Sends an event to the application of the workspace, if it subscribed to its kind. That it was revoked, each is told. */
export function emit({ world, installed, webhooks }: Simulation, payload: WebhookPayload): void {
  const application = installed()?.application;
  if (!application) return;
  const { type, action, webhookTimestamp: timestamp } = payload;
  if (type !== 'OAuthApp' && !application.webhook.resourceTypes.includes(type)) return;
  const { clientId } = application;
  webhooks.send({ event: type, action, payload, timestamp, clientId, workspaceId: world.workspace.id });
}
