/** What crosses between a deployment and the commands that copy it into an archive, or out of one (`npm run backup`, `npm run restore`). */
import * as z from 'zod';

/** Version of the archive's shape. */
export const ARCHIVE_VERSION = 1;

/** Tables of D1 that are copied, in an order in which they can be stored again. What proves people and counts attempts is not. */
export const ARCHIVE_TABLES = [
  'workspaces',
  'repositories',
  'sandbox_secrets',
  'mcp_servers',
  'outgoing_webhooks',
  'settings',
  'sessions',
  'pull_requests',
  'claude_usage',
  'claude_windows',
  'audit',
] as const;
export type ArchiveTable = (typeof ARCHIVE_TABLES)[number];

const valueSchema = z.union([z.string(), z.number(), z.null()]);
export const rowSchema = z.record(z.string().regex(/^[a-z_]{1,64}$/), valueSchema);
export type ArchiveRow = z.infer<typeof rowSchema>;

/** Rows of a table. `next`: where the page after it begins; null: it is the last. */
export const rowsPageSchema = z.object({ rows: z.array(rowSchema), next: z.number().nullable() });
export type RowsPage = z.infer<typeof rowsPageSchema>;

/** What a session's object stores: how its tables are made, their rows, and values under keys. */
export const storedItemSchema = z.union([
  z.object({ make: z.string().regex(/^CREATE (TABLE|INDEX|UNIQUE INDEX) /) }).strict(),
  z.object({ table: z.string().regex(/^[a-z_]{1,64}$/), row: rowSchema }).strict(),
  z.object({ key: z.string().min(1).max(200), value: z.unknown() }).strict(),
]);
export type StoredItem = z.infer<typeof storedItemSchema>;

/**
 * A part of a session. `name`: of its object, by which it is made again, with another id in another deployment; null: it is not known.
 * `revision`: one that changes between two parts was at work, and is read again.
 */
export const sessionPageSchema = z.object({
  name: z.string().nullable(),
  revision: z.number(),
  items: z.array(storedItemSchema),
  next: z.number().nullable(),
});
export type SessionArchivePage = z.infer<typeof sessionPageSchema>;

/** Objects of the bucket. `next`: the cursor of the page after it. */
export const objectsPageSchema = z.object({
  objects: z.array(z.object({ key: z.string(), size: z.number(), type: z.string().nullable() })),
  next: z.string().nullable(),
});
