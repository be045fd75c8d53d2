/** Requests on their way to Claude. */
import { isAtWork } from '../model/phases.ts';
import type { Step } from '../model/transition.ts';
import { handedOver, isAtClaude, type Request, underId } from '../requests.ts';

/**
 * Has a request given to Claude.
 * @param preface is put in front of its text
 * @returns the request as it is then
 */
export function handOver(step: Step, request: Request, turn: number, preface?: string): Request {
  const { promptId: before } = request;
  const next = request.returned ? underId(request, step.context.newId()) : request;
  if (next.promptId !== before) step.copyPrompt(next.promptId, before);
  const { promptId, recap } = next;
  const more = { ...(preface !== undefined && { preface }), ...(recap && { recap }) };
  step.effect({ kind: 'prompt-sandbox', promptId, turn, ...more });
  return handedOver(next, turn);
}

/** Hands over what Claude does not have of the turn. */
export function handOverWaiting(step: Step): void {
  handOverThose(step, (prompt) => !isAtClaude(prompt));
}

/** Hands over the whole turn, to a sandbox that has none of it or takes it for a repetition. */
export function handAllOver(step: Step): void {
  handOverThose(step, () => true);
}

function handOverThose(step: Step, isMeant: (prompt: Request) => boolean): void {
  const { phase } = step.state;
  if (!isAtWork(phase)) return;
  const { turn } = phase;
  const prompts = turn.prompts.map((prompt) => (isMeant(prompt) ? handOver(step, prompt, turn.number) : prompt));
  step.enter({ ...phase, turn: { ...turn, prompts } });
}
