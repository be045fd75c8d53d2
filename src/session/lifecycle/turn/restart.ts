/** The process that asked people something is gone or cannot be reached: what they said is told as a prompt. */
import type { PhaseOf, Turn } from '../model/phases.ts';
import type { Step } from '../model/transition.ts';
import { resumeWith } from './begin.ts';
import { handOver } from './hand-over.ts';

/**
 * Ends what may still wait there, and goes on with the turn.
 * @param told what people said, for Claude
 */
export function restartElsewhereWith(step: Step, turn: Turn, told: string): void {
  // The tool may be waiting all the same, and would hold up every prompt after it.
  step.effect({ kind: 'stop-sandbox', id: step.context.newId(), turn: turn.number, inOrder: true });
  restartWith(step, turn, told);
}

/** The next process, which is on its way, is told it too. */
export function tellBesides(step: Step, phase: PhaseOf<'starting'>, told: string): void {
  const promptId = step.context.newId();
  const text = `Your process ended while you waited for people. Here is what they said.\n\n${told}`;
  step.keepPrompt(promptId, text);
  const asked = { promptId, agentSessionId: null, aside: true, carries: true } as const;
  const prompt = handOver(step, asked, phase.turn.number);
  step.enter({ ...phase, turn: { ...phase.turn, prompts: [...phase.turn.prompts, prompt] } });
}

/** The turn goes on under a new number: a stop was sent for the old one, under which the prompt would be dropped. */
export function restartWith(step: Step, turn: Turn, told: string): void {
  const number = step.state.turns + 1;
  step.set({ turns: number });
  resumeWith(
    step,
    { ...turn, number, first: turn.first ?? turn.number },
    `Your process ended while you waited for people. Here is what they said.\n\n${told}\n\nContinue where you were.`,
    undefined,
    true,
  );
}
