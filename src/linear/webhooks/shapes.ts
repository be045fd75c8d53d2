/**
 * The shapes of Linear's webhooks that Cyrus acts on (docs: linear.app/developers/agents, the payload types of @linear/sdk 98).
 *
 * Linear's Developer Preview changes weekly and older workspaces send older shapes. So a webhook is refused only for what cannot
 * be done without: which workspace, which session or issue. Everything else may be missing, null, or of a shape that is not known
 * yet, and reads as null then; a number reads as its text, and JSON in a string as what it holds.
 */
import * as z from 'zod';
import { parseJson } from '../../lib/parse-json.ts';
import { guidanceSchema } from '../guidance.ts';

const scalar = z.union([z.string(), z.number().transform(String)]);
/** Text that may be missing. An empty id is no id, see `key`. */
const text = scalar.nullish().catch(null);
/** Yes or no, also as its text. */
const flag = z
  .union([z.boolean(), z.enum(['true', 'false']).transform((value) => value === 'true')])
  .nullish()
  .catch(null);
const key = scalar.pipe(z.string().trim().min(1).max(200));
const optionalKey = key.nullish().catch(null);

/** Open JSON of the schema (`JSON`, `JSONObject`), which comes as an object or as its text. */
const json = <Shape extends z.ZodType>(shape: Shape) =>
  z
    .preprocess((value) => (typeof value === 'string' ? (parseJson(value) ?? value) : value), shape)
    .nullish()
    .catch(null);

const person = z.object({ id: optionalKey, name: text, displayName: text, email: text }).nullish().catch(null);
export type PersonShape = z.infer<typeof person>;

const team = z.object({ id: key, key: text, name: text }).nullish().catch(null);

const label = z.union([scalar, z.object({ name: scalar }).transform(({ name }) => name)]);
/** A webhook lists them; the same as a connection of GraphQL is read too. What is no label is left out. */
const labels = z
  .union([z.array(z.unknown()), z.object({ nodes: z.array(z.unknown()) }).transform(({ nodes }) => nodes)])
  .nullish()
  .catch(null)
  .transform((all) => all?.flatMap((one) => label.safeParse(one).data ?? []) ?? null);

const issueFields = { identifier: text, title: text, description: text, url: text, teamId: optionalKey, team, labels };
const issueSchema = z.object({ id: key, ...issueFields });
export type IssueShape = z.infer<typeof issueSchema>;
/** Where an issue is inside of something else, its id may be beside it instead: see `withIssue`. */
const innerIssue = z
  .object({ id: optionalKey, ...issueFields })
  .nullish()
  .catch(null);

/** Gives an issue without an id the one that is beside it; an issue whose id is nowhere is none. */
function withIssue<Shape extends { issue?: z.infer<typeof innerIssue>; issueId?: string | null }>(shape: Shape) {
  const { issue, issueId } = shape;
  const id = issue?.id ?? issueId ?? null;
  return { ...shape, issueId: id, issue: issue && id !== null ? { ...issue, id } : null };
}

/** An integration that acts for somebody outside of Linear (`ActorBot` of the schema). */
const botActor = z.object({ id: optionalKey, type: text, name: text, userDisplayName: text }).nullish().catch(null);

const comment = z
  .object({
    id: optionalKey,
    body: text,
    userId: optionalKey,
    user: person,
    issueId: optionalKey,
    /** Somebody who is no member of the workspace, e.g. from a thread in Slack. */
    externalUserId: optionalKey,
    externalUser: person,
    botActor,
    issue: z.object({ id: optionalKey }).nullish().catch(null),
  })
  // A comment names its issue by the id, or as an object, as the notifications' comments may.
  .transform(({ issue, ...one }) => ({ ...one, issueId: one.issueId ?? issue?.id ?? null }))
  .nullish()
  .catch(null);
export type CommentShape = NonNullable<z.infer<typeof comment>>;

/** A time in ms since the epoch; Linear sends a number, and ISO text in other places. What can only be s or µs is read as such. */
const moment = z
  .union([z.number(), z.string().transform((value) => (/^\d+$/.test(value) ? Number(value) : Date.parse(value)))])
  .pipe(z.number().positive())
  .transform((value) => (value > 1e9 && value < 1e11 ? value * 1000 : value > 1e14 ? Math.floor(value / 1000) : value))
  .nullish()
  .catch(null);

/** Where a session came from. Linear's schema calls it open JSON; `sourceCommentId` is at the session or in here. */
const sourceMetadata = json(
  z.object({
    type: text,
    sourceCommentId: optionalKey,
    agentSessionMetadata: json(z.object({ sourceCommentId: optionalKey })),
  }),
);

