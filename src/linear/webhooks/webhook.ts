/** Linear's webhooks: which kind one is, who caused it, when, and what it is known by (pure). Shapes: shapes.ts. */
import * as z from 'zod';
import { parseJson } from '../../lib/parse-json.ts';
import {
  appRevokedSchema,
  createdSchema,
  issueChangeSchema,
  kindSchema,
  notificationSchema,
  permissionChangeSchema,
  promptedSchema,
} from './shapes.ts';

/** `webhookTimestamp`: when Linear sent it first, in ms since the epoch; where it does not say, when it arrived. */
type Timed<Shape> = Omit<Shape, 'webhookTimestamp'> & { webhookTimestamp: number };
export type CreatedWebhook = Timed<z.infer<typeof createdSchema>>;
export type PromptedWebhook = Timed<z.infer<typeof promptedSchema>>;
export type AgentSessionWebhook = CreatedWebhook | PromptedWebhook;
export type NotificationWebhook = Timed<z.infer<typeof notificationSchema>>;
export type IssueWebhook = Timed<z.infer<typeof issueChangeSchema>>;
export type PermissionWebhook = Timed<z.infer<typeof permissionChangeSchema>>;
export type AppRevokedWebhook = Timed<z.infer<typeof appRevokedSchema>>;
/** A webhook of a kind that Cyrus acts on. */
export type Webhook = AgentSessionWebhook | NotificationWebhook | IssueWebhook | PermissionWebhook | AppRevokedWebhook;

/** Reads one kind: the webhook, or why it does not fit. */
type Reader = (json: unknown, now: number) => Webhook | z.ZodError;

function reader<Shape extends { webhookTimestamp?: number | null; createdAt?: number | null }>(
  schema: z.ZodType<Shape>,
): (json: unknown, now: number) => Timed<Shape> | z.ZodError {
  return (json, now) => {
    const parsed = schema.safeParse(json);
    if (!parsed.success) return parsed.error;
    return { ...parsed.data, webhookTimestamp: parsed.data.webhookTimestamp ?? parsed.data.createdAt ?? now };
  };
}

const notification: Reader = (json, now) => {
  const read = reader(notificationSchema)(json, now);
  if (read instanceof z.ZodError) return read;
  const [, action = read.action] = kindOf(read.type, read.action, json).split('.');
  return { ...read, action };
};

/** The reader of each kind that Cyrus acts on, by `type.action`. */
const KNOWN_KINDS: Readonly<Record<string, Reader>> = {
  'AgentSessionEvent.created': reader(createdSchema),
  'AgentSessionEvent.prompted': (json, now) => reader(promptedSchema)(withSession(json), now),
  'AppUserNotification.issueAssignedToYou': notification,
  'AppUserNotification.issueUnassignedFromYou': notification,
  'AppUserNotification.issueCommentMention': notification,
  'AppUserNotification.issueNewComment': notification,
  'AppUserNotification.issueStatusChanged': notification,
  'Issue.update': reader(issueChangeSchema),
  'Issue.remove': reader(issueChangeSchema),
  'PermissionChange.teamAccessChanged': reader(permissionChangeSchema),
  'OAuthApp.revoked': reader(appRevokedSchema),
};

const sessionNamed = z.looseObject({
  agentSession: z.union([z.string().trim().min(1), z.looseObject({ id: z.string().trim().min(1) })]),
});
const activityNamed = z.looseObject({ agentActivity: z.looseObject({ agentSessionId: z.string() }) });

/** A prompt names its session twice; one of the two will do. */
function withSession(json: unknown): unknown {
  if (sessionNamed.safeParse(json).success) return json;
  const { data } = activityNamed.safeParse(json);
  return data ? { ...data, agentSession: { id: data.agentActivity.agentSessionId } } : json;
}

const promptedAlone = z.looseObject({
  type: z.literal('AgentSessionEvent'),
  action: z.literal('prompted'),
  organizationId: z.string(),
  agentSession: z.looseObject({ id: z.string() }),
  agentActivity: z.null().optional(),
  createdAt: z.string().nullish().catch(null),
  webhookTimestamp: z.number().nullish().catch(null),
});

/** A prompt of which Linear did not say what it is: by itself it does not fit. */
export interface PromptWithoutActivity {
  workspaceId: string;
  agentSessionId: string;
  /** When it was said, in ms since the epoch. */
  at: number;
  /** The body of the webhook with the activity in it. */
  with: (activity: Record<string, unknown>) => string;
}

/** Reads a body as a prompt without its activity; null: it is none. @param now ms since the epoch */
export function promptWithoutActivity(body: string, now: number): PromptWithoutActivity | null {
  const { data } = promptedAlone.safeParse(parseJson(body));
  if (!data) return null;
  const { organizationId, agentSession, createdAt, webhookTimestamp } = data;
  return {
    workspaceId: organizationId,
    agentSessionId: agentSession.id,
    at: (Date.parse(createdAt ?? '') || webhookTimestamp) ?? now,
    with: (activity) => JSON.stringify({ ...data, agentActivity: { agentSessionId: agentSession.id, ...activity } }),
  };
}

