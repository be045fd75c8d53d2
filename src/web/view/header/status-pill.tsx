import type { SessionView } from '../../../protocol/viewer.ts';
import { clock } from '../../text/format.ts';
import { statusOf } from '../../text/status.ts';
import { Spinner } from '../icons.tsx';
import { useServerNow, useSession } from '../session-context.ts';

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

/** Time of the turn if one runs, else of the phase. It stands still while nothing is heard of the server: nobody knows whether it goes on. */
export function Elapsed({ session }: { session: SessionView }) {
  const isLive = useSession((state) => state.link.at === 'live');
  const now = useServerNow(isLive);
  const since = session.phase === 'working' ? (session.turnStartedAt ?? session.phaseSince) : session.phaseSince;
  return <span className="elapsed">{clock(now - since)}</span>;
}
