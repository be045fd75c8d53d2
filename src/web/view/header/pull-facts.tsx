import type { PullRequestStatus } from '../../../protocol/pull-request.ts';
import type { SessionView } from '../../../protocol/viewer.ts';
import { webAddress } from '../../text/markdown-guard.ts';
import { checkCounts, isOver, reviewLines } from '../../text/pull-words.ts';
import { Fold } from '../fold.tsx';
import { OutLink } from '../markdown.tsx';
import { Time } from '../time.tsx';
import { CheckMark, PullBadge } from './pull-badge.tsx';
import { usePullRequest } from './use-pull-request.ts';

/** The pull request of the session: its state, the checks on it and the reviews, as GitHub tells them. */
export function PullFacts({ session }: { session: SessionView }) {
  const { pullRequest } = session;
  const { status, problem } = usePullRequest(session.id, pullRequest?.number);
  if (pullRequest == null) return null;
  const seen = status ?? pullRequest.seen;
  return (
    <section aria-labelledby="pull-request" className="pull">
      <h2 id="pull-request">Pull request {seen && <PullBadge seen={seen} />}</h2>
      <OutLink href={pullRequest.url} className="button pull-link">
        {seen && !isOver(seen.state) ? 'Review' : 'Open'} #{pullRequest.number} on GitHub
      </OutLink>
      {status !== null && <Details status={status} />}
      {problem !== null && (
        <p className="problem" dir="auto">
          {problem}
        </p>
      )}
    </section>
  );
}

function Details({ status }: { status: PullRequestStatus }) {
  const { checkList, moreChecks, checksProblem, reviewsProblem, at } = status;
  const reviews = reviewLines(status);
  return (
    <>
      {checkList.length > 0 ? (
        <Fold
          className="facts-fold"
          line={
            <>
              Checks <span className="fold-rest">{checkCounts(checkList, moreChecks)}</span>
            </>
          }
        >
          {() => <CheckList status={status} />}
        </Fold>
      ) : (
        checksProblem === undefined && <p className="soft">No checks</p>
      )}
      {checksProblem !== undefined && (
        <p className="soft" dir="auto">
          {checksProblem}
        </p>
      )}
      {reviewsProblem === undefined && reviews.length === 0 && <p className="soft">No reviews</p>}
      {reviews.map((line) => (
        <p key={line} dir="auto">
          {line}
        </p>
      ))}
      {reviewsProblem !== undefined && (
        <p className="soft" dir="auto">
          {reviewsProblem}
        </p>
      )}
      <p className="faint">
        As of <Time at={at} />
      </p>
    </>
  );
}

function CheckList({ status: { checkList, moreChecks } }: { status: PullRequestStatus }) {
  return (
    <ul className="pull-checks" aria-label="Checks">
      {checkList.map(({ name, state, url }, index) => {
        const address = webAddress(url);
        return (
          // biome-ignore lint/suspicious/noArrayIndexKey: several checks may have one name, and the list is replaced whole
          <li key={index}>
            <CheckMark state={state} />
            <span className="breakable" dir="auto">
              {address === undefined ? name : <OutLink href={address}>{name}</OutLink>}
            </span>
          </li>
        );
      })}
      {moreChecks > 0 && <li className="faint">and {moreChecks} more</li>}
    </ul>
  );
}
