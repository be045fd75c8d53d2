import type { Situation } from '../../live/outgoing.ts';
import { useSession } from '../session-context.ts';

/** What decides whether a message may be sent now. */
export function useSituation(): Situation {
  const session = useSession((state) => state.session);
  const isLive = useSession((state) => state.link.at === 'live');
  return { session, isLive };
}
