/**
 * Linear's webhooks as zod schemas, and what they mean to an issue session (pure). Unknown keys are kept out of the way,
 * unknown kinds are told apart from malformed ones (docs: linear.app/developers/agents, the payload types of @linear/sdk 98).
 */
import { z } from 'zod';

const person = z.looseObject({ id: z.string(), name: z.string() });

const issueSchema = z.looseObject({
  id: z.string().min(1),
  identifier: z.string().min(1),
  title: z.string(),
  description: z.string().nullish(),
  url: z.string(),
});

const agentSessionSchema = z.looseObject({
  id: z.uuid(),
  appUserId: z.string().nullish(),
  creatorId: z.string().nullish(),
  creator: person.nullish(),
  issueId: z.string().nullish(),
  issue: issueSchema.nullish(),
  comment: z.looseObject({ id: z.string(), body: z.string(), userId: z.string().nullish() }).nullish(),
});

const guidanceSchema = z.array(z.looseObject({ body: z.string(), origin: z.unknown() })).nullish();

const envelope = {
  organizationId: z.string().min(1),
  appUserId: z.string().min(1),
  webhookTimestamp: z.number(),
};

const createdSchema = z.looseObject({
  ...envelope,
  type: z.literal('AgentSessionEvent'),
  action: z.literal('created'),
  agentSession: agentSessionSchema,
  promptContext: z.string().nullish(),
  guidance: guidanceSchema,
});

const promptedSchema = z.looseObject({
  ...envelope,
  type: z.literal('AgentSessionEvent'),
  action: z.literal('prompted'),
  agentSession: agentSessionSchema,
  agentActivity: z.looseObject({
    id: z.uuid(),
    // Real payloads have the text in content.body; the documentation says body.
    content: z.looseObject({ type: z.string(), body: z.string().nullish() }).nullish(),
    body: z.string().nullish(),
    signal: z.string().nullish(),
    userId: z.string().nullish(),
    user: person.nullish(),
  }),
});

/** What every webhook has, whatever its kind. */
const kindSchema = z.looseObject({ type: z.string(), action: z.string(), webhookTimestamp: z.number() });

type Created = z.infer<typeof createdSchema>;
type Prompted = z.infer<typeof promptedSchema>;
export type Webhook = Created | Prompted;

export type ParsedWebhook =
  | { kind: 'event'; webhook: Webhook }
  /** A kind that Cyrus does not act on. */
  | { kind: 'ignored'; type: string; timestamp: number }
  | { kind: 'malformed'; message: string };

/** Reads a webhook body. Never throws. */
export function parseWebhook(body: string): ParsedWebhook {
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    return { kind: 'malformed', message: 'the body is not JSON' };
  }
  const kind = kindSchema.safeParse(json);
  if (!kind.success) return { kind: 'malformed', message: z.prettifyError(kind.error) };
  const { type, action, webhookTimestamp: timestamp } = kind.data;
  if (type !== 'AgentSessionEvent') return { kind: 'ignored', type: `${type}.${action}`, timestamp };
  const schema = action === 'created' ? createdSchema : action === 'prompted' ? promptedSchema : null;
  if (!schema) return { kind: 'ignored', type: `${type}.${action}`, timestamp };
  const parsed = schema.safeParse(json);
  if (!parsed.success) return { kind: 'malformed', message: z.prettifyError(parsed.error) };
  return { kind: 'event', webhook: parsed.data };
}

/** True for a webhook that the agent itself caused; acting on it would run in circles. */
export function isSelfTriggered(webhook: Webhook): boolean {
  const actor = webhook.action === 'created' ? webhook.agentSession.creatorId : webhook.agentActivity.userId;
  return actor !== null && actor !== undefined && actor === webhook.appUserId;
}

/** Key of the content, the same for every delivery of it. `webhookId` names the subscription and is no key. */
export function contentKey(webhook: Webhook): string {
  return webhook.action === 'created' ? `created:${webhook.agentSession.id}` : `prompted:${webhook.agentActivity.id}`;
}

/** The text of a `prompted` activity. */
export function promptText(webhook: Prompted): string {
  return webhook.agentActivity.content?.body ?? webhook.agentActivity.body ?? '';
}
