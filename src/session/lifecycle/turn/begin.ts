/** How a turn begins: because people ask, because Claude speaks unasked, or again after its process was lost. */
import type { PhaseOf, Turn } from '../model/phases.ts';
import { noUsage } from '../model/state.ts';
import type { Step } from '../model/transition.ts';
import { idOf, inherited, isAtClaude, type Request, stageOf } from '../requests.ts';
import { handOver, handOverWaiting } from './hand-over.ts';
import { startSandbox } from './sandbox-life.ts';

/**
 * Begins a turn for these requests, and has the ones that Claude does not have yet handed over.
 * @param resume what Claude is told where a process that had read some of them is gone
 * @returns the phase if Claude is at work on all of them already; null: a sandbox is started first
 */
export function beginTurn(step: Step, requests: readonly Request[], resume?: string): PhaseOf<'working'> | null {
  const number = step.state.turns + 1;
  const turn: Turn = { number, startedAt: step.now, prompts: [...requests], losses: 0 };
  step.set({ turns: number, turnUsage: noUsage, queue: [], calls: [] });
  if (step.state.overAt != null) step.set({ overAt: null });
  const working = { name: 'working', since: step.now, turn } as const;
  const isWaiting = resume !== undefined || requests.some((request) => !isAtClaude(request));
  step.enter(isWaiting ? { name: 'starting', since: step.now, reason: 'Starting the sandbox', turn } : working);
  step.record({ kind: 'turn-started', promptIds: requests.map(idOf) });
  if (!isWaiting) return working;
  if (resume !== undefined) resumeWith(step, turn, resume);
  else {
    startSandbox(step);
    handOverWaiting(step);
  }
  return null;
}

/**
 * Claude is at work without being asked: a turn of its own. What people ask meanwhile gets its own answer after it.
 * @param told asides of threads that are told of it all the same
 */
export function beginUnasked(step: Step, told: readonly Request[] = []): void {
  const { queue } = step.state;
  const working = beginTurn(step, told);
  if (!working) return;
  const { number } = working.turn;
  step.enter({ ...working, turn: { ...working.turn, unasked: true } });
  step.set({ queue: queue.map((request) => (isAtClaude(request) ? request : handOver(step, request, number))) });
}

/**
 * Goes on with a turn whose process is gone: the same conversation, with a prompt that answers for what that process had
 * read. What it had not read is handed over again after it.
 * @param recap whether what was done so far is told with it
 * @param carries whether the text holds what people said, so that it must not be lost
 */
export function resumeWith(
  step: Step,
  turn: Turn,
  text: string,
  reason = 'Starting the sandbox again',
  carries = false,
  recap = false,
): void {
  const promptId = step.context.newId();
  step.keepPrompt(promptId, text);
  startSandbox(step);
  const asked: Request = {
    promptId,
    agentSessionId: null,
    aside: true,
    ...(carries && { carries }),
    ...(recap && { recap }),
  };
  const resumption = handOver(step, asked, turn.number);
  // What was handed over and may still wait in the sandbox is answered by itself, where the CLI tells which that is.
  const tells = step.state.sandbox.tellsReading === true;
  const before = turn.prompts
    .filter(isAtClaude)
    .map((prompt) => (!tells || stageOf(prompt) === 'read' ? inherited(prompt) : prompt));
  const again = turn.prompts
    .filter((prompt) => !isAtClaude(prompt))
    .map((prompt) => handOver(step, prompt, turn.number));
  step.enter({
    name: 'starting',
    since: step.now,
    reason,
    turn: { ...turn, prompts: [...before, resumption, ...again] },
  });
}
