/**
 * A limit of Claude's is used up: the turn is parked. It goes on by itself, with the same conversation, once there is room
 * again; until then nothing runs and nothing is paid for. How it goes on is in resumption.ts.
 */
import { limitName } from '../../../claude/words.ts';
import { type Backoff, fullBackoff } from '../../../lib/backoff.ts';
import { clockTime } from '../model/clock-time.ts';
import { type PhaseOf, type ResultBody, type Turn, threadsOf } from '../model/phases.ts';
import { addUsage, noUsage } from '../model/state.ts';
import type { Step } from '../model/transition.ts';
import { isAtClaude } from '../requests.ts';

/** A limit whose reset is not known, or that is still used up after its reset, is tried again after this long, then ever later. */
const WAITS: Backoff = { initialMs: 5 * 60_000, coefficient: 2, maximumMs: 3_600_000 };
/** Shortest time parked: what ran must have ended before it goes on. */
const SHORTEST_MS = 20_000;
/** A reset later than this is no reset that the plan has. */
const LATEST_RESET_MS = 32 * 24 * 3_600_000;
/** Sessions that meet one limit do not all come back in the same second. */
const SPREAD_MS = 20_000;

/** Whether a result says that a limit of the plan is used up (measured with CLI 2.1.330). */
export function isUsedUp(result: ResultBody): boolean {
  return result.isError && result.apiError === 'usage_limit_reached';
}

/** Parks the turn that a limit ended. What Claude did not come to is handed over again when it goes on. */
export function parkTurn(step: Step, turn: Turn, result: ResultBody): void {
  const { limit, usage, turnUsage } = step.state;
  const parks = (turn.parks ?? 0) + 1;
  // Others have room: the next start takes one of them (claude-quota/model-choice.ts), or meets the limit again and waits for it.
  const takesOther = parks === 1 && !limit?.beyondPlan && isOfOneModel(limit?.limit ?? '');
  const resetsAt = takesOther ? null : resetOf(step, limit?.resetsAt ?? null);
  const until = takesOther ? step.now + SHORTEST_MS : resumptionTime(step, resetsAt, parks);
  const why = limitName(limit?.limit ?? 'unknown');
  // What Claude Code itself said about it is told in better words here.
  step.cue({ kind: 'error-explained' });
  step.set({ usage: addUsage(usage, result.usage ?? turnUsage), turnUsage: noUsage });
  const charged = limit?.beyondPlan ? ' Continuing now would cost extra beyond the plan, so the work waits.' : '';
  const next = takesOther
    ? 'The work continues in a moment with another model, if the settings allow one.'
    : `The work continues by itself at ${clockTime(until, step.now)}; a stop ends it.`;
  const text = `Claude's ${why} is used up.${charged} ${next}`;
  step.record({ kind: 'notice', level: 'info', text });
  step.announce(threadsOf(turn), text);
  const left = turn.prompts.filter((prompt) => !isAtClaude(prompt)).map(({ promptId }) => promptId);
  const waits = resetsAt === null && { waits: true as const };
  const ending = (left.length > 0 || step.state.queue.some(isAtClaude)) && { ending: true as const };
  step.enter({
    name: 'parked',
    since: step.now,
    turn: { ...turn, parks },
    until,
    askAt: step.now,
    why,
    left,
    ...waits,
    ...ending,
  });
  step.cancelSandboxWork();
  // Nothing is kept running for hours. A stop of this turn does not touch the one it goes on as.
  step.effect({ kind: 'stop-sandbox', id: step.context.newId(), turn: turn.number });
  step.effect({ kind: 'find-room' });
  step.effect({ kind: 'archive-turn', turn: turn.number });
}

/** Whether a limit is one model's own, such as `seven_day_opus`: it says nothing of the others. */
export function isOfOneModel(limit: string): boolean {
  return /opus|sonnet|haiku|fable/i.test(limit);
}

/** The reset that was told, where it can be one; ms since the epoch. */
function resetOf({ now }: Step, told: number | null): number | null {
  return told !== null && told > now && told < now + LATEST_RESET_MS ? told : null;
}

/** When a parked turn tries again, in ms since the epoch: a little after the reset, or after a growing wait. */
function resumptionTime(step: Step, resetsAt: number | null, parks: number): number {
  const { now } = step;
  // A reset that comes again and again without lifting the limit is not believed at once.
  const wait = resetsAt !== null && parks === 1 ? 0 : fullBackoff(WAITS, Math.max(1, parks - 1));
  const at = resetsAt !== null ? Math.max(resetsAt, now + (resetsAt - now < wait ? wait : 0)) : now + wait;
  return Math.max(now + SHORTEST_MS, at) + spread(step.state.id);
}

/** A time of the session's own, in ms below `SPREAD_MS`; always the same. */
function spread(id: string): number {
  let hash = 0;
  for (const character of id) hash = (Math.imul(hash, 31) + (character.codePointAt(0) ?? 0)) >>> 0;
  return hash % SPREAD_MS;
}

/** Within this time no clock is named. */
const SOON_MS = 60_000;

/** What a person who comments is told while the turn waits for a usage limit. */
export function parkedWords(step: Step, phase: PhaseOf<'parked'>): string {
  if (phase.until - step.now < SOON_MS) return 'Claude is told in a moment, when the work continues.';
  return `Claude's ${phase.why} is used up; this starts when the work continues at ${clockTime(phase.until, step.now)}.`;
}

/** Linear takes a thread without an activity for stale (docs: linear.app/developers/agents). */
export function remindOfParking(step: Step, phase: PhaseOf<'parked'>, agentSessionId: string): void {
  if (!threadsOf(phase.turn).includes(agentSessionId)) return;
  step.reassure(agentSessionId, `Waiting for Claude's ${phase.why}; continues at ${clockTime(phase.until, step.now)}.`);
}
