/** How a parked turn goes on: at the reset of the limit, or earlier where room is found, with the same conversation. */
import { modelNamed, modelNames } from '../../../claude/roles.ts';
import { onlyIn } from '../model/by-phase.ts';
import type { PhaseOf, Turn } from '../model/phases.ts';
import type { Step } from '../model/transition.ts';
import { unread } from '../requests.ts';
import { modelWish, spokenModel } from '../start/wishes.ts';
import { resumeWith } from './begin.ts';
import { dropHalted } from './closing.ts';
import { isOfOneModel } from './usage-limit.ts';

const RESUME_PROMPT =
  'A usage limit of the Claude account interrupted this work; it is available again. Your process was ended meanwhile, and what ' +
  'was not committed has been committed to the branch. Continue with what you were asked, where you were.';

/** Goes on with a parked turn. A limit that is still used up parks it again. */
export function resumeParked(step: Step, phase: PhaseOf<'parked'>): void {
  if (phase.halt) dropHalted(step, phase.halt);
  const number = step.state.turns + 1;
  // Under a new number: a stop was sent for the old one, under which prompts would be dropped.
  const { left } = phase;
  const prompts = phase.turn.prompts.map((one) => (left.includes(one.promptId) ? unread(one, true) : one));
  const first = phase.turn.first ?? phase.turn.number;
  const turn: Turn = { ...phase.turn, number, first, losses: 0, prompts: [...prompts, ...step.state.queue] };
  step.set({ turns: number, queue: [], limit: null });
  step.record({ kind: 'notice', level: 'info', text: "Claude's limit should have reset; the work continues." });
  resumeWith(step, turn, RESUME_PROMPT, 'Continuing after the limit');
}

/** When there is room for a parked session, as the account knows it. `at`: ms since the epoch; null if nothing is known. */
export const roomFound = onlyIn<[at: number | null]>({
  parked: (step, phase, at) => {
    if (at === null) return;
    if (at <= step.now) goOnSoon(step, phase);
    // Never later than what Claude itself said.
    else if (at < phase.until) step.enter({ ...phase, until: at });
  },
});

/** What ran is being ended; it goes on when that is over. */
function goOnSoon(step: Step, phase: PhaseOf<'parked'>): void {
  step.enter({ ...phase, until: Math.min(phase.until, Math.max(step.now, phase.since + ENDING_MS)), waits: true });
}

/** Time for the sandbox to end what ran. */
const ENDING_MS = 15_000;

/** A comment that asks for a model that the limit says nothing of: the work goes on with that one, as a new issue would begin with it. */
export const goOnWithWished = onlyIn<[text: string]>({ parked: takeOtherModel });

function takeOtherModel(step: Step, phase: PhaseOf<'parked'>, text: string): void {
  const { limit } = step.state;
  if (!limit || limit.beyondPlan || !isOfOneModel(limit.limit)) return;
  const tag = modelWish(text);
  const model = tag === null ? spokenModel(text, modelNames) : modelNamed(tag);
  const family = modelNames.find((name) => model?.includes(name));
  if (family !== undefined && !limit.limit.toLowerCase().includes(family)) goOnSoon(step, phase);
}

/** It is time to ask again whether there is room. */
export function askForRoom(step: Step, phase: PhaseOf<'parked'>): void {
  step.enter({ ...phase, askAt: step.now });
  step.effect({ kind: 'find-room' });
}
