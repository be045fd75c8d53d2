import type { SessionView } from '../../../protocol/viewer.ts';
import { clock } from '../../text/format.ts';
import { statusOf } from '../../text/status.ts';
import { Spinner } from '../icons.tsx';
import { useServerNow } from '../session-context.ts';

/** "Working 1:23": what the session does and since when. */
export function StatusPill({ session }: { session: SessionView }) {
  const { word, tone, ticking, detail } = statusOf(session);
  return (
    <span className={`pill tone-${tone}`} title={detail}>
      {tone === 'busy' ? <Spinner /> : <span className="pill-dot" aria-hidden="true" />}
      {word}
      {ticking && <Elapsed session={session} />}
    </span>
  );
}

/** Time of the turn where one runs, else of the phase. */
export function Elapsed({ session }: { session: SessionView }) {
  const now = useServerNow(true);
  const since = session.phase === 'working' ? (session.turnStartedAt ?? session.phaseSince) : session.phaseSince;
  return <span className="elapsed">{clock(now - since)}</span>;
}
