/** How a session asks the workspace's queue for its place, and gives it back. */
import { asError } from '../../lib/error.ts';
import { log } from '../../observability/log.ts';
import { currentTurn } from '../lifecycle/model/state.ts';
import { isUnderWay } from '../lifecycle/start/queue-slot.ts';
import type { Surroundings } from './effect-context.ts';

/**
 * Asks for a place for the session's turn, or where it stands.
 * @returns 0: it may run; otherwise its queue position. Where the queue does not answer it may run: the cap is there for
 * comfort, and nobody waits for a queue that is broken.
 */
export async function takePlace({ env, state }: Pick<Surroundings, 'env' | 'state'>): Promise<number> {
  const turn = currentTurn(state);
  const owner = turn?.prompts.find(({ person }) => person)?.person?.id ?? state.id;
  try {
    return await env.WORKSPACE_QUEUE.getByName(state.workspaceId).take({
      session: state.id,
      owner,
      turn: turn?.number ?? state.turns,
      isUnderWay: isUnderWay(state),
    });
  } catch (error) {
    log('queue.take.failed', { session: state.id, error: asError(error) });
    return 0;
  }
}
