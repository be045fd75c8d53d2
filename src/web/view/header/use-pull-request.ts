import { useEffect, useState } from 'react';
import type { PullRequestStatus } from '../../../protocol/pull-request.ts';
import { fetchPullRequest } from '../../api.ts';

/** How often it is asked for again while somebody looks, in ms. The server asks GitHub no more often. */
const REFRESH_MS = 60_000;

export interface PullRequest {
  /** Null: not known yet, or not any more. */
  status: PullRequestStatus | null;
  /** Why it is not known as it is now, as a message. */
  problem: string | null;
}

/** What GitHub says of the session's pull request while the page is visible. @param number of the pull request; undefined: there is none */
export function usePullRequest(id: string, number: number | undefined): PullRequest {
  const [known, setKnown] = useState<PullRequest>({ status: null, problem: null });
  useEffect(() => {
    if (number === undefined) return;
    const gone = new AbortController();
    let isReading = false;
    const read = async () => {
      if (isReading || document.hidden) return;
      isReading = true;
      const answer = await fetchPullRequest(id, gone.signal).catch(() => null);
      isReading = false;
      // A request that was aborted rejects.
      if (answer === null || gone.signal.aborted) return;
      setKnown((before) =>
        answer.ok ? { status: answer.value, problem: null } : { status: before.status, problem: answer.message },
      );
    };
    void read();
    const timer = setInterval(() => void read(), REFRESH_MS);
    document.addEventListener('visibilitychange', read, { signal: gone.signal });
    return () => {
      clearInterval(timer);
      gone.abort();
    };
  }, [id, number]);
  return known.status !== null && known.status.number !== number ? { status: null, problem: null } : known;
}
