/** Stops what runs in a workspace, because the ground for it is gone. */
import type { Withdrawal } from '../../session/lifecycle/issue-news.ts';
import type { Database } from '../../store/database.ts';
import { listRunningSessions } from '../../store/session-index.ts';

/**
 * @param why with `teamIds` for `no-access`: only the sessions of these teams are stopped; `at`: when it happened, in ms since the epoch
 * @param delivery what the sessions know it by: told again with the same keys, it changes nothing
 * @returns how many sessions were told
 * @throws NotMigratedError, DatabaseError
 */
export async function withdrawSessions(
  env: Env,
  database: Database,
  workspaceId: string,
  { why, teamIds, at }: { why: Withdrawal; teamIds: string[]; at?: number },
  delivery: { deliveryId: string; contentKey: string; origin: string },
): Promise<number> {
  const running = await listRunningSessions(database, workspaceId);
  await Promise.all(
    running.map((id) =>
      env.ISSUE_SESSION.get(env.ISSUE_SESSION.idFromString(id)).accept({
        ...delivery,
        about: null,
        event: {
          type: 'withdrawn',
          id: crypto.randomUUID(),
          why,
          author: null,
          teamIds,
          ...(at !== undefined && { at }),
        },
      }),
    ),
  );
  return running.length;
}
