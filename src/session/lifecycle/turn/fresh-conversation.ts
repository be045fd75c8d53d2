/**
 * Claude's API takes a conversation no more: the work goes on in another one, which is told what was done so far (session/effects/start/recap.ts). By itself
 * where the record is broken, once a turn; else when people ask for it.
 */
import { asksForFresh } from '../../../claude/history.ts';
import { hasTurn, type ResultBody, type Turn } from '../model/phases.ts';
import { addUsage, noUsage } from '../model/state.ts';
import type { Step } from '../model/transition.ts';

/** What Claude is told in it, after what was done so far. */
export const GO_ON =
  "This is a new conversation: Claude's API no longer accepted the history of the one before. You did the work described above, in this worktree. " +
  'Look at its state (git status, git log), then continue with what is asked there. Do not repeat what is done.';

/** From now on everything goes to a new conversation; checkpoints of the one before are of no use. */
function beginConversation(step: Step): void {
  step.set({ conversationId: step.context.newId(), checkpoint: null, offersFresh: false });
}

/**
 * Leaves a broken conversation.
 * @param result that said so
 * @returns the turn as it goes on in another one
 */
export function leaveConversation(step: Step, turn: Turn, result: ResultBody): Turn {
  const { usage, turnUsage, turns } = step.state;
  step.set({ usage: addUsage(usage, result.usage ?? turnUsage), turnUsage: noUsage });
  // What Claude Code itself said about it is told in better words here.
  step.cue({ kind: 'error-explained' });
  step.record({
    kind: 'notice',
    level: 'warning',
    text: "Claude's API no longer accepts the history of this conversation. The work continues in a new one, which is told what was done so far.",
  });
  beginConversation(step);
  // The process has the broken conversation, and whatever waits in it.
  step.effect({ kind: 'stop-sandbox', id: step.context.newId(), turn: turn.number, inOrder: true });
  // Under a new number: prompts of the one that was stopped would be dropped.
  const number = turns + 1;
  step.set({ turns: number });
  const { open: _, ...rest } = turn;
  return { ...rest, number, first: turn.first ?? turn.number, isFresh: true };
}

/** People answer the offer of a new conversation. @returns whether the request begins one */
export function takeFreshWish(step: Step, text: string): boolean {
  if (hasTurn(step.state.phase) || !step.state.offersFresh || !asksForFresh(text)) return false;
  beginConversation(step);
  step.record({ kind: 'notice', level: 'info', text: 'A new conversation starts, and is told what was done so far.' });
  return true;
}
