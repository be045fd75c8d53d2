/** Use of Claude in D1: sums by day, session, model and token, and what is known of each token's limits. Never a token itself. */
import { and, asc, eq, gte, sql } from 'drizzle-orm';
import { type Windows, windowsSchema } from '../claude-quota/windows.ts';
import { type Database, DatabaseError, run } from './database.ts';
import { claudeUsage, claudeWindows, usageBatches } from './schema.ts';

/** Use to be added to a sum. Whose it is, and how much. */
export interface UsageSum {
  /** UTC, `2026-11-23`. */
  day: string;
  /** The issue session's object id. */
  sessionId: string;
  model: string;
  /** Name of the token or key. */
  token: string;
  workspaceId: string;
  /** `owner/name` */
  repository: string;
  /** Requests answered, and requests that Claude's API refused. */
  requests: number;
  refused: number;
  inputTokens: number;
  outputTokens: number;
  cacheReadTokens: number;
  cacheCreationTokens: number;
  /** Dollars by list prices. */
  costUsd: number;
}

const COUNTS = [
  'requests',
  'refused',
  'inputTokens',
  'outputTokens',
  'cacheReadTokens',
  'cacheCreationTokens',
  'costUsd',
] as const;

const { requests, refused, inputTokens, outputTokens, cacheReadTokens, cacheCreationTokens, costUsd } = claudeUsage;
const counted = { requests, refused, inputTokens, outputTokens, cacheReadTokens, cacheCreationTokens, costUsd };

/** Sums that are added together, once. */
export interface UsageBatch {
  /** Drawn once for these sums: the database takes no id twice. */
  id: string;
  sums: readonly UsageSum[];
}

/**
 * Adds to the sums, all or nothing; a batch that was taken before changes nothing.
 * @param now ms
 * @throws NotMigratedError, DatabaseError
 */
export async function addUsage(db: Database, { id, sums }: UsageBatch, now: number): Promise<void> {
  const grown = Object.fromEntries(
    COUNTS.map((name) => [name, sql`${counted[name]} + ${sql.raw(`excluded.${counted[name].name}`)}`]),
  );
  const statements = sums.map((sum) =>
    db.orm
      .insert(claudeUsage)
      .values({ ...sum, updatedAt: now })
      .onConflictDoUpdate({
        target: [claudeUsage.day, claudeUsage.sessionId, claudeUsage.model, claudeUsage.token],
        set: { ...grown, repository: sum.repository, updatedAt: now },
      }),
  );
  if (statements.length === 0) return;
  // D1 carries a batch out in one transaction: an id that is there already takes the sums back with it.
  const note = db.orm.insert(usageBatches).values({ id, at: now });
  try {
    await run(() => db.orm.batch([note, ...statements]));
  } catch (error) {
    if (!isTaken(error)) throw error;
  }
}

/** SQLite's words for an id that is there, see sqlite.org/rescode.html#constraint_primarykey. */
function isTaken(error: unknown): boolean {
  return error instanceof DatabaseError && error.message.includes('UNIQUE constraint failed: claude_usage_batches.id');
}

/** What is spent, in dollars. */
export interface Spending {
  session: number;
  repositoryThisMonth: number;
  month: number;
}

/** What was spent so far. @param month UTC, `2026-11` @throws NotMigratedError, DatabaseError */
export async function readSpending(
  db: Database,
  about: { sessionId: string; workspaceId: string; repository: string; month: string },
): Promise<Spending> {
  const total = sql<number>`coalesce(sum(${claudeUsage.costUsd}), 0)`;
  const thisMonth = gte(claudeUsage.day, `${about.month}-01`);
  const ofRepository = and(
    thisMonth,
    eq(claudeUsage.workspaceId, about.workspaceId),
    eq(claudeUsage.repository, about.repository),
  );
  const [session, repository, month] = await run(() =>
    Promise.all([
      db.orm.select({ total }).from(claudeUsage).where(eq(claudeUsage.sessionId, about.sessionId)),
      db.orm.select({ total }).from(claudeUsage).where(ofRepository),
      db.orm.select({ total }).from(claudeUsage).where(thisMonth),
    ]),
  );
  return {
    session: session[0]?.total ?? 0,
    repositoryThisMonth: repository[0]?.total ?? 0,
    month: month[0]?.total ?? 0,
  };
}

