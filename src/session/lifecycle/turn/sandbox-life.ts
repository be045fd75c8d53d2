/** The sandbox of a session's present life: asked for, looked for, given up. */
import { PURGE_LANE } from '../model/effects.ts';
import { nextLife } from '../model/state.ts';
import type { Step } from '../model/transition.ts';

/**
 * Asks for the sandbox of the current life: finds the one that runs, or brings up what is missing. The first call of a
 * session begins its first life.
 */
export function startSandbox(step: Step): void {
  const { sandbox } = step.state;
  const generation = Math.max(1, sandbox.generation);
  step.cancelLane(PURGE_LANE);
  step.set({ sandbox: { ...sandbox, generation, heardAt: step.now } });
  step.effect({ kind: 'start-sandbox', generation });
}

/** The sandbox was silent for too long: it is looked for, and should be at work, for its prompts went before. */
export function lookForSandbox(step: Step): void {
  const { sandbox } = step.state;
  step.set({ sandbox: { ...sandbox, heardAt: step.now } });
  step.effect({ kind: 'start-sandbox', generation: Math.max(1, sandbox.generation), look: true });
}

/**
 * Nothing of the session is needed on its sandbox server any more: the next turn, if there is one, continues from the checkpoint. Without
 * one the conversation is deleted with the files, so the next turn begins another on the pushed branch.
 */
export function purgeSandbox(step: Step): void {
  const { sandbox, checkpoint } = step.state;
  step.set({
    sandbox: nextLife(sandbox, sandbox.generation + 1, step.now),
    ...(checkpoint == null && { conversationId: step.context.newId() }),
  });
  step.effect({ kind: 'purge-sandbox', generation: sandbox.generation });
}
