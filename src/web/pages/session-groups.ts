import type { SessionRow } from '../../protocol/viewer.ts';

export type SessionGroup = { title: string; rows: SessionRow[] };

/** Sessions by what they need of people, the latest change first; groups without a session are left out. Pure. */
export function groupsOf(rows: readonly SessionRow[]): SessionGroup[] {
  const sorted = rows.toSorted((a, b) => b.updatedAt - a.updatedAt);
  const groups = [
    { title: 'Needs you', rows: sorted.filter(needsPeople) },
    { title: 'At work', rows: sorted.filter((row) => row.phase !== 'waiting' && !needsPeople(row)) },
    {
      title: 'Idle',
      rows: sorted.filter((row) => row.phase === 'waiting' && row.lastOutcome !== 'failed'),
    },
  ];
  return groups.filter((group) => group.rows.length > 0);
}

/** A question waits for an answer, or a turn has failed. */
function needsPeople(row: SessionRow): boolean {
  return row.phase === 'asking' || (row.phase === 'waiting' && row.lastOutcome === 'failed');
}
