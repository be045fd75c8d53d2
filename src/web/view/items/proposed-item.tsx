import { memo } from 'react';
import type { Entry } from '../../outline/model.ts';
import { Icon } from '../icons.tsx';
import { OutLink } from '../markdown.tsx';

type Proposed = Entry<'pull-request' | 'branch-link'>;

/** What became of the pull request, or where the branch is shown. */
export const ProposedItem = memo(function ProposedItem({ entry }: { entry: Proposed }) {
  const isFailed = entry.kind === 'pull-request' && entry.state === 'failed';
  return (
    <p className={`row row-plain proposed ${isFailed ? 'level-error' : 'level-info'}`}>
      <span className="row-icon">
        <Icon name={isFailed ? 'cross' : 'branch'} />
      </span>
      <span className="row-words">{proposedText(entry)}</span>
    </p>
  );
});

function proposedText(entry: Proposed) {
  if (entry.kind === 'branch-link') return <OutLink href={entry.url}>{entry.branch}</OutLink>;
  switch (entry.state) {
    case 'opened':
    case 'updated':
      return (
        <>
          <OutLink href={entry.url}>Pull request #{entry.number}</OutLink> {entry.state}
          {entry.draft && ' as a draft'}
        </>
      );
    case 'pending':
      return entry.number === null
        ? 'The pull request is not open yet; Cyrus keeps trying'
        : `Pull request #${entry.number} is not up to date yet; Cyrus keeps trying`;
    case 'failed':
      return entry.number === null
        ? `No pull request was opened: ${entry.problem ?? 'the reason is not known'}`
        : `Pull request #${entry.number} is open, and could not be updated: ${entry.problem ?? 'the reason is not known'}`;
  }
}
