/** Effects of one thread as one request to Linear. */
import type { LinearClient, ThreadPost } from '../../linear/api/client.ts';
import { isAwaited, type ThreadEffect } from '../lifecycle/model/effects.ts';

/**
 * Posts activities and changes of one thread, in their order.
 * @param effects all of the same agent session
 * @throws LinearError; nothing is known then of which of several were carried out
 */
export async function postToThread(effects: ThreadEffect[], linear: LinearClient): Promise<void> {
  const [first] = effects;
  if (first) await linear.post(first.agentSessionId, threadPost(effects));
}

/** What the effects amount to; of several plans and titles the last counts. */
export function threadPost(effects: ThreadEffect[]): ThreadPost {
  const changes = effects.flatMap((effect) => (effect.kind === 'show' ? [effect.change] : []));
  const urls = changes.flatMap((change) => change.urls ?? []);
  const plan = changes.findLast((change) => change.plan)?.plan;
  const title = changes.findLast((change) => change.title)?.title;
  return {
    activities: effects.flatMap((effect) =>
      effect.kind === 'say' ? [{ id: effect.id, activity: effect.activity, isAwaited: isAwaited(effect) }] : [],
    ),
    ...(urls.length > 0 && { urls }),
    ...(plan && { plan }),
    ...(title !== undefined && { title }),
  };
}
