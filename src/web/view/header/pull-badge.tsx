import type { PullCheck, PullSummary } from '../../../protocol/pull-request.ts';
import { isOver, STATE_WORDS, summaryWords } from '../../text/pull-words.ts';
import { Icon, type IconName, Spinner } from '../icons.tsx';

/** The state of a pull request with a mark for its checks, e.g. "Open ✓". */
export function PullBadge({ seen }: { seen: PullSummary }) {
  const { state, checks } = seen;
  return (
    <span className={`pull-badge pull-${state}`} title={summaryWords(seen)}>
      {STATE_WORDS[state]}
      {!isOver(state) && checks !== 'none' && checks !== 'unknown' && <CheckMark state={checks} />}
    </span>
  );
}

const MARKS: Record<Exclude<PullCheck['state'], 'running'>, IconName> = {
  passed: 'check',
  failed: 'cross',
  skipped: 'dot',
};

/** How a check came out, or that it runs. */
export function CheckMark({ state }: { state: PullCheck['state'] }) {
  return (
    <span className={`check-mark check-${state}`}>
      {state === 'running' ? <Spinner /> : <Icon name={MARKS[state]} />}
      <span className="visually-hidden">{state}</span>
    </span>
  );
}
