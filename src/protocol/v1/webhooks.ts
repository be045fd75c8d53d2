/** Webhooks that a workspace's admins have sent to a service of theirs: how they are set, and what is sent. Times are milliseconds since the epoch. */
import * as z from 'zod';
import { isLoopback } from '../../lib/loopback.ts';
import { turnOutcomeSchema } from '../journal.ts';

const time = z.int().nonnegative();

/** Most webhooks of one workspace. */
export const MOST_WEBHOOKS = 10;

/** What a webhook can tell. `session.finished`: work ended, and nothing is under way. `session.needs_you`: it waits for a person, or failed. */
export const webhookEventSchema = z.enum(['session.finished', 'session.needs_you']);
export type WebhookEvent = z.infer<typeof webhookEventSchema>;

const MAX_URL = 2_000;
const urlSchema = z
  .url({ protocol: /^https?$/, error: 'must be an address: https://hooks.example.com/cyrus' })
  .max(MAX_URL)
  .transform((url) => new URL(url).href);

/** A webhook as its admin sets it. `enabled`: true also puts one to work again that was disabled. */
export const webhookInputSchema = z.strictObject({
  /** https, a public host by its name, without user and password. */
  url: urlSchema,
  events: z.array(webhookEventSchema).min(1).max(webhookEventSchema.options.length),
  enabled: z.boolean().default(true),
});
export type WebhookInput = z.infer<typeof webhookInputSchema>;

/** A webhook as it is shown, without its secret. */
export const webhookViewSchema = z.object({
  id: z.string(),
  url: z.string(),
  events: z.array(webhookEventSchema),
  enabled: z.boolean(),
  /** Why Cyrus disabled it; null: it did not. */
  disabledBecause: z.string().nullable(),
  /** Since when each attempt has failed, and what came of the last one; null: the last one succeeded, or there was none. */
  failingSince: time.nullable(),
  problem: z.string().nullable(),
  /** When the service last took one. */
  deliveredAt: time.nullable(),
  createdAt: time,
});
export type WebhookView = z.infer<typeof webhookViewSchema>;

export const webhooksSchema = z.object({ data: z.array(webhookViewSchema) });
export type WebhooksView = z.infer<typeof webhooksSchema>;

/** The one time that the secret is shown. */
export const newWebhookSchema = z.object({ ...webhookViewSchema.shape, secret: z.string() });
export type NewWebhook = z.infer<typeof newWebhookSchema>;

/** `previousUntil`: until then what is sent is signed with the secret before as well. */
export const newWebhookSecretSchema = z.object({ secret: z.string(), previousUntil: time });
export type NewWebhookSecret = z.infer<typeof newWebhookSecretSchema>;

/** What came of a test. `status`: of the answer; null: there was none. `problem`: null if the service took it. */
export const webhookTestSchema = z.object({
  delivered: z.boolean(),
  status: z.int().nullable(),
  problem: z.string().nullable(),
});
export type WebhookTest = z.infer<typeof webhookTestSchema>;

/** Version of the shape of what is sent; fields may be added without a new one. */
export const WEBHOOK_VERSION = 1;

const sentSchema = { version: z.literal(WEBHOOK_VERSION), at: time, workspace: z.string() };
const sessionSchema = {
  session: z.string(),
  /** Of its page. */
  url: z.string(),
  turn: z.int().nonnegative(),
};

/** What is sent. It names the session alone: who may see more reads it by the API. */
export const webhookMessageSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('session.finished'),
    ...sentSchema,
    data: z.object({ ...sessionSchema, outcome: turnOutcomeSchema }),
  }),
  z.object({
    type: z.literal('session.needs_you'),
    ...sentSchema,
    data: z.object({ ...sessionSchema, reason: z.enum(['question', 'permission', 'failure']) }),
  }),
  z.object({ type: z.literal('test'), ...sentSchema, data: z.object({ webhook: z.string() }) }),
]);
export type WebhookMessage = z.infer<typeof webhookMessageSchema>;

/** Names that networks give to what is inside of them (RFC 6762, RFC 8375, RFC 6761 and what ICANN reserves). */
const INSIDE = /(^|\.)(local|localhost|internal|home\.arpa|lan|intranet|corp|home|test|invalid|example|onion)$/;

/**
 * Why nothing may be sent to an address, or null. Addresses in numbers are refused as a whole: the private ones have too many
 * forms, and a public service has a name.
 * @param own host of this deployment; null: not known
 * @param allowLoopback on a machine of one's own, where a service may run beside Cyrus
 */
export function problemOfWebhookUrl(url: string, own: string | null, allowLoopback: boolean): string | null {
  const { protocol, hostname, port, username, password } = new URL(url);
  if (username !== '' || password !== '') return 'must have no user and no password: the signature proves who sends';
  const name = hostname.replace(/\.$/, '');
  if ((port === '' ? name : `${name}:${port}`) === own) return 'must not be this deployment itself';
  if (allowLoopback && isLoopback(name)) return null;
  if (protocol !== 'https:') return 'must be https';
  if (name.startsWith('[') || /^[\d.]+$/.test(name)) return 'must name its host, not give it as an IP address';
  if (!name.includes('.') || INSIDE.test(name)) return 'must be a public host';
  if (port !== '' && port !== '8443') return 'must use the port 443 or 8443';
  return null;
}
