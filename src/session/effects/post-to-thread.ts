/** Posts to a thread in Linear what one request can carry. */
import type { LinearClient, ThreadPost } from '../../linear/api/client.ts';
import { isAwaited, type ThreadEffect } from '../lifecycle/model/effects.ts';
import { linearOf, type Surroundings } from './effect-context.ts';
import { withAssets } from './shared-files.ts';

/**
 * Posts activities and changes of one thread, in their order. Activities carry ids that were chosen before the first
 * attempt, so that Linear refuses a repeat, which counts as success; what else a thread shows is set, not added.
 * @param effects all of the same agent session
 * @throws LinearError; nothing is known then of which of several were carried out
 */
export async function postTogether(effects: readonly ThreadEffect[], surroundings: Surroundings): Promise<null> {
  const told: ThreadEffect[] = [];
  for (const effect of effects) {
    const isSay = effect.kind === 'say';
    told.push(isSay ? { ...effect, activity: await withAssets(effect.activity, surroundings) } : effect);
  }
  await postToThread(told, linearOf(surroundings));
  return null;
}

async function postToThread(effects: ThreadEffect[], linear: LinearClient): Promise<void> {
  const [first] = effects;
  if (first) await linear.post(first.agentSessionId, threadPost(effects));
}

/** What the effects amount to; of several plans and titles the last counts. */
function threadPost(effects: ThreadEffect[]): ThreadPost {
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
