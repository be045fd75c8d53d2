/** The audit log: who did what to this deployment. Never with a secret. */
import { and, desc, eq, lt, sql } from 'drizzle-orm';
import * as z from 'zod';
import { type Database, run } from './database.ts';
import { auditEntries } from './schema.ts';

/** One entry. `at` in ms since the epoch. */
export interface AuditEntry {
  at: number;
  /** Who: `linear-user:<id>`, `access:<email>`, `browser:<user name>`, `admin`, `linear`, `cyrus`. */
  actor: string;
  /** Dot name of what was done. */
  action: `${string}.${string}`;
  workspaceId: string | null;
  /** Plain facts; no secrets, no text of people. */
  details: Record<string, string | number | boolean | null>;
}

const detailsSchema = z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()]));

/** Writes an entry. @throws NotMigratedError, DatabaseError */
export async function audit(db: Database, entry: AuditEntry): Promise<void> {
  const { details, ...columns } = entry;
  await run(() => db.orm.insert(auditEntries).values({ ...columns, details: JSON.stringify(details) }));
}

/** The newest entries first. @param limit rows at most @throws NotMigratedError, DatabaseError */
export async function listAudit(
  db: Database,
  limit: number,
): Promise<(Omit<AuditEntry, 'action'> & { action: string })[]> {
  const rows = await run(() =>
    db.orm.select().from(auditEntries).orderBy(desc(auditEntries.at), desc(auditEntries.id)).limit(limit),
  );
  return rows.map(({ id: _, details, ...row }) => ({ ...row, details: detailsSchema.parse(JSON.parse(details)) }));
}

/** An entry with its number, by which pages go on. */
export type StoredAuditEntry = Omit<AuditEntry, 'action'> & { id: number; action: string };

/**
 * A page of the log, newest first.
 * @param query `workspaceId`: what concerns this workspace alone; null: everything. `before`: entries with a lower number. `action`: only
 *   those of it, or that begin with it
 * @throws NotMigratedError, DatabaseError
 */
export async function pageOfAudit(
  db: Database,
  query: { workspaceId: string | null; before?: number | undefined; limit: number; action?: string | undefined },
): Promise<StoredAuditEntry[]> {
  const { workspaceId, before, limit, action } = query;
  const rows = await run(() =>
    db.orm
      .select()
      .from(auditEntries)
      .where(
        and(
          workspaceId === null ? undefined : eq(auditEntries.workspaceId, workspaceId),
          before === undefined ? undefined : lt(auditEntries.id, before),
          action === undefined ? undefined : sql`substr(${auditEntries.action}, 1, ${action.length}) = ${action}`,
        ),
      )
      .orderBy(desc(auditEntries.id))
      .limit(limit),
  );
  return rows.map(({ details, ...row }) => ({ ...row, details: detailsSchema.parse(JSON.parse(details)) }));
}
