/** Tables of the D1 database. `npm run db:generate` writes a migration for every change here. Times are milliseconds since the epoch. */
import { desc, type SQL, sql } from 'drizzle-orm';
import {
  type AnySQLiteColumn,
  index,
  integer,
  primaryKey,
  real,
  sqliteTable,
  text,
  uniqueIndex,
} from 'drizzle-orm/sqlite-core';
import type { TurnOutcome } from '../protocol/journal.ts';
import type { TokenScope } from '../protocol/people.ts';
import type { Phase } from '../protocol/viewer.ts';

/** `active` is the only one under which Linear is called. */
export type WorkspaceStatus = 'active' | 'reinstall-needed' | 'revoked';
export type InstalledBy = 'oauth' | 'client-credentials' | 'admin';

const times = { createdAt: integer('created_at').notNull(), updatedAt: integer('updated_at').notNull() };

/** A Linear organization that installed the app. */
export const workspaces = sqliteTable('workspaces', {
  /** Linear's organization id. */
  id: text('id').primaryKey(),
  name: text('name').notNull(),
  urlKey: text('url_key').notNull(),
  appUserId: text('app_user_id').notNull(),
  /** Encrypted: purpose `workspace-access-token`, context [id]. Empty: wiped, see `status`. */
  accessToken: text('access_token').notNull(),
  /** Encrypted: purpose `workspace-refresh-token`, context [id]. Null: the access token cannot be renewed by it. */
  refreshToken: text('refresh_token'),
  /** When the access token ends; null: not known. */
  expiresAt: integer('expires_at'),
  /** `reinstall-needed`: Linear takes the tokens no more. `revoked`: uninstalled, the tokens are wiped. */
  status: text('status').$type<WorkspaceStatus>().notNull().default('active'),
  /** What Linear granted, separated by spaces; null: not known. */
  scope: text('scope'),
  /** How the tokens came here: `oauth`, `client-credentials` or `admin`; null: before this was noted. */
  installedBy: text('installed_by').$type<InstalledBy>(),
  /** When the app was last installed or its tokens stored by hand; null: before this was noted. */
  installedAt: integer('installed_at'),
  /** Settings as JSON, see src/protocol/settings/access-rules.ts. Null: nothing was set. */
  settings: text('settings'),
  ...times,
});

/** Installations and sign-ins that were begun and have not come back from Linear yet. Rows are kept a day, to tell a repeat from a forgery. */
export const oauthStates = sqliteTable(
  'oauth_states',
  {
    /** SHA-256 of the state, base64url: anyone who reads the table cannot finish an installation. */
    stateHash: text('state_hash').primaryKey(),
    /** SHA-256 of what the browser's cookie holds. */
    browserHash: text('browser_hash').notNull(),
    /** PKCE. Encrypted: purpose `oauth-verifier`, context [stateHash]. */
    verifier: text('verifier').notNull(),
    redirectUri: text('redirect_uri').notNull(),
    /** Where the browser is sent once all is done; null: it stays here. Of a sign-in: a path of this deployment. */
    callback: text('callback'),
    /** Null: an installation. */
    purpose: text('purpose').$type<'sign-in'>(),
    expiresAt: integer('expires_at').notNull(),
    /** When it came back; a state is good for once. */
    usedAt: integer('used_at'),
  },
  (table) => [index('oauth_states_expires').on(table.expiresAt)],
);

/** Who did what to this deployment. Never holds a secret. */
export const auditEntries = sqliteTable(
  'audit',
  {
    id: integer('id').primaryKey({ autoIncrement: true }),
    at: integer('at').notNull(),
    /** Who: `browser:<user name>`, `linear-user:<id>`, `access:<email>`, `admin`, `linear`, `cyrus`. */
    actor: text('actor').notNull(),
    /** Dot name of what was done: `workspace.installed`. */
    action: text('action').notNull(),
    workspaceId: text('workspace_id'),
    /** JSON object. */
    details: text('details').notNull(),
  },
  (table) => [index('audit_at').on(desc(table.at)), index('audit_workspace').on(table.workspaceId, desc(table.id))],
);

