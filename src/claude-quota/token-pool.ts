/** Which of several Claude tokens a session uses (pure). */
import { leftOf, roomAt, type Windows } from './windows.ts';

/** What is known of a token. */
export interface TokenState {
  name: string;
  windows: Windows | null;
  /** Claude's API does not take it any more. */
  isOut: boolean;
  /** Sessions that use it. */
  sessions: number;
}

/** `token` by name; or none has room, and the one named gets some at `until`, in ms since the epoch; or the API takes none of them. */
export type Choice = { kind: 'token'; name: string } | { kind: 'full'; name: string; until: number } | { kind: 'out' };

/**
 * Chooses a token. A session stays with the one it has while that has room: what the API has cached of the conversation
 * belongs to its account. Otherwise the one with most room, and of equals the one with the fewest sessions.
 * @param tokens in the order in which they are configured
 * @param present the session's token so far
 */
export function chooseToken(tokens: readonly TokenState[], present: string | null, now: number): Choice {
  const good = tokens.filter(({ isOut }) => !isOut);
  if (good.length === 0) return { kind: 'out' };
  const free = good.filter(({ windows }) => roomAt(windows, now) <= now);
  const own = free.find(({ name }) => name === present);
  if (own) return { kind: 'token', name: own.name };
  const [best] = free.toSorted((a, b) => leftOf(b.windows, now) - leftOf(a.windows, now) || a.sessions - b.sessions);
  if (best) return { kind: 'token', name: best.name };
  const [soonest = { name: '', until: now }] = good
    .map(({ name, windows }) => ({ name, until: roomAt(windows, now) }))
    .toSorted((a, b) => a.until - b.until);
  return { kind: 'full', ...soonest };
}
