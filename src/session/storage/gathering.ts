/** What was gathered for a thread in Linear: sent whole, or, where it is too much for that, with one line for the oldest steps (pure). */
import type { Condensed, Waiting as WaitingEffect } from '../../kernel/effect-rules.ts';
import { type Effect, isAwaited, isThreadEffect } from '../lifecycle/model/effects.ts';

type Waiting = WaitingEffect<Effect>;

/** Most effects of a thread in one request to Linear. */
export const MOST_TOGETHER = 25;
/** So many are sent whole, in three requests one after the other: an answer behind them is still there within two seconds. */
export const MOST_WHOLE = 3 * MOST_TOGETHER;

/**
 * Which effects of a thread are left out, where it has too many, so that the rest fits into one request: the oldest steps that nobody waits for and
 * that were never sent. Answers, questions, acknowledgements, links and whatever may be in Linear already stay.
 * @param lane effects of one thread, oldest first
 * @returns those to leave out, of which the first gives its place to the line that says so; empty where all fits
 */
export function leftOut<W extends Waiting>(lane: W[]): W[] {
  if (lane.length <= MOST_WHOLE) return [];
  const tooMany = lane.length - MOST_TOGETHER;
  const candidates = lane.filter(
    ({ effect, attempts, isAlone }) => attempts === 0 && !isAlone && effect.kind === 'say' && !isAwaited(effect),
  );
  // One line takes the place of them all; for less than two it would save nothing.
  const chosen = candidates.slice(0, tooMany + 1);
  return chosen.length < 2 ? [] : chosen;
}

/** The line that stands for so many steps. @param first the effect whose place and id it takes: that was never sent */
export function lineFor(first: Extract<Effect, { kind: 'say' }>, steps: number): Effect {
  const body = `${steps} steps are not listed here; the live session shows all of them.`;
  const activity = { content: { type: 'thought' as const, body }, ephemeral: false };
  return { ...first, activity, urgency: 'news' };
}

/** Leaves out what is too much for a thread, and says in one line how many steps that is; null: all of it fits. */
export function condense<W extends Waiting>(lane: W[]): Condensed<W> | null {
  const [first, ...others] = leftOut(lane);
  if (first?.effect.kind !== 'say') return null;
  return { first, others, instead: lineFor(first.effect, others.length + 1) };
}

/** The first effect of a lane, with those after it that travel in the same request. */
export function together<W extends Waiting>(lane: W[]): W[] {
  const apart = lane.findIndex((waiting) => !isThreadEffect(waiting.effect) || waiting.isAlone);
  return lane.slice(0, apart === -1 ? MOST_TOGETHER : Math.min(MOST_TOGETHER, Math.max(1, apart)));
}
