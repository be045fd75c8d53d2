/**
 * Linear's webhooks as zod schemas, and what they mean to an issue session (pure). Unknown keys are
 * tolerated and dropped, unknown kinds are told apart from malformed ones (docs: linear.app/developers/agents, the payload types of @linear/sdk 98).
 */
import { z } from 'zod';
import { guidanceSchema } from './guidance.ts';

const person = z.object({ id: z.string(), name: z.string(), email: z.string().nullish() });

const issueSchema = z.object({
  id: z.string().min(1),
  identifier: z.string().min(1),
  title: z.string(),
  description: z.string().nullish(),
  url: z.string(),
  teamId: z.string().nullish(),
  team: z.object({ id: z.string() }).nullish().catch(null),
});

const agentSessionSchema = z.object({
  id: z.uuid(),
  appUserId: z.string().nullish(),
  creatorId: z.string().nullish(),
  creator: person.nullish(),
  issueId: z.string().nullish(),
  issue: issueSchema.nullish(),
  comment: z.object({ id: z.string(), body: z.string(), userId: z.string().nullish() }).nullish(),
  createdAt: z.string().nullish().catch(null),
});

const envelope = {
  organizationId: z.string().min(1),
  appUserId: z.string().min(1),
  webhookTimestamp: z.number(),
  createdAt: z.string().nullish().catch(null),
};

const createdSchema = z.object({
  ...envelope,
  type: z.literal('AgentSessionEvent'),
  action: z.literal('created'),
  agentSession: agentSessionSchema,
  promptContext: z.string().nullish(),
  /** What was said in the thread before the agent was mentioned there. */
  previousComments: z
    .array(z.object({ body: z.string() }))
    .nullish()
    .catch(null),
  guidance: guidanceSchema,
});

const promptedSchema = z.object({
  ...envelope,
  type: z.literal('AgentSessionEvent'),
  action: z.literal('prompted'),
  agentSession: agentSessionSchema,
  agentActivity: z.object({
    id: z.uuid(),
    // Real payloads have the text in content.body; the documentation says body.
    content: z.object({ type: z.string(), body: z.string().nullish() }).nullish(),
    body: z.string().nullish(),
    signal: z.string().nullish(),
    userId: z.string().nullish(),
    user: person.nullish(),
    createdAt: z.string().nullish().catch(null),
  }),
});

/** `AppUserNotification`: what Linear would notify the app user of (facts of about 90 kinds; five matter here). */
const notificationSchema = z.object({
  ...envelope,
  type: z.literal('AppUserNotification'),
  action: z.string(),
  notification: z.object({
    id: z.string().min(1),
    actorId: z.string().nullish(),
    actor: person.nullish(),
    /** Set in the place of `actorId` for people who are no members of the workspace. */
    externalUserActorId: z.string().nullish().catch(null),
    issueId: z.string().nullish(),
    issue: issueSchema.nullish(),
    comment: z.object({ id: z.string(), body: z.string() }).nullish(),
    createdAt: z.string().nullish().catch(null),
  }),
});

/** `Issue`: a change of an issue; `updatedFrom` has the previous values of what changed. */
const issueChangeSchema = z.object({
  type: z.literal('Issue'),
  action: z.enum(['create', 'update', 'remove']),
  organizationId: z.string().min(1),
  webhookTimestamp: z.number(),
  createdAt: z.string().nullish().catch(null),
  actor: z.object({ id: z.string().nullish(), name: z.string().nullish() }).nullish(),
  data: z.object({
    id: z.string().min(1),
    title: z.string(),
    description: z.string().nullish(),
    updatedAt: z.string().nullish(),
    delegateId: z.string().nullish(),
    /** People remove an issue by putting it into the trash. */
    trashed: z.boolean().nullish().catch(null),
    state: z.object({ type: z.string() }).nullish(),
  }),
  updatedFrom: z.record(z.string(), z.unknown()).nullish(),
});

const permissionChangeSchema = z.object({
  ...envelope,
  type: z.literal('PermissionChange'),
  action: z.literal('teamAccessChanged'),
  removedTeamIds: z.array(z.string()).nullish(),
});

const appRevokedSchema = z.object({
  type: z.literal('OAuthApp'),
  action: z.literal('revoked'),
  organizationId: z.string().min(1),
  webhookTimestamp: z.number(),
});

/** What every webhook has, whatever its kind. */
const kindSchema = z.object({
  type: z.string(),
  action: z.string(),
  webhookTimestamp: z.number(),
  organizationId: z.string().min(1).nullish().catch(null),
});