/** People who are signed in, each browser by itself. Rows end with `expiresAt`. */
export const signIns = sqliteTable(
  'sign_ins',
  {
    /** SHA-256 of the cookie's token, base64url; with Cloudflare Access of the email: who reads the table cannot sign in. */
    tokenHash: text('token_hash').primaryKey(),
    /** By which it is listed and ended; proves nothing. */
    id: text('id').notNull(),
    kind: text('kind').$type<'linear' | 'access'>().notNull(),
    /** `linear-user:<id>` or `access:<email>`. */
    person: text('person').notNull(),
    name: text('name').notNull(),
    email: text('email').notNull(),
    /** JSON, see membershipSchema in src/people/person.ts: as Linear said at `checkedAt`. */
    memberships: text('memberships').notNull(),
    /** Which browser, as it says itself, cut; null: it does not say. */
    browser: text('browser'),
    createdAt: integer('created_at').notNull(),
    seenAt: integer('seen_at').notNull(),
    expiresAt: integer('expires_at').notNull(),
    checkedAt: integer('checked_at').notNull(),
  },
  (table) => [index('sign_ins_person').on(table.person), index('sign_ins_expires').on(table.expiresAt)],
);

/** Tokens by which programs act for people. Rows end with `expiresAt`. */
export const apiTokens = sqliteTable(
  'api_tokens',
  {
    /** SHA-256 of the token, base64url: who reads the table cannot use it. */
    tokenHash: text('token_hash').primaryKey(),
    /** By which it is listed and revoked; proves nothing. */
    id: text('id').notNull(),
    /** What its owner calls it. */
    label: text('label').notNull(),
    scope: text('scope').$type<TokenScope>().notNull(),
    /** The way to sign in under which it was made, and alone counts. */
    kind: text('kind').$type<'linear' | 'access' | 'password'>().notNull(),
    /** `linear-user:<id>`, `access:<email>` or, with a password, `browser`. */
    person: text('person').notNull(),
    /** Empty with a password, which names nobody; so are the next two. */
    name: text('name').notNull(),
    email: text('email').notNull(),
    /** JSON, see membershipSchema in src/people/person.ts: as Linear said at `checkedAt`. */
    memberships: text('memberships').notNull(),
    createdAt: integer('created_at').notNull(),
    /** Null: never. */
    usedAt: integer('used_at'),
    expiresAt: integer('expires_at').notNull(),
    checkedAt: integer('checked_at').notNull(),
    /** Number of the minute since the epoch in which it was used last, and how many requests it made in that minute. */
    minute: integer('minute').notNull().default(0),
    requests: integer('requests').notNull().default(0),
  },
  (table) => [index('api_tokens_person').on(table.person), index('api_tokens_expires').on(table.expiresAt)],
);

/** Answers to what programs changed by the API, so that a repeat with the same Idempotency-Key changes nothing. Kept for a day. */
export const apiAnswers = sqliteTable(
  'api_answers',
  {
    /** Id of the token by which it was asked. */
    tokenId: text('token_id').notNull(),
    /** As the program chose it. */
    key: text('key').notNull(),
    /** SHA-256 of method, path and body, base64url. */
    request: text('request').notNull(),
    /** Null: it is not answered yet. */
    status: integer('status'),
    body: text('body'),
    /** When the program asked first. */
    createdAt: integer('created_at').notNull(),
    /** When a repeat began to do it again, because nothing had come of it; null: none has. */
    retriedAt: integer('retried_at'),
  },
  (table) => [primaryKey({ columns: [table.tokenId, table.key] }), index('api_answers_created').on(table.createdAt)],
);

/** Attempts to sign in that were refused, by where they came from, a row for each quarter of an hour. */
export const signInAttempts = sqliteTable(
  'sign_in_attempts',
  {
    /** Keyed hash of the address; nobody can be read out of it without ENCRYPTION_KEY. */
    source: text('source').notNull(),
    /** Number of the quarter of an hour since the epoch. */
    quarter: integer('quarter').notNull(),
    refused: integer('refused').notNull(),
  },
  (table) => [primaryKey({ columns: [table.source, table.quarter] })],
);

