/** Whether the database has what this version of the code reads and writes. */
import { getTableColumns, getTableName, is, sql, Table } from 'drizzle-orm';
import * as z from 'zod';
import { type Database, run } from './database.ts';
import * as schema from './schema.ts';

const rowsSchema = z.array(z.object({ name: z.string(), sql: z.string() }));

/** What the database has of what the code needs: all, nothing yet, or less than it should. */
export type DatabaseState = { kind: 'current' } | { kind: 'empty' } | { kind: 'behind'; missing: string[] };

/** @throws DatabaseError */
export async function stateOfDatabase(db: Database): Promise<DatabaseState> {
  // The statements that made the tables: SQLite keeps them true when columns are added or renamed.
  const query = sql`SELECT name, sql FROM sqlite_master WHERE type = 'table' AND sql IS NOT NULL`;
  const rows = rowsSchema.parse(await run(() => db.orm.all(query)));
  const has = new Set(
    rows.flatMap((row) => [row.name, ...(row.sql.match(/\w+/g) ?? []).map((word) => `${row.name}.${word}`)]),
  );
  const tables = Object.values(schema).filter((value) => is(value, Table));
  if (!tables.some((table) => has.has(getTableName(table)))) return { kind: 'empty' };
  const missing = tables.flatMap((table) => {
    const name = getTableName(table);
    if (!has.has(name)) return [name];
    const columns = Object.values(getTableColumns(table)).map((column) => `${name}.${column.name}`);
    return columns.filter((column) => !has.has(column));
  });
  return missing.length === 0 ? { kind: 'current' } : { kind: 'behind', missing };
}
