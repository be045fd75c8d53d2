/** A pull request in words. Pure. */
import type { PullCheck, PullRequestStatus, PullSummary } from '../../protocol/pull-request.ts';
import { plural } from './format.ts';

export const STATE_WORDS = { draft: 'Draft', open: 'Open', merged: 'Merged', closed: 'Closed' } as const;

const CHECK_WORDS: Record<PullSummary['checks'], string> = {
  passed: 'checks passed',
  failed: 'checks failed',
  running: 'checks run',
  none: '',
  unknown: '',
};
const REVIEW_WORDS: Record<PullSummary['review'], string> = {
  approved: 'approved',
  changes: 'changes asked for',
  none: '',
  unknown: '',
};

/** Whether it was merged or closed: checks and reviews no longer matter then. */
export function isOver(state: PullSummary['state']): boolean {
  return state === 'merged' || state === 'closed';
}

/** "open, checks passed, approved"; what is not known, or not there, is left out. One that is over has its state alone. */
export function summaryWords({ state, checks, review }: PullSummary): string {
  const rest = isOver(state) ? [] : [CHECK_WORDS[checks], REVIEW_WORDS[review]];
  return [STATE_WORDS[state].toLowerCase(), ...rest].filter((words) => words !== '').join(', ');
}

/** "1 failed, 2 running, 5 passed, 1 skipped"; with more than were read: "and 20 more". */
export function checkCounts(list: readonly PullCheck[], more: number): string {
  const states: readonly PullCheck['state'][] = ['failed', 'running', 'passed', 'skipped'];
  const counts = states.flatMap((state) => {
    const count = list.filter((check) => check.state === state).length;
    return count === 0 ? [] : [`${count} ${state}`];
  });
  if (more > 0) counts.push(`and ${more} more`);
  return counts.length === 0 ? 'None' : counts.join(', ');
}

/** What reviewers said, a sentence each; none if nobody did and nobody was asked. */
export function reviewLines({
  approvedBy,
  changesBy,
  waitsFor,
}: Pick<PullRequestStatus, 'approvedBy' | 'changesBy' | 'waitsFor'>): string[] {
  return [
    ...(changesBy.length > 0 ? [`${names(changesBy)} asked for changes`] : []),
    ...(approvedBy.length > 0 ? [`${names(approvedBy)} approved it`] : []),
    ...(waitsFor.length > 0 ? [`Waits for ${names(waitsFor)}`] : []),
  ];
}

/** Names beyond these are counted. */
const MOST_NAMES = 3;

function names(all: readonly string[]): string {
  const shown = all.slice(0, MOST_NAMES);
  const rest = all.length - shown.length;
  if (rest > 0) return `${shown.join(', ')} and ${plural(rest, 'other')}`;
  return shown.length < 2 ? shown.join('') : `${shown.slice(0, -1).join(', ')} and ${shown.at(-1)}`;
}
