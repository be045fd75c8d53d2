/** When GitHub is asked what became of a session's pull request (pure). Times in ms since the epoch. */
import type { PullSummary } from '../../../protocol/pull-request.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Where a thread is answered: on a line, by its first comment, or in the conversation below the pull request. */
export type AnswerPlace = { kind: 'thread'; comment: number } | { kind: 'conversation'; author: string; quote: string };

/** A review that Claude was asked to work on, and that is not answered yet. */
export interface ReviewRequest {
  promptId: string;
  /** Number of the pull request; left out by the first version: the one that is followed. */
  pullRequest?: number;
  /** By the numbers under which Claude knows them. */
  places: { number: number; place: AnswerPlace }[];
  /** Logins of the people who are asked to look again. */
  reviewers: string[];
}

/** What is remembered of what people write on the pull request. */
export interface Reviews {
  /** When it is read; null: there is no news. */
  dueAt: number | null;
  /** By GitHub's clock: what was written before was looked at. */
  since: number;
  /** What was written later and was looked at too; GitHub's lists may be late. */
  seen: { id: string; at: number }[];
  /** The threads that Cyrus takes part in, by their numbers. */
  threads: { number: number; comment: number }[];
  /** The last number that was given to a thread. */
  lastNumber: number;
  /** How many requests in a row came from bots alone; left out: none. */
  botRounds?: number;
  open: ReviewRequest[];
}

/** Whether a request came from a review. What stands in one is no wish about the repository, the model or the effort. */
export function isReview(following: Following | undefined, promptId: string): boolean {
  return following?.reviews?.open.some((one) => one.promptId === promptId) === true;
}

/** @param since as `Reviews.since` */
export function noReviews(since: number): Reviews {
  return { dueAt: null, since, seen: [], threads: [], lastNumber: 0, open: [] };
}

/** What is remembered of the pull request's checks. */
export interface KnownChecks {
  /** The commit that the next four are about; empty: none yet. */
  head: string;
  /** How often what failed there was given to Claude. */
  rounds: number;
  /** Names of checks that failed there. */
  failed: string[];
  /** Ids of the failures there that were told or given to Claude. */
  taken: string[];
  /** How often Claude was given failures in all. */
  total: number;
  /** What each of these times was about, oldest first. */
  tried: string[];
  /** Names of checks that failed and passed on one commit. */
  flaky: string[];
}

export const noChecks: KnownChecks = { head: '', rounds: 0, failed: [], taken: [], total: 0, tried: [], flaky: [] };

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
  /** Left out by the first version. */
  reviews?: Reviews;
  /** Left out before a check failed. */
  checks?: KnownChecks;
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
  const { hears, lookedAt, changedAt, reviews } = following;
  const due = [following.lookAt, reviews?.dueAt ?? null].filter((at) => at !== null);
  const lookAt = due.length === 0 ? null : Math.min(...due);
  const isOver = pull.isOver || pull.seen?.state === 'merged' || pull.seen?.state === 'closed';
  if (hears || isOver) return lookAt;
  const poll = POLLS.find(({ within }) => lookedAt - changedAt < within);
  const times = [lookAt, poll ? lookedAt + poll.every : null].filter((at) => at !== null);
  return times.length === 0 ? null : Math.min(...times);
}

/** The same after the clock was set. What GitHub gave a time stays. @param by ms, forward or back */
export function movedFollowing(following: Following, by: number): Following {
  const { lookAt, lookedAt, changedAt, reviews } = following;
  const moved = (at: number | null) => (at === null ? null : at + by);
  return {
    ...following,
    lookAt: moved(lookAt),
    lookedAt: lookedAt + by,
    changedAt: changedAt + by,
    ...(reviews && { reviews: { ...reviews, dueAt: moved(reviews.dueAt) } }),
  };
}
