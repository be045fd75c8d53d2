/** When GitHub is asked what became of a session's pull request (pure). Times in ms since the epoch. */
import type { PullSummary } from '../../../protocol/pull-request.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** What is remembered of the pull request between two questions to GitHub. */
export interface Following {
  number: number;
  /** GitHub tells by itself what happens. Otherwise it is asked, the more rarely the longer nothing happened. */
  hears: boolean;
  /** When it is asked because there is news; null: there is none. */
  lookAt: number | null;
  /** When it was asked last, or the pull request was opened or updated. */
  lookedAt: number;
  /** When something last changed there, as far as is known. */
  changedAt: number;
}

/** How often GitHub is asked where it tells nothing by itself: `within` so long after the last change, `every` so long. */
const POLLS = [
  { within: HOUR_MS, every: 2 * MINUTE_MS },
  { within: DAY_MS, every: 10 * MINUTE_MS },
  { within: 14 * DAY_MS, every: HOUR_MS },
];

/** The parts of a session's state that say when GitHub is asked. */
interface Followed {
  following?: Following;
  proposal?: { pullRequest: { number: number; isOver?: boolean; seen?: PullSummary } | null };
}

/** When GitHub is asked next; null: there is no reason to. */
export function nextLook({ following, proposal }: Followed): number | null {
  const pull = proposal?.pullRequest;
  if (!following || pull?.number !== following.number) return null;
  const { lookAt, hears, lookedAt, changedAt } = following;
  const isOver = pull.isOver || pull.seen?.state === 'merged' || pull.seen?.state === 'closed';
  if (hears || isOver) return lookAt;
  const poll = POLLS.find(({ within }) => lookedAt - changedAt < within);
  const times = [lookAt, poll ? lookedAt + poll.every : null].filter((at) => at !== null);
  return times.length === 0 ? null : Math.min(...times);
}
