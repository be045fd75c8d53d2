/** People who may not ask: told so kindly, once for each time they ask, and nothing is started or passed on for them. */
import { type Access, refusalOf } from '../model/admission.ts';
import type { Refused } from '../model/effect-results.ts';
import { currentTurn, threadsOf } from '../model/phases.ts';
import type { Step } from '../model/transition.ts';
import { repeatClaudeQuestion } from '../questions/ask.ts';
import { close } from '../turn/closing.ts';
import { endTurn, failTurn } from '../turn/end.ts';
import { handAllOver } from '../turn/hand-over.ts';
import { repeatRepositoryQuestion } from './repository-choice.ts';

/** Nobody of those who asked may: their threads are told why, and nothing is started. */
export function refuse(step: Step, { text, access }: Refused): void {
  step.set({ access });
  // The sandbox was to save the work of people who might ask when they did.
  if (step.state.phase.name === 'saving' || step.state.phase.name === 'stopping') {
    failTurn(step, 'not_allowed', text);
    return;
  }
  step.cancelSandboxWork();
  endTurn(step, { outcome: 'stopped', reason: 'not_allowed', text, result: null }, null);
}

/**
 * The rules are known, and the sandbox is ready: what was asked meanwhile by people who may not is taken out before Claude
 * gets it.
 */
export function admit(step: Step, access: Access): void {
  const { phase } = step.state;
  // A turn that lost its process was admitted before.
  if (phase.name !== 'starting' || phase.turn.losses > 0) return;
  const judged = phase.turn.prompts.map((prompt) => ({ prompt, refusal: refusalOf(access, prompt.person) }));
  const refused = judged.filter(({ refusal }) => refusal !== null);
  if (refused.length === 0) return;
  const prompts = judged.filter(({ refusal }) => refusal === null).map(({ prompt }) => prompt);
  step.enter({ ...phase, turn: { ...phase.turn, prompts } });
  step.cancelSandboxWork();
  handAllOver(step);
  close(
    step,
    refused.map(({ prompt }) => prompt),
    'refused',
  );
  for (const { prompt, refusal } of refused) turnAway(step, prompt.agentSessionId, refusal ?? '');
}

/** Says no in a thread. One that is owed an answer is not closed by it, and an open question there is repeated. */
export function turnAway(step: Step, thread: string | null, refusal: string): void {
  if (thread === null) return;
  const { phase, queue } = step.state;
  const turn = currentTurn(step.state);
  const isOwed = turn !== null && threadsOf(turn).includes(thread);
  if (isOwed && phase.name === 'asking') {
    if (phase.about.kind === 'repository') repeatRepositoryQuestion(step, phase.about, thread, refusal);
    else repeatClaudeQuestion(step, phase.about, thread, refusal);
  } else if (isOwed || queue.some(({ agentSessionId }) => agentSessionId === thread)) step.think(thread, refusal);
  else step.say(thread, { type: 'response', body: refusal });
}
