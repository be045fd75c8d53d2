import type { SessionRow } from '../../protocol/viewer.ts';

export type SessionGroup = { title: string; rows: SessionRow[] };

/** Sessions by what they need of people, the latest change first; groups without a session are left out. Pure. */
export function groupsOf(rows: readonly SessionRow[]): SessionGroup[] {
  const sorted = rows.toSorted((a, b) => b.updatedAt - a.updatedAt);
  const groups = [
    { title: 'Needs you', rows: sorted.filter((row) => row.phase === 'waiting' && row.lastOutcome === 'failed') },
    { title: 'At work', rows: sorted.filter((row) => row.phase !== 'waiting') },
    {
      title: 'Waiting for a next word',
      rows: sorted.filter((row) => row.phase === 'waiting' && row.lastOutcome !== 'failed'),
    },
  ];
  return groups.filter((group) => group.rows.length > 0);
}