/** A git repository a workspace's issues may be worked on in. */
export const repositories = sqliteTable(
  'repositories',
  {
    id: text('id').primaryKey(),
    workspaceId: text('workspace_id')
      .notNull()
      .references(() => workspaces.id, { onDelete: 'cascade' }),
    /** `owner/name`, as it is on the git host. */
    fullName: text('full_name').notNull(),
    cloneUrl: text('clone_url').notNull(),
    baseBranch: text('base_branch').notNull(),
    /** Encrypted JSON, see credentialSchema in src/protocol/api.ts: purpose `repository-credential`, context [workspaceId, fullName, cloneUrl]. Null: public. */
    credential: text('credential'),
    /** Settings as JSON, see src/protocol/settings/repository.ts. Null: nothing was set. */
    settings: text('settings'),
    ...times,
  },
  (table) => [uniqueIndex('repositories_workspace_full_name').on(table.workspaceId, table.fullName)],
);

/** Whether something runs in a session, as SQL. */
export function isRunning(phase: AnySQLiteColumn): SQL {
  return sql`${phase} <> 'waiting'`;
}

/** Index of issue sessions for lists. The Durable Object is the truth; a row here is a copy that may lag. */
export const sessions = sqliteTable(
  'sessions',
  {
    /** The Durable Object's id, 64 hex digits. */
    id: text('id').primaryKey(),
    workspaceId: text('workspace_id').notNull(),
    issueIdentifier: text('issue_identifier'),
    title: text('title').notNull(),
    url: text('url'),
    repositoryFullName: text('repository_full_name'),
    branch: text('branch'),
    /** Linear's id of the issue's team; empty: it has no issue; null: not known, as in rows of earlier versions. */
    teamId: text('team_id'),
    phase: text('phase').$type<Phase>().notNull(),
    reason: text('reason').notNull(),
    lastOutcome: text('last_outcome').$type<TurnOutcome>(),
    turn: integer('turn').notNull(),
    /** The newest pull request as the list shows it, JSON; null: none, or a row of an earlier version. */
    pullRequest: text('pull_request'),
    /** Given by the object, ever rising: a row is replaced only by a newer one. */
    version: integer('version').notNull(),
    ...times,
  },
  (table) => [
    index('sessions_running').on(table.workspaceId).where(isRunning(table.phase)),
    index('sessions_updated').on(desc(table.updatedAt), desc(table.id)),
    index('sessions_workspace_updated').on(table.workspaceId, desc(table.updatedAt), desc(table.id)),
  ],
);

/** The pull requests that Cyrus opened on GitHub: by this alone a webhook finds its session. */
export const pullRequests = sqliteTable(
  'pull_requests',
  {
    /** Of the GitHub: `github.com`. */
    host: text('host').notNull(),
    /** GitHub's id of the repository, which stays the same when it is renamed. */
    repositoryId: integer('repository_id').notNull(),
    number: integer('number').notNull(),
    /** The Durable Object's id, 64 hex digits. */
    sessionId: text('session_id').notNull(),
    workspaceId: text('workspace_id').notNull(),
    branch: text('branch').notNull(),
    ...times,
  },
  (table) => [
    primaryKey({ columns: [table.host, table.repositoryId, table.number] }),
    index('pull_requests_branch').on(table.host, table.repositoryId, table.branch),
    index('pull_requests_session').on(table.sessionId),
    index('pull_requests_workspace').on(table.workspaceId),
  ],
);

/** Use of Claude, summed up by day, session, model and token. */
export const claudeUsage = sqliteTable(
  'claude_usage',
  {
    /** UTC, `2026-11-23`. */
    day: text('day').notNull(),
    /** The Durable Object's id, 64 hex digits. */
    sessionId: text('session_id').notNull(),
    model: text('model').notNull(),
    /** Name of the token or key, see CLAUDE_CODE_OAUTH_TOKENS. */
    token: text('token').notNull(),
    workspaceId: text('workspace_id').notNull(),
    repository: text('repository').notNull(),
    requests: integer('requests').notNull(),
    refused: integer('refused').notNull(),
    inputTokens: integer('input_tokens').notNull(),
    outputTokens: integer('output_tokens').notNull(),
    cacheReadTokens: integer('cache_read_tokens').notNull(),
    cacheCreationTokens: integer('cache_creation_tokens').notNull(),
    /** Dollars by list prices: an estimate. */
    costUsd: real('cost_usd').notNull(),
    updatedAt: integer('updated_at').notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.day, table.sessionId, table.model, table.token] }),
    index('claude_usage_session').on(table.sessionId),
  ],
);

