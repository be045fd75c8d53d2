/** Tables of the D1 database. `npm run db:generate` writes a migration for every change here. Times are milliseconds since the epoch. */
import { desc } from 'drizzle-orm';
import { index, integer, sqliteTable, text, uniqueIndex } from 'drizzle-orm/sqlite-core';
import type { TurnOutcome } from '../protocol/journal.ts';
import type { Phase } from '../protocol/viewer.ts';

const times = { createdAt: integer('created_at').notNull(), updatedAt: integer('updated_at').notNull() };

/** A Linear organization that installed the app. */
export const workspaces = sqliteTable('workspaces', {
  /** Linear's organization id. */
  id: text('id').primaryKey(),
  name: text('name').notNull(),
  urlKey: text('url_key').notNull(),
  appUserId: text('app_user_id').notNull(),
  /** Encrypted: purpose `workspace-access-token`, context [id]. */
  accessToken: text('access_token').notNull(),
  ...times,
});

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
    /** Encrypted JSON `{ username, password }`: purpose `repository-credential`, context [workspaceId, fullName, cloneUrl]. Null: public. */
    credential: text('credential'),
    ...times,
  },
  (table) => [uniqueIndex('repositories_workspace_full_name').on(table.workspaceId, table.fullName)],
);

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
    phase: text('phase').$type<Phase>().notNull(),
    reason: text('reason').notNull(),
    lastOutcome: text('last_outcome').$type<TurnOutcome>(),
    turn: integer('turn').notNull(),
    /** Given by the object, ever rising: a row is replaced only by a newer one. */
    version: integer('version').notNull(),
    ...times,
  },
  (table) => [
    index('sessions_updated').on(desc(table.updatedAt), desc(table.id)),
    index('sessions_workspace_updated').on(table.workspaceId, desc(table.updatedAt), desc(table.id)),
  ],
);
