/** People who may not ask: told so kindly, once for each time they ask, and nothing is started or passed on for them. */
import { type Access, refusalOf } from '../model/admission.ts';
import { byPhase, onlyIn } from '../model/by-phase.ts';
import { currentTurn, type PhaseOf, threadsOf } from '../model/phases.ts';
import type { Step } from '../model/transition.ts';
import { repeatClaudeQuestion } from '../questions/ask.ts';
import { close } from '../turn/closing.ts';
import { endTurn, failTurn } from '../turn/end.ts';
import { handAllOver } from '../turn/hand-over.ts';
import { repeatRepositoryQuestion } from './repository-choice.ts';

/** Nobody of those who asked may: their threads are told why, and nothing is started. */
export const refuse = byPhase<[text: string]>(
  { saving: refuseToSave, stopping: refuseToSave },
  (step, _phase, text) => {
    step.cancelSandboxWork();
    endTurn(step, { outcome: 'stopped', reason: 'not_allowed', text, result: null }, null);
  },
);

/** The sandbox was to save the work of people who might ask when they did. */
function refuseToSave(step: Step, _phase: PhaseOf<'saving' | 'stopping'>, text: string): void {
  failTurn(step, 'not_allowed', text);
}

/**
 * The rules are known, and the sandbox is ready: what was asked meanwhile by people who may not is taken out before Claude
 * gets it.
 */
export const admit = onlyIn<[access: Access]>({ starting: admitToTurn });

function admitToTurn(step: Step, phase: PhaseOf<'starting'>, access: Access): void {
  // A turn that lost its process was admitted before.
  if (phase.turn.losses > 0) return;
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
  const turn = currentTurn(step.state);
  const isOwed = turn !== null && threadsOf(turn).includes(thread);
  if (isOwed) sayInTurn(step, thread, refusal);
  else if (step.state.queue.some(({ agentSessionId }) => agentSessionId === thread)) step.think(thread, refusal);
  else step.say(thread, { type: 'response', body: refusal });
}

const sayInTurn = byPhase<[thread: string, refusal: string]>(
  {
    asking: (step, { about }, thread, refusal) => {
      if (about.kind === 'repository') repeatRepositoryQuestion(step, about, thread, refusal);
      else repeatClaudeQuestion(step, about, thread, refusal);
    },
  },
  (step, _phase, thread, refusal) => step.think(thread, refusal),
);
