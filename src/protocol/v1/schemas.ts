/** The shapes of the API for programs. Times are milliseconds since the epoch. */
import * as z from 'zod';
import { journalEntrySchema } from '../journal.ts';
import { tokenScopeSchema } from '../people.ts';
import { workspaceSettingsSchema } from '../settings/access-rules.ts';
import { isSettingName, SETTINGS, type SettingName } from '../settings/deployment.ts';
import { sessionRowSchema, sessionViewSchema } from '../viewer.ts';
import { webhookMessageSchema, webhookViewSchema } from './webhooks.ts';

const time = z.int().nonnegative();

/** What is wrong with a request (RFC 9457), as `application/problem+json`. */
export const problemSchema = z.object({
  /** `urn:cyrus:problem:` and the code. */
  type: z.string(),
  title: z.string(),
  status: z.int(),
  /** A sentence for people that says what to do. */
  detail: z.string(),
  /** A word for programs, which stays the same. */
  code: z.string(),
  /** What does not fit in the request: where it is, and why. */
  errors: z
    .array(z.object({ in: z.enum(['path', 'query', 'body', 'header']), pointer: z.string(), message: z.string() }))
    .optional(),
});
export type Problem = z.infer<typeof problemSchema>;

/** Who a token acts for, and as what. */
export const callerSchema = z.object({
  /** Null: a deployment with a password knows no names. */
  name: z.string().nullable(),
  email: z.string().nullable(),
  /** Sees everything in the deployment. */
  isOwner: z.boolean(),
  workspaces: z.array(z.object({ id: z.string(), name: z.string(), role: z.enum(['viewer', 'member', 'admin']) })),
  token: z.object({ id: z.string(), scope: tokenScopeSchema }),
});
export type CallerView = z.infer<typeof callerSchema>;

/** A page of sessions, last changed first. `next`: the `cursor` of the page that follows; null at the end. */
export const sessionsSchema = z.object({ data: z.array(sessionRowSchema), next: z.string().nullable() });
export type Sessions = z.infer<typeof sessionsSchema>;

/** A page of the journal in the order of its numbers. `next`: the `after` of the page that follows; null: this is all there is now. */
export const entriesSchema = z.object({
  data: z.array(journalEntrySchema),
  next: z.int().nonnegative().nullable(),
  /** The last number of the journal. */
  head: z.int().nonnegative(),
});
export type Entries = z.infer<typeof entriesSchema>;

const MAX_TEXT = 50_000;
/** As long as Linear takes one. */
const MAX_TITLE = 255;
const text = z.string().trim().min(1).max(MAX_TEXT);

/** What starts a session: on an issue, or from a text, for which Cyrus creates an issue. */
export const startSchema = z
  .strictObject({
    /** Key of the issue in Linear, as in `ENG-123`, or its id. */
    issue: z
      .string()
      .trim()
      .regex(/^(?:[A-Za-z][A-Za-z0-9]{0,30}-\d{1,9}|[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12})$/, {
        error: 'must be the key of an issue, as in ENG-123, or its id',
      })
      .optional(),
    /** What Claude is asked to do; left out: what the issue says. */
    text: text.optional(),
    /** `owner/name` of a repository of the workspace; without an issue. */
    repository: z.string().trim().min(1).max(200).optional(),
    /** Of the issue that is created; left out: the beginning of the text. */
    title: z.string().trim().min(1).max(MAX_TITLE).optional(),
    /** Key or id of the team in which the issue is created; left out: the only one that the person sees. */
    team: z.string().trim().min(1).max(100).optional(),
    /** Linear's organization id; needed if the token sees several workspaces. */
    workspace: z.string().min(1).max(100).optional(),
  })
  .superRefine(({ issue, text: words, repository, title, team }, context) => {
    const add = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message });
    if (issue === undefined) {
      if (words === undefined) add('text', 'give an issue, or a text and a repository');
      else if (repository === undefined) add('repository', 'is needed without an issue');
      return;
    }
    for (const [name, value] of Object.entries({ repository, title, team })) {
      if (value !== undefined) add(name, 'is only for a session from a text: an issue says it already');
    }
  });
export type Start = z.infer<typeof startSchema>;

/** A session that works on the request. */
export const startedSchema = z.object({
  session: z.string(),
  /** Key of the issue in Linear. */
  issue: z.string(),
  /** The page of the session. */
  url: z.url(),
  /** Of the request, by which the journal names it. */
  request: z.string(),
});
export type Started = z.infer<typeof startedSchema>;

export const promptSchema = z.strictObject({ text });

export const answerSchema = z.strictObject({
  /** Id of the question, as the session's `asked` has it. */
  question: z.string().min(1).max(1_000),
  /** Ids of the options that are chosen; none: `text` is the answer. */
  options: z.array(z.string().max(10_000)).max(100).default([]),
  text: text.optional(),
});

/** What was asked is taken in; `duplicate`: it was before. */
export const takenSchema = z.object({ request: z.string(), outcome: z.enum(['accepted', 'duplicate']) });
export type Taken = z.infer<typeof takenSchema>;

/** Sums of the use of Claude. Dollars by list prices. */
export const usageSchema = z.object({
  by: z.string(),
  /** UTC, `2026-11-01`. */
  since: z.string(),
  data: z.array(
    z.object({
      group: z.string(),
      requests: z.int(),
      refused: z.int(),
      inputTokens: z.number(),
      outputTokens: z.number(),
      cacheReadTokens: z.number(),
      cacheCreationTokens: z.number(),
      costUsd: z.number(),
    }),
  ),
});
export type UsageView = z.infer<typeof usageSchema>;

/** A setting that is none is refused: a mistyped rule must not let everyone in. */
export const workspaceSettingsInputSchema = workspaceSettingsSchema.strict();

const NAMES = Object.keys(SETTINGS).filter(isSettingName);
export const settingNameSchema = z.enum(NAMES as [SettingName, ...SettingName[]]);

/** A variable of the deployment as it counts now. */
export const settingSchema = z.object({
  name: settingNameSchema,
  value: z.string(),
  /** The source of the value. */
  from: z.enum(['workspace', 'deployment', 'variable', 'default']),
  updatedBy: z.string().nullable(),
  updatedAt: time.nullable(),
});
export const settingsSchema = z.object({ data: z.array(settingSchema) });
export type SettingsView = z.infer<typeof settingsSchema>;

export const settingInputSchema = z.strictObject({ value: z.union([z.string().max(10_000), z.number(), z.boolean()]) });

/** The shapes that have a name in the document. */
export const NAMED = {
  Problem: problemSchema,
  Caller: callerSchema,
  SessionSummary: sessionRowSchema,
  Session: sessionViewSchema,
  Entry: journalEntrySchema,
  WorkspaceSettings: workspaceSettingsSchema,
  Setting: settingSchema,
  Webhook: webhookViewSchema,
  WebhookMessage: webhookMessageSchema,
} as const;
