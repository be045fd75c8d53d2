/** Asks for room to work: for a slot in the workspace's queue, which is given back, and within Claude's limits. */
import { claudeAccount } from '../../gateway/claude/account.ts';
import { asError } from '../../lib/error.ts';
import { log } from '../../observability/log.ts';
import { canBeHeldUp, currentTurn } from '../lifecycle/model/phases.ts';
import type { Perform, Surroundings } from './effect-context.ts';

/**
 * Asks for a slot for the session's turn, or for its queue position.
 * @returns 0: it may run; otherwise its queue position. Where the queue does not answer it may run: the cap is there for
 * comfort, and nobody waits for a queue that is broken.
 */
export async function takeSlot({ env, state }: Pick<Surroundings, 'env' | 'state'>): Promise<number> {
  const turn = currentTurn(state);
  const owner = turn?.prompts.find(({ person }) => person)?.person?.id ?? state.id;
  try {
    return await env.WORKSPACE_QUEUE.getByName(state.workspaceId).take({
      session: state.id,
      owner,
      turn: turn?.number ?? state.turns,
      isUnderWay: !canBeHeldUp(state.phase),
      ...(state.issue?.identifier && { issue: state.issue.identifier }),
    });
  } catch (error) {
    log('queue.take.failed', { session: state.id, error: asError(error) });
    return 0;
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
  position: await takeSlot(surroundings),
});

/** It concerns this turn and those before, so that a late one takes nothing from the next. */
export const releaseSlot: Perform<'release-slot'> = async ({ turn }, { env, state }) => {
  await env.WORKSPACE_QUEUE.getByName(state.workspaceId).give(state.id, turn);
  return null;
};
