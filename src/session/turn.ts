/** The course of a turn: begun, answered by Claude, saved, ended; or stopped, or failed. */
import { describeResult } from '../claude/words.ts';
import { awaitEnd } from '../linear/activities.ts';
import { noteTrouble } from './claude-limits.ts';
import { SANDBOX_LANE } from './effects.ts';
import { isUsedUp, parkTurn } from './parking.ts';
import {
  addUsage,
  currentTurn,
  type Ending,
  isLive,
  noUsage,
  type QueuedPrompt,
  type ResultBody,
  type Turn,
  type TurnPrompt,
  threadsOf,
} from './state.ts';
import type { Step } from './step.ts';

/** Begins a turn for these prompts, and has the ones that Claude does not have yet delivered. */
export function beginTurn(step: Step, prompts: QueuedPrompt[]): void {
  const turn: Turn = {
    number: step.state.turns + 1,
    startedAt: step.now,
    prompts: prompts.map(({ delivered: _, ...prompt }) => prompt),
    losses: 0,
  };
  const undelivered = prompts.filter((prompt) => !prompt.delivered);
  step.set({ turns: turn.number, turnUsage: noUsage, queue: [], calls: [] });
  step.enter(
    undelivered.length > 0
      ? { name: 'starting', since: step.now, reason: 'Starting the sandbox', turn }
      : { name: 'working', since: step.now, turn },
  );
  step.record({ kind: 'turn-started', promptIds: prompts.map((prompt) => prompt.promptId) });
  if (undelivered.length > 0) startSandbox(step);
  for (const { promptId } of undelivered) step.effect({ kind: 'prompt-sandbox', promptId, turn: turn.number });
  step.effect({ kind: 'index-session' });
}

/**
 * Asks for the sandbox of the current life: finds the one that runs, or brings up what is missing. The first call of a
 * session begins its first life.
 */
export function startSandbox(step: Step): void {
  const { sandbox } = step.state;
  const generation = Math.max(1, sandbox.generation);
  step.set({ sandbox: { ...sandbox, generation, heardAt: step.now } });
  step.effect({ kind: 'start-sandbox', generation });
}

/** Claude gave its result. Prompts it did not answer begin the next turn, which the CLI starts by itself. */
export function takeResult(step: Step, result: ResultBody): void {
  const { phase } = step.state;
  if (result.costUsd !== null) step.set({ costUsd: (step.state.costUsd ?? 0) + result.costUsd });
  switch (phase.name) {
    case 'waiting':
    case 'parked':
    case 'queued':
      return;
    case 'saving':
      step.enter({ ...phase, early: result });
      return;
    case 'stopping':
      save(step, phase.turn, stopped(result, phase.words));
      return;
    case 'starting':
    case 'asking':
    case 'working': {
      // The sandbox was let go while the question stands: what it interrupted is no answer.
      if (phase.name === 'asking' && !isLive(phase.about)) return;
      const { prompts } = phase.turn;
      const answers = (id: string) => result.promptIds.length === 0 || result.promptIds.includes(id);
      // The end of an earlier turn, e.g. of one that was stopped: what is asked now is not answered by it.
      if (prompts.length > 0 && !prompts.some((prompt) => answers(prompt.promptId))) return;
      const left = prompts.filter((prompt) => !prompt.inherited && !answers(prompt.promptId));
      if (prompts.length > 0 && isUsedUp(result)) {
        parkTurn(
          step,
          phase.turn,
          left.map((prompt) => prompt.promptId),
          result,
        );
        return;
      }
      const turn = { ...phase.turn, prompts: prompts.filter((prompt) => !left.includes(prompt)) };
      if (left.length > 0) {
        step.set({ queue: [...left.map((prompt) => ({ ...prompt, delivered: true })), ...step.state.queue] });
      }
      save(step, turn, { ...describeResult(result, step.state.limit ?? undefined), result });
      return;
    }
  }
}

function save(step: Step, turn: Turn, ending: Ending): void {
  const used = ending.result?.usage ?? step.state.turnUsage;
  step.set({ usage: addUsage(step.state.usage, used), turnUsage: noUsage });
  step.enter({ name: 'saving', since: step.now, turn, ending, early: null });
  step.set({ narration: awaitEnd(step.state.narration) });
}

/** The sandbox has committed and pushed (or said why not): the turn is over. */
export function takeSaved(step: Step): void {
  const { phase } = step.state;
  if (phase.name === 'saving') endTurn(step, phase.ending, phase.early);
  if (phase.name === 'stopping') endTurn(step, stopped(null, phase.words), null);
}