const sessionFields = {
  appUserId: optionalKey,
  creatorId: optionalKey,
  creator: person,
  issueId: optionalKey,
  issue: innerIssue,
  commentId: optionalKey,
  comment,
  sourceCommentId: optionalKey,
  sourceMetadata,
  /** Beyond Linear's schema, and sent all the same. */
  externalUrls: json(z.array(z.object({ url: text }))),
  createdAt: moment,
};
/** A session of which there is only the id is that. */
const agentSessionSchema = z
  .preprocess((value) => (typeof value === 'string' ? { id: value } : value), z.object({ id: key, ...sessionFields }))
  .transform(withIssue);

/** Linear has few signals (`stop`, `select`, …); how one is written is not taken for a difference. */
const signal = z
  .union([scalar, z.object({ type: scalar }).transform(({ type }) => type)])
  .transform((value) => value.trim().toLowerCase())
  .nullish()
  .catch(null);

const envelope = {
  organizationId: key,
  appUserId: optionalKey,
  webhookTimestamp: moment,
  createdAt: moment,
};

export const createdSchema = z.object({
  ...envelope,
  type: z.literal('AgentSessionEvent'),
  action: z.literal('created'),
  agentSession: agentSessionSchema,
  promptContext: text,
  /** What was said in the thread before the agent was mentioned there. */
  previousComments: z
    .array(comment)
    .nullish()
    .catch(null)
    .transform((all) => all?.filter((one) => one !== null && one !== undefined) ?? null),
  guidance: guidanceSchema,
});

/** What a person said or pressed. Real payloads have the text in `content.body`; the documentation says `body`. */
const agentActivity = z.object({
  id: z.uuid().nullish().catch(null),
  agentSessionId: optionalKey,
  content: json(
    z.union([z.object({ body: text, title: text }), z.string().transform((body) => ({ body, title: null }))]),
  ),
  body: text,
  signal,
  /** Of an option that was pressed: its value. */
  signalMetadata: json(z.object({ value: text })),
  sourceCommentId: optionalKey,
  /** Not documented; where it comes along, nobody has to be asked for it. */
  sourceComment: comment,
  userId: optionalKey,
  user: person,
  createdAt: moment,
});

export const promptedSchema = z.object({
  ...envelope,
  type: z.literal('AgentSessionEvent'),
  action: z.literal('prompted'),
  agentSession: agentSessionSchema,
  agentActivity,
});

/** `AppUserNotification`: what Linear would notify the app user of (about 90 kinds; six matter here). */
export const notificationSchema = z.object({
  ...envelope,
  type: z.literal('AppUserNotification'),
  action: text.transform((action) => action ?? ''),
  notification: z
    .object({
      id: z.uuid().nullish().catch(null),
      actorId: optionalKey,
      actor: person,
      /** Set in the place of `actorId` for people who are no members of the workspace. */
      externalUserActorId: optionalKey,
      issueId: optionalKey,
      issue: innerIssue,
      commentId: optionalKey,
      comment,
      createdAt: moment,
    })
    .transform(withIssue),
});

/** `Issue`: a change of an issue; `updatedFrom` has the previous values of what changed. */
export const issueChangeSchema = z.object({
  type: z.literal('Issue'),
  action: z.enum(['update', 'remove']),
  organizationId: key,
  webhookTimestamp: moment,
  createdAt: moment,
  actor: person,
  data: z.object({
    id: key,
    ...issueFields,
    updatedAt: text,
    delegateId: optionalKey,
    /** People remove an issue by putting it into the trash. */
    trashed: flag,
    archivedAt: text,
    completedAt: text,
    canceledAt: text,
    state: z.object({ type: text }).nullish().catch(null),
  }),
  updatedFrom: json(z.record(z.string(), z.unknown())),
});

const teamKey = z.union([key, z.object({ id: key }).transform(({ id }) => id)]);

export const permissionChangeSchema = z.object({
  ...envelope,
  type: z.literal('PermissionChange'),
  action: z.literal('teamAccessChanged'),
  removedTeamIds: json(z.array(z.unknown())).transform(
    (all) => all?.flatMap((one) => teamKey.safeParse(one).data ?? []) ?? [],
  ),
});

export const appRevokedSchema = z.object({
  ...envelope,
  type: z.literal('OAuthApp'),
  action: z.literal('revoked'),
});

/** What every webhook has, whatever its kind. */
export const kindSchema = z.object({ type: z.string(), action: text, organizationId: optionalKey });
