/** Copies all that a session's object stores, part by part, and stores such a copy in an object that has nothing yet. */
import type { ArchiveRow, StoredItem } from '../../protocol/archive.ts';

/** Rows of one part: some 300 KB as a rule. */
const ROWS = 200;
/** The state says that there is a session, so it comes last: a copy that breaks off before is no session. */
const LAST = 'state';
/** Set while a copy is being stored. */
const RESTORING = 'restoring';

/**
 * Copies a part. The first also has the statements that make the tables, and the values under keys.
 * @param from number of the row with which the part begins, counted over all tables
 * @returns the items, and where the next part begins; null: it was the last
 */
export function copyPart(
  { sql, kv }: DurableObjectStorage,
  from: number,
): { items: StoredItem[]; next: number | null } {
  const made = sql
    .exec<{ name: string; type: string; sql: string }>(
      "SELECT name, type, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE '\\_cf%' ESCAPE '\\' AND name NOT LIKE 'sqlite%' ORDER BY type DESC, name",
    )
    .toArray();
  const items: StoredItem[] = [];
  if (from === 0) {
    items.push(...made.map(({ sql: make }) => ({ make })));
    for (const [key, value] of kv.list()) items.push({ key, value });
  }
  const tables = made.filter(({ type }) => type === 'table').map(({ name }) => name);
  const inOrder = [...tables.filter((name) => name !== LAST), ...tables.filter((name) => name === LAST)];
  let skip = from;
  for (const table of inOrder) {
    const { count } = sql.exec<{ count: number }>(`SELECT count(*) AS count FROM "${table}"`).one();
    if (skip >= count) {
      skip -= count;
      continue;
    }
    const rows = sql.exec(`SELECT * FROM "${table}" LIMIT ? OFFSET ?`, ROWS, skip).toArray();
    items.push(...rows.map((row) => ({ table, row: row as ArchiveRow })));
    return { items, next: from + rows.length };
  }
  return { items, next: null };
}

/** Whether a copy may be stored here: there is nothing, or a copy that is not whole yet. */
export function mayRestore({ kv }: DurableObjectStorage): boolean {
  return kv.get(RESTORING) !== undefined || [...kv.list({ limit: 1 })].length === 0;
}

/**
 * Stores a part of a copy. The first takes the place of one that broke off.
 * @throws what SQLite throws; nothing of the part is stored then
 */
export async function storePart(
  storage: DurableObjectStorage,
  items: readonly StoredItem[],
  { isFirst, isLast }: { isFirst: boolean; isLast: boolean },
): Promise<void> {
  if (isFirst) await storage.deleteAll();
  const { sql, kv } = storage;
  storage.transactionSync(() => {
    kv.put(RESTORING, true);
    for (const item of items) {
      if ('make' in item) sql.exec(item.make);
      else if ('key' in item) kv.put(item.key, item.value);
      else {
        const names = Object.keys(item.row);
        const columns = names.map((name) => `"${name}"`).join(', ');
        const values = Object.values(item.row);
        sql.exec(`INSERT INTO "${item.table}" (${columns}) VALUES (${names.map(() => '?').join(', ')})`, ...values);
      }
    }
    if (isLast) kv.delete(RESTORING);
  });
}