/** Claude's process is gone while it is stopped: what it has done is still saved. */
export function saveStopped(step: Step): void {
  const { phase } = step.state;
  if (phase.name === 'stopping') save(step, phase.turn, stopped(null, phase.words));
}

/** The sandbox is gone while it is stopped. */
export function endStopped(step: Step): void {
  const { phase } = step.state;
  if (phase.name === 'stopping') endTurn(step, stopped(null, phase.words), null);
}

/** Ends the turn without waiting for anything more from the sandbox. */
export function failTurn(step: Step, reason: string, text: string): void {
  const turn = currentTurn(step.state);
  if (!turn) return;
  step.transition.cancelledLanes.push(SANDBOX_LANE);
  endTurn(step, { outcome: 'failed', reason, text, result: null }, null);
  // Nobody follows what Claude may still be doing there.
  if (step.state.sandbox.streamId !== null && step.state.phase.name === 'waiting') {
    step.effect({ kind: 'stop-sandbox', id: step.context.newId(), turn: turn.number });
  }
}

/** How a turn that a person stopped ends. The place of the work is added by the narration. */
export function stopped(result: ResultBody | null, text: string): Ending {
  return { outcome: 'stopped', reason: 'stopped', text, result };
}

export function endTurn(step: Step, ending: Ending, early: ResultBody | null): void {
  const turn = currentTurn(step.state);
  if (!turn) return;
  step.record({
    kind: 'turn-ended',
    outcome: ending.outcome,
    text: ending.text,
    reason: ending.reason,
    durationMs: step.now - turn.startedAt,
    usage: ending.result?.usage ?? null,
    costUsd: ending.result?.costUsd ?? null,
    numTurns: ending.result?.numTurns ?? null,
  });
  if (ending.outcome === 'completed') for (const thread of threadsOf(turn)) step.entitle(thread, ending.text);
  noteTrouble(step, ending);
  // A turn that nobody asked for says nothing about how the work stands.
  if (threadsOf(turn).length > 0) step.set({ lastOutcome: ending.outcome });
  step.enter({ name: 'waiting', since: step.now });
  step.effect({ kind: 'archive-turn', turn: turn.number });
  step.effect({ kind: 'index-session' });
  const { queue } = step.state;
  if (queue.length === 0) return;
  beginTurn(step, queue);
  if (early) takeResult(step, early);
}

/**
 * Goes on with a turn whose process is gone: the same conversation, with a prompt that answers for those before it.
 * @param again prompts that are not in the conversation, and are asked again after it
 */
export function resumeWith(
  step: Step,
  turn: Turn,
  text: string,
  reason = 'Starting the sandbox again',
  again: readonly TurnPrompt[] = [],
): void {
  const promptId = step.context.newId();
  const isAgain = (id: string) => again.some((prompt) => prompt.promptId === id);
  const inherited = turn.prompts.map((prompt) => ({ ...prompt, inherited: !isAgain(prompt.promptId) }));
  const prompts = [...inherited, { promptId, agentSessionId: null, aside: true }];
  step.enter({ name: 'starting', since: step.now, reason, turn: { ...turn, prompts } });
  step.transition.prompts.push({ promptId, text });
  startSandbox(step);
  step.effect({ kind: 'prompt-sandbox', promptId, turn: turn.number });
  for (const prompt of again) step.effect({ kind: 'prompt-sandbox', promptId: prompt.promptId, turn: turn.number });
}

/** Leaves what runs behind and begins the turn again in a sandbox of its own, in the repository that is now chosen. */
export function restartElsewhere(step: Step, reason: string): void {
  const { phase, sandbox } = step.state;
  if (phase.name !== 'starting' && phase.name !== 'working') return;
  const generation = sandbox.generation + 1;
  step.transition.cancelledLanes.push(SANDBOX_LANE);
  step.set({
    sandbox: { generation, streamId: null, cursor: 0, heardAt: step.now },
    conversationId: step.context.newId(),
    checkpoint: null,
  });
  step.enter({ name: 'starting', since: step.now, reason, turn: phase.turn });
  step.effect({ kind: 'start-sandbox', generation });
  for (const { promptId } of phase.turn.prompts) {
    step.effect({ kind: 'prompt-sandbox', promptId, turn: phase.turn.number });
  }
}
