/** What the stand-in for GitHub knows: an app, where it is installed, tokens, pull requests. Times are ms since the epoch. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';

export const accessLevelSchema = z.enum(['read', 'write']);
/** The permissions that matter here (docs.github.com/en/rest/authentication/permissions-required-for-github-apps). */
export const permissionsSchema = z.object({
  metadata: accessLevelSchema.optional(),
  contents: accessLevelSchema.optional(),
  pull_requests: accessLevelSchema.optional(),
  issues: accessLevelSchema.optional(),
  checks: accessLevelSchema.optional(),
  statuses: accessLevelSchema.optional(),
  actions: accessLevelSchema.optional(),
});
export type Permissions = z.infer<typeof permissionsSchema>;

const installationSchema = z.object({
  id: z.number().int(),
  account: z.string(),
  /** `owner/name`; every repository the app may use there. */
  repositories: z.array(z.string()),
  permissions: permissionsSchema,
  suspended: z.boolean(),
});
export type Installation = z.infer<typeof installationSchema>;

const personalTokenSchema = z.object({
  token: z.string(),
  login: z.string(),
  repositories: z.array(z.string()),
  permissions: permissionsSchema,
  expiresAt: z.number().nullable(),
});

const commentSchema = z.object({ id: z.number().int(), author: z.string(), body: z.string(), createdAt: z.number() });

const reviewSchema = z.object({
  id: z.number().int(),
  author: z.string(),
  state: z.enum(['APPROVED', 'CHANGES_REQUESTED', 'COMMENTED', 'DISMISSED']),
  body: z.string().default(''),
  /** Commit that was looked at. */
  commit: z.string().default(''),
  at: z.number(),
});

/** A comment on a line; an answer to one has no line of its own. */
const reviewCommentSchema = z.object({
  id: z.number().int(),
  reviewId: z.number().int(),
  author: z.string(),
  body: z.string(),
  path: z.string(),
  line: z.number().int().nullable(),
  diffHunk: z.string(),
  /** The first comment of its thread; null: it is that itself. */
  inReplyTo: z.number().int().nullable(),
  createdAt: z.number(),
});
export type ReviewComment = z.infer<typeof reviewCommentSchema>;

/** What services report of a commit: check runs of apps, and statuses. */
export const commitChecksSchema = z.object({
  repository: z.string(),
  commit: z.string(),
  runs: z
    .array(
      z.object({
        /** Given by the stand-in: another one for each time that it ran. */
        id: z.number().int().optional(),
        name: z.string(),
        /** What the job printed; left out: it is no job of Actions. */
        log: z.string().optional(),
        summary: z.string().optional(),
        status: z.enum(['queued', 'in_progress', 'completed']),
        conclusion: z
          .enum(['success', 'failure', 'neutral', 'cancelled', 'skipped', 'timed_out', 'action_required'])
          .nullable(),
      }),
    )
    .default([]),
  statuses: z
    .array(z.object({ context: z.string(), state: z.enum(['error', 'failure', 'pending', 'success']) }))
    .default([]),
});
export type CommitChecks = z.infer<typeof commitChecksSchema>;

const pullSchema = z.object({
  repository: z.string(),
  number: z.number().int(),
  title: z.string(),
  body: z.string().nullable(),
  author: z.string(),
  head: z.string(),
  base: z.string(),
  draft: z.boolean(),
  state: z.enum(['open', 'closed']),
  mergedAt: z.number().nullable(),
  /** Where the branches were when it was closed. */
  closedHead: z.string().nullable(),
  comments: z.array(commentSchema),
  /** Oldest first. */
  reviews: z.array(reviewSchema).default([]),
  reviewComments: z.array(reviewCommentSchema).default([]),
  /** Logins of who was asked for a review. */
  asked: z.array(z.string()).default([]),
  createdAt: z.number(),
  updatedAt: z.number(),
});
export type Pull = z.infer<typeof pullSchema>;

function newSecret(): string {
  return randomBytes(24).toString('base64url');
}

const appSchema = z.object({
  id: z.number().int(),
  slug: z.string(),
  /** What the app is called in OAuth; as good as the id as issuer of its JWT. */
  clientId: z.string().default('Iv23liCyrusLocal0001'),
  /** PKCS#1 PEM, as GitHub gives it out. */
  privateKey: z.string(),
  /** SPKI PEM. */
  publicKey: z.string(),
  /** Signs its webhooks. */
  webhookSecret: z.string().default(newSecret),
});

/** A ruleset of a repository, enforced (docs.github.com/en/rest/repos/rules). */
export const rulesetSchema = z.object({
  /** Names of branches, `feature/**` for all below a folder, or `~ALL`. */
  include: z.array(z.string().min(1)).min(1),
  rules: z.array(z.object({ type: z.string().min(1), parameters: z.record(z.string(), z.unknown()).optional() })),
});
export type Ruleset = z.infer<typeof rulesetSchema>;

const stateSchema = z.object({
  version: z.literal(1),
  app: appSchema,
  installations: z.array(installationSchema),
  personalTokens: z.array(personalTokenSchema),
  /** Private repositories of a free account, which have no drafts. */
  withoutDrafts: z.array(z.string()),
  /** Repositories that have another name now; the former leads there by redirects. */
  renamed: z.array(z.object({ from: z.string(), to: z.string() })).default([]),
  rulesets: z.array(rulesetSchema.extend({ repository: z.string() })).default([]),
  checks: z.array(commitChecksSchema).default([]),
  /** What people may do in a repository, besides reading what is public. */
  collaborators: z
    .array(
      z.object({ repository: z.string(), login: z.string(), permission: z.enum(['admin', 'write', 'read', 'none']) }),
    )
    .default([]),
  pulls: z.array(pullSchema),
  lastId: z.number().int(),
});
export type GitHubState = z.infer<typeof stateSchema>;

/** A fresh app that is installed nowhere. */
export function newState(): GitHubState {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  return {
    version: 1,
    app: {
      id: 1001,
      slug: 'cyrus-local',
      clientId: 'Iv23liCyrusLocal0001',
      privateKey,
      publicKey,
      webhookSecret: newSecret(),
    },
    installations: [],
    personalTokens: [],
    withoutDrafts: [],
    renamed: [],
    rulesets: [],
    checks: [],
    collaborators: [],
    pulls: [],
    lastId: 1001,
  };
}

/** Reads what an earlier run left. @throws Error if the file is damaged */
export function loadState(file: string): GitHubState {
  if (!existsSync(file)) return newState();
  let json: unknown = null;
  try {
    json = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    // Told below, as every other damage.
  }
  const parsed = stateSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new Error(`${file} is damaged: delete it to begin with no pull requests`);
}

/** Keeps the state; a file that is half written is never seen. */
export function saveState(file: string, state: GitHubState): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(`${file}.new`, JSON.stringify(state, null, 1), { mode: 0o600 });
  renameSync(`${file}.new`, file);
}
