/** GitHub has news of the pull request, or may have some: it is asked, once for all that come close together. */
import type { EventOf } from '../model/events.ts';
import type { Step } from '../model/transition.ts';

/** Checks and pushes come in bursts: GitHub is asked so long after the first of them, in ms. */
export const BURST_MS = 5_000;

/** The pull request was opened or updated: from now on its news count. @param hears as `Following.hears` */
export function follow(step: Step, number: number, hears: boolean): void {
  const { following } = step.state;
  const known = following?.number === number ? following : { number, lookAt: null };
  step.set({ following: { ...known, hears, lookedAt: step.now, changedAt: step.now } });
}

/** News of another pull request, which belonged to the branch before, say nothing. */
export function pullRequestNews(step: Step, { number }: EventOf<'pull-request-news'>): void {
  const { proposal, following } = step.state;
  if (proposal?.pullRequest?.number !== number) return;
  // One that an earlier version opened is followed from its first news on.
  const known =
    following?.number === number
      ? following
      : { number, hears: true, lookAt: null, lookedAt: step.now, changedAt: step.now };
  step.set({ following: { ...known, hears: true, lookAt: known.lookAt ?? step.now + BURST_MS } });
}

/** It is time to ask GitHub. */
export function askAgain(step: Step): void {
  const { following } = step.state;
  if (!following) return;
  step.set({ following: { ...following, lookAt: null, lookedAt: step.now } });
  step.effect({ kind: 'look-at-pull-request', number: following.number });
}