/** What lists may be grouped by. */
export const USAGE_GROUPS = ['day', 'workspace', 'repository', 'session', 'model', 'token'] as const;
export type UsageGroup = (typeof USAGE_GROUPS)[number];

const GROUP_COLUMNS = {
  day: claudeUsage.day,
  workspace: claudeUsage.workspaceId,
  repository: claudeUsage.repository,
  session: claudeUsage.sessionId,
  model: claudeUsage.model,
  token: claudeUsage.token,
} as const;

/** Sums of a group, by what it has in common. */
export interface UsageReport extends Pick<UsageSum, (typeof COUNTS)[number]> {
  group: string;
}

/**
 * Use since a day, summed up. Repositories of several workspaces that bear one name are one group.
 * @param since UTC, `2026-11-01`
 * @param workspaceId of this workspace alone; null: of all
 * @throws NotMigratedError, DatabaseError
 */
export async function reportUsage(
  db: Database,
  group: UsageGroup,
  since: string,
  workspaceId: string | null = null,
): Promise<UsageReport[]> {
  const sum = (column: (typeof counted)[keyof typeof counted]) => sql<number>`sum(${column})`;
  const column = GROUP_COLUMNS[group];
  return run(() =>
    db.orm
      .select({
        group: column,
        requests: sum(requests),
        refused: sum(refused),
        inputTokens: sum(inputTokens),
        outputTokens: sum(outputTokens),
        cacheReadTokens: sum(cacheReadTokens),
        cacheCreationTokens: sum(cacheCreationTokens),
        costUsd: sum(costUsd),
      })
      .from(claudeUsage)
      .where(
        and(gte(claudeUsage.day, since), workspaceId === null ? undefined : eq(claudeUsage.workspaceId, workspaceId)),
      )
      .groupBy(column)
      .orderBy(asc(column))
      .limit(1_000),
  );
}

/** Why Claude's API does not take a token. */
export interface TokenProblem {
  /** SHA-256 of the token, so that another one under the same name is tried. */
  fingerprint: string;
  message: string;
  /** When it was refused first, and when it was last tried; ms since the epoch. */
  since: number;
  triedAt: number;
}

/** What is known of a token, by its name. */
export interface TokenRecord {
  token: string;
  windows: Windows | null;
  problem: TokenProblem | null;
}

/** Everything known of tokens. @throws NotMigratedError, DatabaseError */
export async function readTokenRecords(db: Database): Promise<TokenRecord[]> {
  const rows = await run(() => db.orm.select().from(claudeWindows).orderBy(asc(claudeWindows.token)));
  return rows.map(({ token, windows, problem, fingerprint, problemSince, triedAt }) => {
    const known = windowsSchema.safeParse(windows === null ? null : JSON.parse(windows));
    return {
      token,
      windows: known.success ? known.data : null,
      problem:
        problem === null
          ? null
          : { fingerprint: fingerprint ?? '', message: problem, since: problemSince ?? 0, triedAt: triedAt ?? 0 },
    };
  });
}

/** Writes what is known of tokens. @param now ms @throws NotMigratedError, DatabaseError */
export async function saveTokenRecords(db: Database, records: readonly TokenRecord[], now: number): Promise<void> {
  const statements = records.map(({ token, windows, problem }) => {
    const values = {
      windows: windows === null ? null : JSON.stringify(windows),
      problem: problem?.message ?? null,
      fingerprint: problem?.fingerprint ?? null,
      problemSince: problem?.since ?? null,
      triedAt: problem?.triedAt ?? null,
      updatedAt: now,
    };
    return db.orm
      .insert(claudeWindows)
      .values({ token, ...values })
      .onConflictDoUpdate({
        target: claudeWindows.token,
        set: values,
      });
  });
  const [first, ...others] = statements;
  if (first) await run(() => db.orm.batch([first, ...others]));
}
