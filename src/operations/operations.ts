/** What the operator needs to know and no other object can tell: one Durable Object for a deployment, named `deployment`. */
import { DurableObject } from 'cloudflare:workers';
import { firstValues, migrateValues } from '../store/object-schema.ts';
import { noted, noWebhooks, type WebhookRecord, type WebhookReport, webhookRecordSchema } from './webhook-record.ts';

const WEBHOOKS = 'webhooks';

export class Operations extends DurableObject<Env> {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    migrateValues(ctx.storage, 'operations', [firstValues]);
  }

  /** Takes in what an isolate has seen of webhooks. */
  noteWebhooks(report: WebhookReport): void {
    this.ctx.storage.kv.put(WEBHOOKS, noted(this.webhooks(), report, Date.now()));
  }

  /** What is known of Linear's webhooks. */
  webhooks(): WebhookRecord {
    const kept = webhookRecordSchema.safeParse(this.ctx.storage.kv.get(WEBHOOKS));
    return kept.success ? kept.data : noWebhooks;
  }
}

/** The object of this deployment. */
export function operationsOf(env: Env): DurableObjectStub<Operations> {
  return env.OPERATIONS.getByName('deployment');
}
