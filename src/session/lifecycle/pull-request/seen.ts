/** What GitHub says of the pull request, kept for the pages, the list and the thread. */
import type { PullSummary } from '../../../protocol/pull-request.ts';
import type { Step } from '../model/transition.ts';

/** What became of the pull request of this number; about another one it says nothing. */
export function pullRequestSeen(step: Step, number: number, seen: PullSummary): void {
  const { proposal, following } = step.state;
  if (proposal?.pullRequest?.number !== number) return;
  const before = proposal.pullRequest.seen;
  const isOpen = seen.state === 'open' || seen.state === 'draft';
  const draft = isOpen ? seen.state === 'draft' : proposal.pullRequest.draft;
  step.set({ proposal: { ...proposal, pullRequest: { ...proposal.pullRequest, draft, seen } } });
  const isSame = before?.state === seen.state && before.checks === seen.checks && before.review === seen.review;
  if (following?.number === number && !isSame) step.set({ following: { ...following, changedAt: step.now } });
  const isNewlyOver = !isOpen && before?.state !== seen.state && proposal.pullRequest.isOver !== true;
  if (isNewlyOver) step.record({ kind: 'notice', level: 'info', text: `Pull request #${number} was ${seen.state}.` });
}