export type AgentSessionWebhook = z.infer<typeof createdSchema> | z.infer<typeof promptedSchema>;
type Prompted = z.infer<typeof promptedSchema>;
export type NotificationWebhook = z.infer<typeof notificationSchema>;
export type IssueWebhook = z.infer<typeof issueChangeSchema>;
export type PermissionWebhook = z.infer<typeof permissionChangeSchema>;
export type AppRevokedWebhook = z.infer<typeof appRevokedSchema>;
/** A webhook of a kind that Cyrus acts on. */
export type Webhook = AgentSessionWebhook | NotificationWebhook | IssueWebhook | PermissionWebhook | AppRevokedWebhook;

/** The schema of each kind that Cyrus acts on, by `type.action`, or by `type.*`. */
const KNOWN_KINDS: Readonly<Record<string, z.ZodType<Webhook>>> = {
  'AgentSessionEvent.created': createdSchema,
  'AgentSessionEvent.prompted': promptedSchema,
  'AppUserNotification.issueAssignedToYou': notificationSchema,
  'AppUserNotification.issueUnassignedFromYou': notificationSchema,
  'AppUserNotification.issueCommentMention': notificationSchema,
  'AppUserNotification.issueNewComment': notificationSchema,
  'Issue.update': issueChangeSchema,
  'Issue.remove': issueChangeSchema,
  'PermissionChange.teamAccessChanged': permissionChangeSchema,
  'OAuthApp.revoked': appRevokedSchema,
};

export type ParsedWebhook =
  | { kind: 'event'; webhook: Webhook }
  /** A kind that Cyrus does not act on. */
  | { kind: 'ignored'; type: string; workspaceId: string | null }
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
  const { type, action, organizationId } = kind.data;
  const name = `${type}.${action}`;
  const schema = Object.hasOwn(KNOWN_KINDS, name) ? KNOWN_KINDS[name] : undefined;
  if (!schema) return { kind: 'ignored', type: name, workspaceId: organizationId ?? null };
  const parsed = schema.safeParse(json);
  if (!parsed.success) return { kind: 'malformed', message: z.prettifyError(parsed.error) };
  return { kind: 'event', webhook: parsed.data };
}

/** True for a webhook that the agent itself caused; acting on it would run in circles. */
export function isSelfTriggered(webhook: AgentSessionWebhook | NotificationWebhook): boolean {
  const actor = actorOf(webhook);
  return actor !== null && actor === webhook.appUserId;
}

function actorOf(webhook: AgentSessionWebhook | NotificationWebhook): string | null {
  if (webhook.type === 'AppUserNotification') return webhook.notification.actorId ?? null;
  return (webhook.action === 'created' ? webhook.agentSession.creatorId : webhook.agentActivity.userId) ?? null;
}

/** True for a change that may matter to work on the issue: its text, its state, whose it is, whether it is. */
export function concernsWork({ action, updatedFrom }: IssueWebhook): boolean {
  if (action === 'remove') return true;
  return ['title', 'description', 'stateId', 'delegateId', 'trashed'].some((key) => key in (updatedFrom ?? {}));
}

/** Key of the content, the same for every delivery of it. `webhookId` names the subscription and is no key. */
export function contentKey(webhook: Webhook): string {
  switch (webhook.type) {
    case 'AgentSessionEvent':
      return webhook.action === 'created'
        ? `created:${webhook.agentSession.id}`
        : `prompted:${webhook.agentActivity.id}`;
    case 'AppUserNotification':
      return `notification:${webhook.notification.id}`;
    case 'Issue':
      return `issue:${webhook.action}:${webhook.data.updatedAt ?? webhook.webhookTimestamp}`;
    case 'PermissionChange':
      return `permission:${webhook.webhookTimestamp}`;
    case 'OAuthApp':
      return `revoked:${webhook.webhookTimestamp}`;
  }
}

/**
 * When what a webhook tells of happened at Linear, in ms since the epoch: as the session, activity or notification says, else
 * the event, else when it was first sent. A repeat bears the same time.
 */
export function occurredAt(webhook: AgentSessionWebhook | NotificationWebhook | IssueWebhook): number {
  const times = [thingOf(webhook)?.createdAt, webhook.createdAt].map((time) => Date.parse(time ?? ''));
  return times.find((time) => Number.isFinite(time)) ?? webhook.webhookTimestamp;
}

function thingOf(webhook: AgentSessionWebhook | NotificationWebhook | IssueWebhook) {
  switch (webhook.type) {
    case 'AgentSessionEvent':
      return webhook.action === 'created' ? webhook.agentSession : webhook.agentActivity;
    case 'AppUserNotification':
      return webhook.notification;
    case 'Issue':
      // Its `createdAt` is the issue's, not the change's.
      return null;
  }
}

/** The text of a `prompted` activity. */
export function promptText(webhook: Prompted): string {
  return webhook.agentActivity.content?.body ?? webhook.agentActivity.body ?? '';
}
