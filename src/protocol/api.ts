/** Bodies of Cyrus's own HTTP API (`/api/…`). Times are milliseconds since the epoch. */
import * as z from 'zod';
import { journalEntrySchema } from './journal.ts';
import { endpointAddressSchema } from './settings/placement.ts';
import { defaultSettings, repositorySettingsSchema } from './settings/repository.ts';
import { sessionRowSchema, sessionViewSchema } from './viewer.ts';

/** `GET /api/sessions?limit=M&before=C`: at most 100, last changed first; `next` is the `before` of the page that follows. */
export const sessionListSchema = z.object({
  sessions: z.array(sessionRowSchema),
  /** Left out if nothing follows. */
  next: z.string().optional(),
  scriptedModel: z.boolean(),
  /** Names of workspaces in which Linear takes Cyrus's tokens no more. */
  reinstallNeeded: z.array(z.string()).default([]),
});
export type SessionList = z.infer<typeof sessionListSchema>;

/** The query of `GET /api/sessions/:id`; see `sessionPageSchema`. @param most entries in one page: a larger wish is cut to it */
export const pageQuerySchema = (most: number) =>
  z.object({
    before: z.union([z.literal('end').transform(() => null), z.coerce.number().int().positive()]).optional(),
    after: z.coerce.number().int().nonnegative().default(0),
    limit: z.coerce
      .number()
      .int()
      .min(1)
      .default(most)
      .transform((limit) => Math.min(limit, most)),
  });

/**
 * `GET /api/sessions/:id?after=N&limit=M`: readable without a socket, from the beginning. `?before=N` gives the entries right before a
 * number instead, `?before=end` the newest.
 */
export const sessionPageSchema = z.object({
  session: sessionViewSchema,
  entries: z.array(journalEntrySchema),
  /** Last number of the journal; more entries follow while the last one given is below it. */
  head: z.number().int().nonnegative(),
  /** Whether who asks may write to Claude and stop it; earlier versions left it out, and everybody might. */
  mayWork: z.boolean().optional(),
  /** The newest entry that tells of saved work, with `before=end`; left out if there is none, and by earlier versions. */
  saved: journalEntrySchema.optional(),
});
export type SessionPage = z.infer<typeof sessionPageSchema>;

/**
 * `GET /api/sessions/:id/find?text=T&before=N`: entries with this text in what people see of them, newest first. `next`: the `before` with
 * which the search goes on; left out at the beginning of the journal.
 */
export const foundEntriesSchema = z.object({
  matches: z.array(
    z.object({
      seq: z.number().int().positive(),
      at: z.number().int().nonnegative(),
      turn: z.number().int().nonnegative(),
      kind: z.string(),
      /** The text around the match, on one line; `from` and `to`: where the match is in it. */
      excerpt: z.string(),
      from: z.number().int().nonnegative(),
      to: z.number().int().nonnegative(),
    }),
  ),
  next: z.number().int().positive().optional(),
});
export type FoundEntries = z.infer<typeof foundEntriesSchema>;

/** Longest text that is searched for, in UTF-16 code units. */
export const MAX_FIND = 200;

/** The longest message, in UTF-16 code units. */
export const MAX_PROMPT = 50_000;

/**
 * `POST /api/sessions/:id/prompts`. The client chooses the id, so that a repeated request prompts once. With `answers` it is the answer
 * to that question and nothing else: 409 `question_closed` where the question is not open any more. `options`: ids of the
 * chosen ones; none: `text` is the answer. Null: it answers nothing, whatever is asked when it arrives. Left out by pages of
 * earlier versions, which do not say.
 */
export const pagePromptSchema = z.object({
  id: z.uuid(),
  text: z.string().trim().min(1).max(MAX_PROMPT),
  answers: z
    .object({ question: z.string().min(1).max(1_000), options: z.array(z.string().max(10_000)).max(100).default([]) })
    .nullish(),
});

/** `POST /api/sessions/:id/stop`. `ageMs`: how long ago it was asked for, where it could not be sent at once. */
export const pageStopSchema = z.object({ id: z.uuid(), ageMs: z.number().int().nonnegative().optional() });

/** Error of a refused answer: it changed nothing. */
export const QUESTION_CLOSED = 'question_closed';

/** `PUT /api/admin/workspaces/:id` */
export const workspaceInputSchema = z.object({
  name: z.string().trim().min(1),
  urlKey: z.string().trim().min(1),
  appUserId: z.string().min(1),
  /** Linear access token of the app user; stored encrypted, never given back. */
  accessToken: z.string().min(1),
});
export type WorkspaceInput = z.infer<typeof workspaceInputSchema>;

/**
 * How a repository is reached; stored encrypted, never given back.
 * - without `kind`: HTTP basic credential of any git host; for a token, what the host wants as user name with it
 * - `github-app`: this deployment's GitHub App, which has to be installed on the repository
 * - `github-token`: a personal access token of GitHub with write access to contents and pull requests
 */
export const credentialSchema = z.union([
  z.object({ kind: z.literal('github-app') }),
  z.object({ kind: z.literal('github-token'), token: z.string().trim().min(1) }),
  z.object({ username: z.string().min(1), password: z.string().min(1) }),
]);
export type StoredCredential = z.infer<typeof credentialSchema>;

/** `PUT /api/admin/workspaces/:id/repositories/:owner/:name` */
export const repositoryInputSchema = z.object({
  /** Clone address over HTTP(S), without credentials, e.g. `https://github.com/acme/shop.git`. */
  cloneUrl: z.url({ protocol: /^https?$/ }),
  baseBranch: z.string().trim().min(1).default('main'),
  credential: credentialSchema.optional(),
  /** A setting that is none is refused: a mistyped rule must not let everyone in. */
  settings: repositorySettingsSchema.strict().default(defaultSettings),
});
export type RepositoryInput = z.infer<typeof repositoryInputSchema>;

/** `PATCH /api/admin/workspaces/:id/repositories/:owner/:name`: what is left out stays as it is. */
export const repositoryChangeSchema = z.strictObject({
  cloneUrl: repositoryInputSchema.shape.cloneUrl.optional(),
  baseBranch: z.string().trim().min(1).optional(),
  /** Null: none is needed any more. */
  credential: credentialSchema.nullable().optional(),
  /** Merged into the settings, see lib/merge-patch.ts; null sets one back to its default. */
  settings: z.record(z.string(), z.unknown()).optional(),
});

/** `PUT /api/admin/workspaces/:id/sandbox-secrets/:owner/:name`: the secret of the server in the setting `sandbox`. */
export const sandboxSecretInputSchema = z.object({
  url: endpointAddressSchema,
  /** What the server has as CYRUS_SANDBOX_SECRET; stored encrypted, never given back. */
  secret: z.string().min(16, 'must have at least 16 characters').max(1_000),
});

/** Body of every refusal: a stable word for programs, a sentence for people that says what to do. */
export const apiErrorSchema = z.object({ error: z.string(), message: z.string() });
export type ApiError = z.infer<typeof apiErrorSchema>;
