/** The part of the list of sessions that somebody sees. */
import { AskedLately } from '../../lib/asked-lately.ts';
import { asError } from '../../lib/error.ts';
import { log } from '../../observability/log.ts';
import type { Person } from '../../people/person.ts';
import { mayDo } from '../../people/rights.ts';
import type { SessionRow } from '../../protocol/viewer.ts';
import { teamColumnOf } from '../../session/lifecycle/session-row.ts';
import type { Database } from '../../store/database.ts';
import { type ListedSession, listSessions, noteTeam, type SessionCursor } from '../../store/session-index.ts';

/**
 * Sessions that a person sees, last changed first.
 * @returns at most `limit` rows, and the last row that was looked at if more may follow
 * @throws NotMigratedError, DatabaseError
 */
export async function seenSessions(
  env: Env,
  database: Database,
  person: Person,
  query: { limit: number; before?: SessionCursor },
): Promise<{ rows: SessionRow[]; last: SessionCursor | undefined }> {
  const seen = person.memberships.map((one) => ({
    workspaceId: one.workspaceId,
    teamIds: one.teamIds,
    withoutIssue: one.role === 'admin',
  }));
  const listed = await listSessions(database, person.isOwner ? query : { ...query, seen });
  const last = listed.length === query.limit ? listed.at(-1) : undefined;
  if (person.isOwner) return { rows: listed.map(shown), last };
  const known = await Promise.all(
    listed.map(async (row) => (row.teamId === null ? { ...row, teamId: await askTeam(env, database, row) } : row)),
  );
  // Judged again, in the one place that decides.
  const rows = known.filter(({ workspaceId, teamId }) => {
    const team = teamId === null ? ('unknown' as const) : teamId === '' ? ('none' as const) : { id: teamId };
    return mayDo(person, 'session.read', { kind: 'session', workspaceId, team });
  });
  return { rows: rows.map(shown), last };
}

/** Where a list goes on after a row, as a text for addresses; `cursorOf` reads it. */
export function cursorText({ updatedAt, id }: SessionCursor): string {
  return `${updatedAt}-${id}`;
}

/** @param cursor digits, a dash, and an id */
export function cursorOf(cursor: string): SessionCursor {
  const at = cursor.indexOf('-');
  return { updatedAt: Number(cursor.slice(0, at)), id: cursor.slice(at + 1) };
}

/** Sessions that did not know their team: the list is read every few seconds. */
const withoutAnswer = new AskedLately(10 * 60_000);

/** Rows of earlier versions do not say the team: the session does, and its row from then on. Never rejects. */
async function askTeam(env: Env, database: Database, { id }: ListedSession): Promise<string | null> {
  if (!withoutAnswer.isDue(id, Date.now())) return null;
  try {
    const whose = await env.ISSUE_SESSION.get(env.ISSUE_SESSION.idFromString(id)).whose();
    const teamId = whose && teamColumnOf(whose);
    if (teamId === null) withoutAnswer.note(id, Date.now());
    else await noteTeam(database, id, teamId);
    return teamId;
  } catch (error) {
    log('session.team.unknown', { session: id, error: asError(error) });
    return null;
  }
}

function shown({ workspaceId: _, teamId: _team, ...row }: ListedSession): SessionRow {
  return row;
}
