/** Asks for room to work: for a slot in the workspace's queue, which is given back, and within Claude's limits. */
import { claudeAccount } from '../../gateway/claude/account.ts';
import { asError } from '../../lib/error.ts';
import { log } from '../../observability/log.ts';
import type { SlotAnswer } from '../../protocol/settings/start-limits.ts';
import { canBeHeldUp, currentTurn } from '../lifecycle/model/phases.ts';
import type { Perform, Surroundings } from './effect-context.ts';

/**
 * Asks for a slot for the session's turn, or for its queue position.
 * @returns position 0: it may run; otherwise its queue position, and the limit that it waits for. Where the queue does not answer it
 * may run: the limits are there for comfort, and nobody waits for a queue that is broken.
 */
export async function takeSlot({ env, state }: Pick<Surroundings, 'env' | 'state'>): Promise<SlotAnswer> {
  const turn = currentTurn(state);
  const owner = turn?.prompts.find(({ person }) => person)?.person?.id ?? state.id;
  const queue = env.WORKSPACE_QUEUE.getByName(state.workspaceId);
  const asking = {
    session: state.id,
    owner,
    turn: turn?.number ?? state.turns,
    isUnderWay: !canBeHeldUp(state.phase),
    isNew: state.arrangement === null,
    ...(state.issue?.identifier && { issue: state.issue.identifier }),
  };
  try {
    return await queue.ask(asking);
  } catch {
    // A queue of the version before knows the other call alone.
  }
  try {
    return { position: await queue.take(asking), limit: null };
  } catch (error) {
    log('queue.take.failed', { session: state.id, error: asError(error) });
    return { position: 0, limit: null };
  }
}

/** Reads only. */
export const findRoom: Perform<'find-room'> = async (_effect, { env, state }) => ({
  kind: 'room',
  at: await claudeAccount(env).room(state.id),
});

/** The queue knows a session by its id; a repeat tells its queue position. */
export const requestSlot: Perform<'request-slot'> = async (_effect, surroundings) => ({
  kind: 'queued',
  ...(await takeSlot(surroundings)),
});

/** It concerns this turn and those before, so that a late one takes nothing from the next. */
export const releaseSlot: Perform<'release-slot'> = async ({ turn }, { env, state }) => {
  await env.WORKSPACE_QUEUE.getByName(state.workspaceId).give(state.id, turn);
  return null;
};
