/** The pull requests that Cyrus opened, and which session each belongs to: by this alone a webhook of GitHub finds its session. */
import { and, eq, inArray, or } from 'drizzle-orm';
import { type Database, run } from './database.ts';
import { pullRequests } from './schema.ts';

/** A pull request as it is recorded. */
export type RecordedPullRequest = Omit<typeof pullRequests.$inferInsert, 'createdAt' | 'updatedAt'>;

/**
 * Notes that a session's branch has this pull request; a repeat changes nothing but the time.
 * @param now ms since the epoch
 * @throws NotMigratedError, DatabaseError
 */
export async function notePullRequest(db: Database, pull: RecordedPullRequest, now: number): Promise<void> {
  const { sessionId, workspaceId, branch } = pull;
  await run(() =>
    db.orm
      .insert(pullRequests)
      .values({ ...pull, createdAt: now, updatedAt: now })
      .onConflictDoUpdate({
        target: [pullRequests.host, pullRequests.repositoryId, pullRequests.number],
        set: { sessionId, workspaceId, branch, updatedAt: now },
      }),
  );
}

/**
 * Which sessions have these pull requests, by number or by branch, with the number of each.
 * @param host of the GitHub, e.g. `github.com`; `branches` counts where no number is known
 * @throws NotMigratedError, DatabaseError
 */
export async function findPullRequests(
  db: Database,
  host: string,
  {
    repositoryId,
    numbers,
    branches,
  }: { repositoryId: number; numbers: readonly number[]; branches: readonly string[] },
): Promise<{ sessionId: string; number: number }[]> {
  const which = or(
    numbers.length > 0 ? inArray(pullRequests.number, [...numbers]) : undefined,
    branches.length > 0 ? inArray(pullRequests.branch, [...branches]) : undefined,
  );
  if (!which) return [];
  return run(() =>
    db.orm
      .select({ sessionId: pullRequests.sessionId, number: pullRequests.number })
      .from(pullRequests)
      .where(and(eq(pullRequests.host, host), eq(pullRequests.repositoryId, repositoryId), which)),
  );
}