/** Batches of sums that `claude_usage` has taken, so that each counts once. */
export const usageBatches = sqliteTable(
  'claude_usage_batches',
  {
    id: text('id').primaryKey(),
    /** ms */
    at: integer('at').notNull(),
  },
  (table) => [index('claude_usage_batches_at').on(table.at)],
);

/** What Claude's API last said of each token's limits, and whether it takes the token. Never holds a token. */
export const claudeWindows = sqliteTable('claude_windows', {
  /** Name of the token or key. */
  token: text('token').primaryKey(),
  /** JSON, see src/claude-quota/windows.ts. Null: nothing was said. */
  windows: text('windows'),
  /** Why the API refused the token. Null: it takes it, as far as is known. */
  problem: text('problem'),
  /** SHA-256 of the refused token: another one under the same name is tried. */
  fingerprint: text('fingerprint'),
  problemSince: integer('problem_since'),
  triedAt: integer('tried_at'),
  updatedAt: integer('updated_at').notNull(),
});

/** The secret of the sandbox server that a repository names. */
export const sandboxSecrets = sqliteTable(
  'sandbox_secrets',
  {
    workspaceId: text('workspace_id')
      .notNull()
      .references(() => workspaces.id, { onDelete: 'cascade' }),
    fullName: text('full_name').notNull(),
    /** Address of the server the secret is for, and for no other. */
    url: text('url').notNull(),
    /** Encrypted: purpose `sandbox-secret`, context [workspaceId, fullName, url]. */
    secret: text('secret').notNull(),
    ...times,
  },
  (table) => [primaryKey({ columns: [table.workspaceId, table.fullName] })],
);

/** An MCP server that an admin gave a repository. */
export const mcpServers = sqliteTable(
  'mcp_servers',
  {
    repositoryId: text('repository_id')
      .notNull()
      .references(() => repositories.id, { onDelete: 'cascade' }),
    name: text('name').notNull(),
    /** JSON, see src/protocol/settings/mcp.ts. Never holds a secret. */
    settings: text('settings').notNull(),
    /** Encrypted JSON object: purpose `mcp-headers`, context [repositoryId, name, url]. Null: there are none. */
    headers: text('headers'),
    /** JSON list of the names of the headers. */
    headerNames: text('header_names').notNull(),
    ...times,
  },
  (table) => [primaryKey({ columns: [table.repositoryId, table.name] })],
);

/** Services that a workspace's admins have told of its sessions. */
export const outgoingWebhooks = sqliteTable(
  'outgoing_webhooks',
  {
    id: text('id').primaryKey(),
    workspaceId: text('workspace_id')
      .notNull()
      .references(() => workspaces.id, { onDelete: 'cascade' }),
    url: text('url').notNull(),
    /** JSON list, see src/protocol/v1/webhooks.ts. */
    events: text('events').notNull(),
    /** Encrypted: purpose `webhook-secret`, context [id]. */
    secret: text('secret').notNull(),
    /** The secret before, encrypted as that, which signs too until then. */
    previousSecret: text('previous_secret'),
    previousUntil: integer('previous_until'),
    /** Null: it is at work. */
    disabledAt: integer('disabled_at'),
    /** Why Cyrus disabled it; null: it is at work, or an admin disabled it. */
    disabledBecause: text('disabled_because'),
    /** Since when each attempt has failed, and what came of the last one. */
    failingSince: integer('failing_since'),
    problem: text('problem'),
    deliveredAt: integer('delivered_at'),
    ...times,
  },
  (table) => [index('outgoing_webhooks_workspace').on(table.workspaceId)],
);

/** Settings that take the place of variables without a deploy, see settings.ts. */
export const settings = sqliteTable(
  'settings',
  {
    /** `deployment`, or `workspace:` and Linear's organization id. */
    scope: text('scope').notNull(),
    /** Name of the variable. */
    key: text('key').notNull(),
    /** As the variable would have it. */
    value: text('value').notNull(),
    /** Who set it: `admin`. */
    updatedBy: text('updated_by').notNull(),
    updatedAt: integer('updated_at').notNull(),
  },
  (table) => [primaryKey({ columns: [table.scope, table.key] })],
);
