/** Effects on the sandbox: its start, and the commands that Claude's process is given. */
import * as z from 'zod';
import type { Lost } from '../model/effect-results.ts';
import { type EffectOf, PURGE_LANE, SANDBOX_LANE } from '../model/effects.ts';
import { isAtWork } from '../model/phases.ts';
import type { Step } from '../model/transition.ts';
import { answerUndelivered, decisionUndelivered } from '../questions/ask.ts';
import { delayed } from '../start/start-retries.ts';
import { close } from '../turn/closing.ts';
import { failTurn } from '../turn/end.ts';
import { replaceSandbox } from '../turn/sandbox-retries.ts';
import { type DeadLetter, type EffectDefinition, never, nothing, recordDeadLetter } from './definition.ts';
import {
  A_DAY,
  HALF_A_DAY,
  HALF_A_MINUTE,
  LONG_ATTEMPT_LIMIT_MS,
  type Retry,
  USUAL_ATTEMPT_LIMIT_MS,
} from './retry-policies.ts';
import { startDone } from './sandbox-started.ts';

/**
 * The work waits for D1, Linear or the sandbox's host as long as that lasts. A container may have to be placed and its
 * image fetched; files of the issue are fetched on the way to the sandbox.
 */
const AS_LONG_AS_IT_LASTS: Retry = { passing: A_DAY, unauthorized: null, attemptLimitMs: LONG_ATTEMPT_LIMIT_MS };

export const startSandbox: EffectDefinition<'start-sandbox'> = {
  stored: z.looseObject({ generation: z.number() }),
  lane: () => SANDBOX_LANE,
  retry: AS_LONG_AS_IT_LASTS,
  isSuperseded: never,
  // A sandbox is not looked for a second time while the last thing that waits is its start.
  isCovered: (effect, last) =>
    effect.look === true && last.kind === 'start-sandbox' && last.generation === effect.generation,
  describe: () => 'Starting the sandbox',
  onDone: startDone,
  onDelayed: (step, { effect, ...more }) => {
    if (effect.generation === step.state.sandbox.generation) delayed(step, { ...more, isStart: true });
  },
  onFailed: (step, failed) => {
    recordDeadLetter(step, failed);
    // What was meant for an earlier life changes nothing now.
    if (isAtWork(step.state.phase) && failed.effect.generation === step.state.sandbox.generation)
      failTurn(step, 'sandbox_unreachable', failureText(failed));
  },
};

export const promptSandbox: EffectDefinition<'prompt-sandbox'> = {
  stored: z.looseObject({ promptId: z.string(), turn: z.number() }),
  lane: () => SANDBOX_LANE,
  retry: AS_LONG_AS_IT_LASTS,
  isSuperseded: never,
  isCovered: never,
  describe: () => 'Sending the prompt to the sandbox',
  onDone: replaceLost,
  onDelayed: (step, { effect: _, ...more }) => delayed(step, { ...more, isStart: false }),
  onFailed: (step, failed) => {
    recordDeadLetter(step, failed);
    promptUndelivered(step, failed.effect.promptId, failureText(failed));
  },
};

export const answerSandbox: EffectDefinition<'answer-sandbox'> = {
  stored: z.looseObject({ id: z.string(), requestId: z.string() }),
  lane: () => SANDBOX_LANE,
  // After half a minute the turn goes on in another process, which is told.
  retry: { passing: HALF_A_MINUTE, unauthorized: null, attemptLimitMs: LONG_ATTEMPT_LIMIT_MS },
  isSuperseded: never,
  isCovered: never,
  describe: () => 'Sending the answer to Claude',
  onDone: nothing,
  onDelayed: nothing,
  onFailed: (step, failed) => {
    recordDeadLetter(step, failed);
    answerUndelivered(step, failed.effect);
  },
};

export const decideSandbox: EffectDefinition<'decide-sandbox'> = {
  stored: z.looseObject({ id: z.string(), requestId: z.string() }),
  lane: () => SANDBOX_LANE,
  // As for an answer.
  retry: { passing: HALF_A_MINUTE, unauthorized: null, attemptLimitMs: USUAL_ATTEMPT_LIMIT_MS },
  isSuperseded: never,
  isCovered: never,
  describe: () => 'Sending a permission to Claude',
  onDone: nothing,
  onDelayed: nothing,
  onFailed: (step, failed) => {
    recordDeadLetter(step, failed);
    decisionUndelivered(step, failed.effect);
  },
};

export const stopSandbox: EffectDefinition<'stop-sandbox'> = {
  stored: z.looseObject({ id: z.string(), turn: z.number() }),
  // A lane of its own, so that a stop never waits behind a start that is being retried.
  lane: ({ inOrder }) => (inOrder ? SANDBOX_LANE : 'stop'),
  // It concerns its turn and those before, so that a late one does no harm; without it Claude would work on unseen.
  retry: { passing: HALF_A_DAY, unauthorized: null, attemptLimitMs: USUAL_ATTEMPT_LIMIT_MS },
  isSuperseded: never,
  isCovered: never,
  describe: () => 'Stopping the sandbox',
  onDone: replaceLost,
  onDelayed: nothing,
  onFailed: recordDeadLetter,
};

export const purgeSandbox: EffectDefinition<'purge-sandbox'> = {
  stored: z.looseObject({ generation: z.number() }),
  // A lane of its own: a start that comes after it empties it and does not wait.
  lane: () => PURGE_LANE,
  retry: { passing: HALF_A_DAY, unauthorized: null, attemptLimitMs: USUAL_ATTEMPT_LIMIT_MS },
  isSuperseded: never,
  isCovered: never,
  describe: () => 'Deleting the files of the session on the sandbox server',
  onDone: nothing,
  onDelayed: nothing,
  // Nobody waits for it; the log says that the server keeps them.
  onFailed: nothing,
};

/** What was sent to a sandbox that has nothing of the session any more is sent to another one. */
function replaceLost(step: Step, _effect: EffectOf<'prompt-sandbox' | 'stop-sandbox'>, result: Lost | null): void {
  if (result?.generation === step.state.sandbox.generation) replaceSandbox(step);
}

function failureText({ description, error, hint }: DeadLetter): string {
  return `${description} failed: ${error}\n\n${hint ?? 'Comment to try again.'}`;
}

/** A prompt that waits for the next turn is answered by itself; one of the turn at work ends that turn. */
function promptUndelivered(step: Step, promptId: string, text: string): void {
  const queued = step.state.queue.find((prompt) => prompt.promptId === promptId);
  if (queued) {
    step.set({ queue: step.state.queue.filter((prompt) => prompt !== queued) });
    close(step, [queued], 'failed');
    if (queued.agentSessionId !== null) step.say(queued.agentSessionId, { type: 'error', body: text });
    return;
  }
  const { phase } = step.state;
  if (!isAtWork(phase)) return;
  // What was meant for an earlier turn changes nothing now.
  if (phase.turn.prompts.some((prompt) => prompt.promptId === promptId)) failTurn(step, 'sandbox_unreachable', text);
}
