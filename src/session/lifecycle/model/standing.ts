/** The state of a session, as far as its sandbox's token is concerned: derived from the state in this one place. Pure. */
import { LATE_SAVE_MS, type Stage, type Standing, UPKEEP_MS } from '../../../gateway/openings.ts';
import { isAtClaude } from '../requests.ts';
import { isUnderWay, type PhaseState } from './phases.ts';
import type { SessionState } from './state.ts';

/** A session whose state a newer version stored: a turn may be under way, and only what needs certainty is closed. */
export const UNREADABLE: Standing = {
  stage: 'turn',
  isFresh: false,
  mayWake: false,
  isJustOver: false,
  baseBranch: null,
};
const NOTHING: Omit<Standing, 'stage'> = { isFresh: false, mayWake: false, isJustOver: false, baseBranch: null };

/**
 * @param state null: there is no session
 * @param generation life of the sandbox that asks
 * @param now ms since the epoch
 */
export function standingOf(state: SessionState | null, generation: number, now: number): Standing {
  if (!state) return { stage: 'unknown', ...NOTHING };
  const current = state.sandbox.generation;
  if (generation !== current) {
    const words = `this session is in generation ${current}, not ${generation}`;
    return { stage: 'other-life', ...NOTHING, words };
  }
  const { phase, background, reader, claudeSince, turns, baseBranch } = state;
  const stage = stageOf(state, now);
  return {
    stage,
    // A later life begins with what Claude did in the one before.
    isFresh: claudeSince === undefined && current === 1 && turns === 1,
    baseBranch,
    mayWake: !state.isMuted && (Boolean(background) || reader.tasks.length > 0),
    isJustOver: now - phase.since < UPKEEP_MS,
  };
}

function stageOf(state: SessionState, now: number): Stage {
  const { phase, alarm, turns, isMuted, saveDue } = state;
  if (alarm === turns) return 'alarm';
  if (isUnderWay(phase)) return isCalledOff(state) ? 'ending' : 'turn';
  if (saveDue && now - saveDue < LATE_SAVE_MS) return 'late-save';
  return isMuted ? 'withdrawn' : 'rest';
}

/** What was stopped is only saved, unless Claude has been given what people asked after it. */
function isCalledOff({ phase, queue }: SessionState): boolean {
  const isStopped = phase.name === 'stopping' || (phase.name === 'saving' && phase.ending.outcome === 'stopped');
  if (!isStopped || queue.some(isAtClaude)) return false;
  return phase.name === 'stopping' || (phase.begun === undefined && phase.early === null);
}

/**
 * Since when a save is due, after a step: a turn that ended without the sandbox's word that all of its work is saved leaves
 * one behind.
 * @param wasSaved the step brought that word
 */
export function saveDueAfter(before: PhaseState, after: SessionState, wasSaved: boolean, now: number): number | null {
  const due = after.saveDue ?? null;
  if (!isUnderWay(before) || isUnderWay(after.phase) || wasSaved) return due;
  return before.name === 'saving' && before.proposes ? due : now;
}
