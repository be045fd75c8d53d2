/** Effects on threads in Linear: what is said in one, what it shows beside that, and opening one. */
import * as z from 'zod';
import { expectEvent, threadNotOpened } from '../expected-thread.ts';
import type { EffectResults } from '../model/effect-results.ts';
import { type Effect, type EffectOf, isAwaited, type ThreadChange } from '../model/effects.ts';
import { threadKnown } from '../model/state.ts';
import type { Step } from '../model/transition.ts';
import { prompted } from '../prompts.ts';
import { type EffectDefinition, never, nothing, recordDeadLetter } from './definition.ts';
import { A_MONTH, HALF_A_DAY, LONG_ATTEMPT_LIMIT_MS, USUAL_ATTEMPT_LIMIT_MS } from './retry-policies.ts';

const laneOfThread = ({ agentSessionId }: EffectOf<'say' | 'show'>) => `linear:${agentSessionId}`;

/** Nothing that was done or said goes missing because Linear is away for half a day, or takes no token for weeks. */
const UNTIL_LINEAR_TAKES_IT = { passing: HALF_A_DAY, unauthorized: A_MONTH };

export const say: EffectDefinition<'say'> = {
  stored: z.looseObject({
    agentSessionId: z.string(),
    id: z.string(),
    activity: z.looseObject({ content: z.looseObject({ type: z.string() }), ephemeral: z.boolean() }),
  }),
  lane: laneOfThread,
  // Files that Claude shared are uploaded to Linear before they are named.
  retry: { ...UNTIL_LINEAR_TAKES_IT, attemptLimitMs: LONG_ATTEMPT_LIMIT_MS },
  // Linear removes an ephemeral activity as soon as the next one arrives.
  // What a person waits for is not replaced by what is still being gathered.
  isSuperseded: (effect, later) =>
    effect.activity.ephemeral &&
    later.some((other) => other.kind === 'say' && (other.dueAt === undefined || !isAwaited(effect))),
  isCovered: never,
  describe: ({ activity }) => `Posting a ${activity.content.type} to Linear`,
  onDone: nothing,
  onDelayed: nothing,
  onFailed: recordDeadLetter,
};

export const show: EffectDefinition<'show'> = {
  stored: z.looseObject({ agentSessionId: z.string(), change: z.looseObject({}) }),
  lane: laneOfThread,
  retry: { ...UNTIL_LINEAR_TAKES_IT, attemptLimitMs: USUAL_ATTEMPT_LIMIT_MS },
  isSuperseded: ({ change }, later) => isShownLater(change, later),
  isCovered: never,
  describe: ({ change }) => describeChange(change),
  onDone: nothing,
  onDelayed: nothing,
  onFailed: recordDeadLetter,
};

export const openThread: EffectDefinition<'open-thread'> = {
  stored: z.looseObject({ promptId: z.string(), issueId: z.string() }),
  lane: () => 'issue',
  retry: { ...UNTIL_LINEAR_TAKES_IT, attemptLimitMs: USUAL_ATTEMPT_LIMIT_MS },
  isSuperseded: never,
  isCovered: never,
  describe: () => 'Opening a thread in Linear',
  onDone: threadOpened,
  onDelayed: nothing,
  onFailed: (step, failed) => {
    recordDeadLetter(step, failed);
    threadNotOpened(step, failed.effect);
  },
};

/** Of plans and titles the last counts; addresses add up. */
function isShownLater({ plan, title, urls }: ThreadChange, later: readonly Effect[]): boolean {
  const changes = later.flatMap((effect) => (effect.kind === 'show' ? [effect.change] : []));
  return (
    urls === undefined &&
    (plan === undefined || changes.some((change) => change.plan)) &&
    (title === undefined || changes.some((change) => change.title !== undefined))
  );
}

function describeChange({ plan, urls, title }: ThreadChange): string {
  const parts = [plan && 'the plan', urls?.map(({ label }) => label).join(', '), title && 'the title'];
  return `Showing ${parts.filter(Boolean).join(' and ')} in Linear`;
}

/** The thread is there: the request for which it was opened begins in it. */
function threadOpened(step: Step, effect: EffectOf<'open-thread'>, result: EffectResults['open-thread']): void {
  if (!result) return;
  const { expectedThread } = step.state;
  const { agentSessionId } = result;
  if (expectedThread?.promptId !== effect.promptId) {
    // Linear's own thread came meanwhile, or the request was withdrawn: this one is not left without a word.
    const isKnown = threadKnown(step.state, agentSessionId) !== undefined;
    if (!isKnown && !result.isLinears) {
      step.say(agentSessionId, { type: 'response', body: 'This was answered in another thread.' });
      // Linear tells of it too; that asks for nothing.
      expectEvent(step, agentSessionId);
    }
    return;
  }
  const { promptId, commentId, author, person, text, at } = expectedThread;
  const source = commentId === null ? 'delegation' : 'mention';
  const asked = { promptId, agentSessionId, author, person, source, text, ...(commentId && { commentId }) } as const;
  prompted(step, { type: 'prompted', ...asked, ...(at !== undefined && { at }) });
  // Linear tells of it too, sooner or later, no matter who opened it.
  expectEvent(step, agentSessionId);
}
