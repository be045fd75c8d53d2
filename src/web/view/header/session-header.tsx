import type { SessionView } from '../../../protocol/viewer.ts';
import { followLink } from '../../route.ts';
import { FindBar } from '../find/find-bar.tsx';
import { Icon } from '../icons.tsx';
import { OutLink } from '../markdown.tsx';
import { useStore } from '../session-context.ts';
import { LinkStatus } from './link-status.tsx';
import { PullBadge } from './pull-badge.tsx';
import { StatusPill } from './status-pill.tsx';

/** The bar at the top: where one is, and what continues. */
export function SessionHeader({ session }: { session: SessionView }) {
  const { issue, pullRequest } = session;
  const { isShared } = useStore();
  return (
    <header className="bar">
      <div className="bar-inner">
        {!isShared && (
          <a className="bar-back" href="/" onClick={followLink} aria-label="All sessions" title="All sessions">
            <Icon name="back" />
          </a>
        )}
        <h1 className="bar-title">
          {issue !== null && (
            <span className="bar-issue">
              <OutLink href={issue.url}>
                {issue.identifier}
                <Icon name="out" />
                <span className="visually-hidden"> in Linear</span>
              </OutLink>
            </span>
          )}
          <span className="bar-words" dir="auto" title={issue?.title}>
            {issue?.title ?? 'Session without an issue'}
          </span>
          {pullRequest != null && (
            <span className="bar-issue">
              <OutLink href={pullRequest.url}>
                <span className="visually-hidden">Pull request </span>#{pullRequest.number}
                <Icon name="out" />
              </OutLink>
              {pullRequest.seen && <PullBadge seen={pullRequest.seen} />}
            </span>
          )}
        </h1>
        {!isShared && <FindBar />}
        <LinkStatus />
        <StatusPill session={session} />
      </div>
    </header>
  );
}
