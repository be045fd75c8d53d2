/**
 * What in a migration of D1 would break the Worker that is running while it is applied: the migrations run before the new Worker
 * is there, and a rollback of the Worker does not take them back.
 */

/** Comments and quoted text tell nothing about what a statement does. */
function bare(sql: string): string {
  return sql
    .replace(/--[^\n]*/g, ' ')
    .replace(/\/\*[\s\S]*?\*\//g, ' ')
    .replace(/'(?:[^']|'')*'/g, "''");
}

const FORBIDDEN: [pattern: RegExp, why: string][] = [
  [/\bDROP\s+TABLE\b/i, 'drops a table'],
  [/\bDROP\s+(?:COLUMN\b|[`"[\w]+\s*$)/i, 'drops a column'],
  [/\bDROP\s+VIEW\b/i, 'drops a view'],
  [/\bRENAME\b/i, 'renames something'],
  [/\b(?:DELETE\s+FROM|TRUNCATE)\b/i, 'deletes rows'],
  [/\bCREATE\s+UNIQUE\s+INDEX\b/i, 'forbids rows that the running Worker may write (a unique index)'],
  [/\bCREATE\s+TRIGGER\b/i, 'changes what the running Worker writes (a trigger)'],
];

/**
 * @param sql one migration, whole
 * @returns why it is not additive, a sentence for each statement; empty if it is
 */
export function notAdditive(sql: string): string[] {
  const created = new Set<string>();
  return bare(sql)
    .split(';')
    .flatMap((statement) => {
      const text = statement.replace(/\s+/g, ' ').trim();
      const table = /^CREATE TABLE (?:IF NOT EXISTS )?[`"[]?(\w+)/i.exec(text)?.[1];
      if (table !== undefined) created.add(table);
      const problems = FORBIDDEN.filter(([pattern, why]) => pattern.test(text) && !isOfNewTable(text, why, created));
      if (/\bADD\b.*\bNOT NULL\b/i.test(text) && /^ALTER TABLE/i.test(text) && !/\bDEFAULT\b/i.test(text)) {
        return [`it adds a column that must not be null and has no default: ${text}`];
      }
      return problems.map(([, why]) => `it ${why}: ${text}`);
    });
}

/** A unique index on a table of the same migration forbids nothing that was allowed before. */
function isOfNewTable(statement: string, why: string, created: ReadonlySet<string>): boolean {
  const table = /\bON [`"[]?(\w+)/i.exec(statement)?.[1];
  return why.includes('unique index') && table !== undefined && created.has(table);
}