const notificationKind = z.object({ notification: z.object({ type: z.string() }) });

/** `type.action`. Of a notification the action is the notification's kind, which the notification names too. */
function kindOf(type: string, action: string | null | undefined, json: unknown): string {
  const said = `${type}.${action ?? ''}`;
  if (type !== 'AppUserNotification' || Object.hasOwn(KNOWN_KINDS, said)) return said;
  const { data } = notificationKind.safeParse(json);
  const named = `${type}.${data?.notification.type}`;
  return data && Object.hasOwn(KNOWN_KINDS, named) ? named : said;
}

export type ParsedWebhook =
  | { kind: 'event'; webhook: Webhook }
  /** A kind that Cyrus does not act on. */
  | { kind: 'ignored'; type: string; workspaceId: string | null }
  /** A kind that Cyrus acts on, without what it cannot do without. */
  | { kind: 'misfit'; type: string; workspaceId: string | null; message: string }
  /** Signed, but no webhook as Linear sends them. */
  | { kind: 'malformed'; message: string };

/** Reads a webhook body. Never throws. @param now ms since the epoch */
export function parseWebhook(body: string, now: number): ParsedWebhook {
  const json = parseJson(body);
  if (json === undefined) return { kind: 'malformed', message: 'the body is not JSON' };
  const kind = kindSchema.safeParse(json);
  if (!kind.success) return { kind: 'malformed', message: z.prettifyError(kind.error) };
  const workspaceId = kind.data.organizationId ?? null;
  const type = kindOf(kind.data.type, kind.data.action, json);
  const read = Object.hasOwn(KNOWN_KINDS, type) ? KNOWN_KINDS[type] : undefined;
  if (!read) return { kind: 'ignored', type, workspaceId };
  const webhook = read(json, now);
  if (webhook instanceof z.ZodError) return { kind: 'misfit', type, workspaceId, message: z.prettifyError(webhook) };
  return { kind: 'event', webhook };
}

/** True for a webhook that the agent itself caused; acting on it would run in circles. */
export function isSelfTriggered(webhook: AgentSessionWebhook | NotificationWebhook): boolean {
  const own = webhook.appUserId ?? ('agentSession' in webhook ? webhook.agentSession.appUserId : null);
  return own !== null && own !== undefined && actorOf(webhook) === own;
}

function actorOf(webhook: AgentSessionWebhook | NotificationWebhook): string | null {
  if (webhook.type === 'AppUserNotification') {
    const { actorId, actor, comment } = webhook.notification;
    return actorId ?? actor?.id ?? comment?.userId ?? comment?.user?.id ?? null;
  }
  if (webhook.action === 'created') return webhook.agentSession.creatorId ?? webhook.agentSession.creator?.id ?? null;
  return webhook.agentActivity.userId ?? webhook.agentActivity.user?.id ?? null;
}

/** What of an issue matters to work on it: its text, its state, whose it is, where it is, whether it is. */
const CONCERNS = [
  ...['title', 'description', 'stateId', 'state', 'completedAt', 'canceledAt', 'delegateId', 'delegate'],
  ...['trashed', 'archivedAt', 'teamId', 'labelIds', 'identifier', 'number'],
];

/** True for a change that may matter to work on the issue; where Linear does not say what was changed, it may. */
export function concernsWork({ action, updatedFrom }: IssueWebhook): boolean {
  return action === 'remove' || !updatedFrom || CONCERNS.some((key) => key in updatedFrom);
}

/** Key of the content, the same for every delivery of it. `webhookId` names the subscription and is no key. */
export function contentKey(webhook: Webhook): string {
  switch (webhook.type) {
    case 'AgentSessionEvent': {
      if (webhook.action === 'created') return `created:${webhook.agentSession.id}`;
      const { id, sourceCommentId } = webhook.agentActivity;
      return `prompted:${id ?? `${webhook.agentSession.id}:${sourceCommentId ?? occurredAt(webhook)}`}`;
    }
    case 'AppUserNotification': {
      const { id, issueId, issue } = webhook.notification;
      return `notification:${id ?? `${webhook.action}:${issueId ?? issue?.id}:${occurredAt(webhook)}`}`;
    }
    case 'Issue': {
      const changed = Object.keys(webhook.updatedFrom ?? {}).toSorted();
      return `issue:${webhook.action}:${webhook.data.updatedAt ?? webhook.webhookTimestamp}:${changed.join()}`;
    }
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
  return thingOf(webhook)?.createdAt ?? webhook.createdAt ?? webhook.webhookTimestamp;
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

/** The text of a `prompted` activity; of an option that was pressed without a word, the option. */
export function promptText({ agentActivity }: PromptedWebhook): string {
  const { content, body, signalMetadata, sourceComment } = agentActivity;
  const said = [content?.body, body, signalMetadata?.value, sourceComment?.body, content?.title];
  return said.map((text) => text?.trim() ?? '').find((text) => text !== '') ?? '';
}
