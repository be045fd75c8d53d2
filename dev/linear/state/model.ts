/**
 * What the simulated workspace holds, as plain data: zod schemas, because it also comes back from a file. Times are epoch
 * milliseconds on the simulator's clock; they become ISO 8601 where Linear shows them.
 */
import { z } from 'zod';

const id = z.uuid();
const time = z.number();

export const userSchema = z.object({
  id,
  name: z.string(),
  displayName: z.string(),
  email: z.string(),
  /** True for the agent's own user. */
  app: z.boolean(),
  /** May install applications. */
  admin: z.boolean().default(true),
  /** Sees only the teams that it is a member of. */
  guest: z.boolean().default(false),
  /** False: suspended, or gone. */
  active: z.boolean().default(true),
  createdAt: time,
});
export type User = z.infer<typeof userSchema>;

export const workspaceSchema = z.object({ id, name: z.string(), urlKey: z.string(), createdAt: time });
export type Workspace = z.infer<typeof workspaceSchema>;

/** The states an issue can be in, by their meaning. Linear: `WorkflowState.type`. */
const stateTypeSchema = z.enum(['triage', 'backlog', 'unstarted', 'started', 'completed', 'canceled', 'duplicate']);
export type StateType = z.infer<typeof stateTypeSchema>;

const workflowStateSchema = z.object({
  id,
  name: z.string(),
  type: stateTypeSchema,
  position: z.number(),
  color: z.string(),
});
export type WorkflowState = z.infer<typeof workflowStateSchema>;

const labelSchema = z.object({ id, name: z.string(), color: z.string() });
export type Label = z.infer<typeof labelSchema>;

export const teamSchema = z.object({
  id,
  key: z.string(),
  name: z.string(),
  createdAt: time,
  states: z.array(workflowStateSchema),
  labels: z.array(labelSchema),
  lastIssueNumber: z.number(),
  /** The team this one is a part of. */
  parentId: id.nullable().default(null),
  /** A private team is seen by its members alone. */
  visibility: z.enum(['public', 'private']).default('public'),
  /** Ids of its members; null: everyone who is no guest. */
  memberIds: z.array(id).nullable().default(null),
});
export type Team = z.infer<typeof teamSchema>;

export const projectSchema = z.object({ id, name: z.string(), createdAt: time });
export type Project = z.infer<typeof projectSchema>;

/** A page of text that belongs to no issue; people may mention the agent in it. */
export const documentSchema = z.object({ id, title: z.string(), content: z.string(), createdAt: time });
export type Document = z.infer<typeof documentSchema>;

export const issueSchema = z.object({
  id,
  teamId: id,
  number: z.number(),
  title: z.string(),
  description: z.string().nullable(),
  stateId: id,
  delegateId: id.nullable(),
  assigneeId: id.nullable(),
  creatorId: id.nullable(),
  labelIds: z.array(id),
  projectId: id.nullable().default(null),
  /** The issue this one is a part of. */
  parentId: id.nullable().default(null),
  /** Deleted, and in the trash still. */
  trashed: z.boolean().default(false),
  archivedAt: time.nullable().default(null),
  createdAt: time,
  updatedAt: time,
  startedAt: time.nullable(),
  completedAt: time.nullable(),
  canceledAt: time.nullable(),
});
export type Issue = z.infer<typeof issueSchema>;

/** From an issue to another one: it blocks it, is its duplicate, or has to do with it. */
export const relationSchema = z.object({
  id,
  type: z.enum(['blocks', 'duplicate', 'related', 'similar']),
  issueId: id,
  relatedIssueId: id,
  createdAt: time,
});
export type Relation = z.infer<typeof relationSchema>;

export const commentSchema = z.object({
  id,
  /** What it is under: an issue, or else a document. */
  issueId: id.nullable(),
  documentId: id.nullable().default(null),
  /** The comment that started the thread; null: this one does. */
  parentId: id.nullable(),
  body: z.string(),
  /** Null: written by Linear itself, as the root of a session's thread, or outside. */
  userId: id.nullable(),
  /** Somebody who is no member wrote it in a thread that is synced with Linear. */
  outside: z.object({ service: z.enum(['slack', 'github']), name: z.string() }).optional(),
  createdAt: time,
});
export type Comment = z.infer<typeof commentSchema>;

