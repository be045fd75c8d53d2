/** GitHub has news of the pull request, or may have some: it is asked, once for all that come close together. */
import type { EventOf } from '../model/events.ts';
import type { Step } from '../model/transition.ts';
import { type Following, noReviews } from './following.ts';

/** Checks and pushes come in bursts: GitHub is asked so long after the first of them, in ms. */
export const BURST_MS = 5_000;
/** People write a review in several goes: it is read so long after the first word of it, in ms. */
export const GATHER_MS = 60_000;
/** What people wrote before a pull request was followed is theirs, but for so long, in ms: it may be the news. */
const BEFORE_MS = 10 * 60_000;

/** The pull request was opened or updated: from now on its news count. @param hears as `Following.hears` */
export function follow(step: Step, number: number, hears: boolean, isNew: boolean): void {
  const { following } = step.state;
  const before = following?.reviews;
  const isSame = following?.number === number;
  const since = isNew ? 0 : step.now - BEFORE_MS;
  // What people wrote on the one before is still answered; numbers of threads go on.
  const { open, lastNumber } = before ?? noReviews(0);
  const reviews = isSame && before ? before : { ...noReviews(since), open, lastNumber };
  const known = isSame ? following : { number, lookAt: null };
  step.set({ following: { ...known, hears, lookedAt: step.now, changedAt: step.now, reviews } });
}

/** News of another pull request, which belonged to the branch before, say nothing. */
export function pullRequestNews(
  step: Step,
  { number, topic, gatherMs = GATHER_MS }: EventOf<'pull-request-news'>,
): void {
  const { proposal, following } = step.state;
  if (proposal?.pullRequest?.number !== number) return;
  // One that an earlier version opened is followed from its first news on.
  const known: Following =
    following?.number === number
      ? following
      : { number, hears: true, lookAt: null, lookedAt: step.now, changedAt: step.now };
  const heard = { ...known, hears: true };
  if (topic === 'reviews') {
    const reviews = known.reviews ?? noReviews(step.now - BEFORE_MS);
    const dueAt = reviews.dueAt ?? step.now + gatherMs;
    step.set({ following: { ...heard, reviews: { ...reviews, dueAt } } });
    return;
  }
  step.set({ following: { ...heard, lookAt: known.lookAt ?? step.now + BURST_MS } });
}

/** It is time to ask GitHub. Where it tells nothing by itself, each time for everything. */
export function askAgain(step: Step): void {
  const { following } = step.state;
  if (!following) return;
  const { number, hears, reviews } = following;
  const isDue = reviews !== undefined && (!hears || (reviews.dueAt !== null && reviews.dueAt <= step.now));
  step.set({
    following: {
      ...following,
      lookAt: null,
      lookedAt: step.now,
      ...(isDue && { reviews: { ...reviews, dueAt: null } }),
    },
  });
  step.effect({ kind: 'look-at-pull-request', number, ...(isDue && { reviews: true }) });
}

/** What people wrote could not be read for long: it is tried again in an hour. */
export function readLater(step: Step, number: number): void {
  const { following } = step.state;
  if (following?.number !== number || !following.reviews) return;
  const dueAt = following.reviews.dueAt ?? step.now + LATER_MS;
  step.set({ following: { ...following, reviews: { ...following.reviews, dueAt } } });
}

const LATER_MS = 3_600_000;
