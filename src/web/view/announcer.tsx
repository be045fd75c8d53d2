import type { SessionView } from '../../protocol/viewer.ts';
import { statusOf } from '../text/status.ts';
import { useSession } from './session-context.ts';

/** Tells screen readers what changes: the status with its reason, and a lost connection. Never the ticking clock. */
export function Announcer({ session }: { session: SessionView }) {
  const lost = useSession(
    (state) => (state.link.at === 'waiting' || state.link.at === 'connecting') && state.link.failures > 1,
  );
  const { word, detail } = statusOf(session);
  return (
    <div className="visually-hidden" role="status" aria-live="polite">
      {detail === '' ? word : `${word}: ${detail}`}
      {lost && '. Connection lost, reconnecting.'}
    </div>
  );
}