const selectSignalSchema = z.object({
  options: z.array(z.object({ label: z.string().optional(), value: z.string().min(1) })).min(1),
});
const authSignalSchema = z.object({
  url: z.url({ protocol: /^https?$/ }),
  userId: z.string().optional(),
  providerName: z.string().optional(),
});

const bodyOf = <Type extends string>(type: Type) =>
  z.object({ type: z.literal(type), body: z.string({ error: 'must be Markdown text' }).min(1, 'must not be empty') });

/** What an activity says. Linear's schema calls it opaque JSON; its documentation gives these shapes. */
export const activityContentSchema = z.discriminatedUnion('type', [
  bodyOf('thought'),
  z.object({
    type: z.literal('action'),
    action: z.string({ error: 'must be text' }).min(1, 'must not be empty'),
    parameter: z.string({ error: 'must be text (an action needs both action and parameter)' }),
    result: z.string().nullish(),
  }),
  bodyOf('elicitation'),
  bodyOf('response'),
  bodyOf('error').extend({ reasonCode: z.string().nullish() }),
  bodyOf('prompt').extend({ title: z.string().nullish() }),
]);
export type ActivityContent = z.infer<typeof activityContentSchema>;

/** What goes with a signal, by signal. */
export const signalMetadataSchemas = { select: selectSignalSchema, auth: authSignalSchema };

const signalSchema = z.enum(['auth', 'continue', 'select', 'stop']);
export type Signal = z.infer<typeof signalSchema>;

const activitySchema = z.object({
  id,
  content: activityContentSchema,
  ephemeral: z.boolean(),
  /** An ephemeral activity is replaced by the next one; Linear then shows it no more. Kept here as history. */
  vanished: z.boolean(),
  signal: signalSchema.nullable(),
  signalMetadata: z.record(z.string(), z.unknown()).nullable(),
  /** The comment a prompt came from, or the one a response, elicitation or error created. */
  commentId: id.nullable(),
  userId: id,
  createdAt: time,
});
export type Activity = z.infer<typeof activitySchema>;

export const planSchema = z.array(
  z.object({
    content: z.string().min(1, 'must not be empty'),
    status: z.enum(['pending', 'inProgress', 'completed', 'canceled']),
  }),
);
export type Plan = z.infer<typeof planSchema>;

export const externalUrlSchema = z.object({
  label: z.string().min(1, 'must not be empty'),
  url: z.url({ protocol: /^https?$/, error: 'must be an http(s) address' }),
});
export type ExternalUrl = z.infer<typeof externalUrlSchema>;

export const agentSessionSchema = z.object({
  id,
  /** What it is about: an issue, or else a document. */
  issueId: id.nullable(),
  documentId: id.nullable().default(null),
  /** Root of the session's thread. */
  commentId: id,
  /** The comment that mentioned the agent, when one did. */
  sourceCommentId: id.nullable(),
  /** Null: started by an automation, or by the agent. */
  creatorId: id.nullable(),
  createdAt: time,
  updatedAt: time,
  startedAt: time.nullable(),
  endedAt: time.nullable(),
  /** When the agent first showed life: an activity or an external URL. */
  acknowledgedAt: time.nullable(),
  summary: z.string().nullable(),
  plan: planSchema.nullable(),
  externalUrls: z.array(externalUrlSchema),
  activities: z.array(activitySchema),
});
export type AgentSession = z.infer<typeof agentSessionSchema>;

export const attachmentSchema = z.object({ id, issueId: id, url: z.string(), title: z.string(), createdAt: time });
export type Attachment = z.infer<typeof attachmentSchema>;

/** Who instructs agents how: shown to the agent with each new session. */
export const guidanceSchema = z.array(
  z.object({
    body: z.string().min(1),
    origin: z.enum(['workspace', 'team']),
    /** Key of the team that says so to itself and the teams in it; without it, each team does. */
    team: z.string().optional(),
  }),
);
export type Guidance = z.infer<typeof guidanceSchema>;
