import type { SessionList } from '../../protocol/api.ts';
import type { SessionRow } from '../../protocol/viewer.ts';

/** What is known of the list. `next`: where it continues; left out at its end. */
export interface Listed {
  rows: readonly SessionRow[];
  next: string | undefined;
}

type Page = Pick<SessionList, 'sessions' | 'next'>;

/**
 * The list after its newest page was read again: what was on it and has been pushed off stays known. Where more has changed than
 * one page holds, there may be sessions between it and what was known, so the list begins again with that page. Pure.
 */
export function withNewest(known: Listed | null, page: Page): Listed {
  const oldest = page.sessions.at(-1);
  const newestKnown = Math.max(...(known?.rows ?? []).map((row) => row.updatedAt));
  const mayMiss = page.next !== undefined && oldest !== undefined && oldest.updatedAt > newestKnown;
  if (!known || mayMiss) return { rows: page.sessions, next: page.next };
  return { rows: merged(known.rows, page.sessions), next: known.next };
}

/** The list with the page that follows it. */
export function withOlder(known: Listed, page: Page): Listed {
  return { rows: merged(known.rows, page.sessions), next: page.next };
}

/** Each session once, as it was when it changed last. */
function merged(known: readonly SessionRow[], read: readonly SessionRow[]): SessionRow[] {
  const rows = new Map(known.map((row) => [row.id, row]));
  for (const row of read) {
    if (row.updatedAt >= (rows.get(row.id)?.updatedAt ?? 0)) rows.set(row.id, row);
  }
  return [...rows.values()];
}

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
