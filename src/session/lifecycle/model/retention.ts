/** What of a session has been kept long enough, derived from its state. Pure. */
import type { JournalEntry } from '../../../protocol/journal.ts';
import type { Retention } from '../../../protocol/settings/retention.ts';
import { isLive } from './questions.ts';
import type { SessionState } from './state.ts';

/** Parts of a session that are kept for times of their own. `session`: all that is left of it. */
export const KEPT_PARTS = ['checkpoint', 'egress', 'patches', 'logs', 'session'] as const;
export type KeptPart = (typeof KEPT_PARTS)[number];

/** What was removed since the session came to rest at `since`. */
export interface Removed {
  since: number;
  parts: readonly string[];
}

/**
 * When each part that is still there is to be removed, in ms since the epoch.
 * @param removed what was removed before; null: nothing
 * @param hasUnpushed there is work that is in the checkpoint alone
 * @returns no part while something runs, waits or will begin by itself
 */
export function removalTimes(
  state: SessionState,
  retention: Retention,
  removed: Removed | null,
  hasUnpushed: boolean,
): { part: KeptPart; at: number }[] {
  if (!isAtRest(state)) return [];
  const { phase } = state;
  const times: Record<KeptPart, number | null> = {
    checkpoint: hasUnpushed || !isDone(state) ? null : retention.checkpoints,
    egress: retention.egress,
    patches: isDone(state) ? retention.patches : null,
    logs: retention.logs,
    session: retention.sessions,
  };
  const gone = removed?.since === phase.since ? removed.parts : [];
  return KEPT_PARTS.flatMap((part) => {
    const kept = times[part];
    return kept === null || gone.includes(part) ? [] : [{ part, at: phase.since + kept }];
  });
}

/**
 * Whether there may be work that is in the checkpoint alone: unless the last turn was saved, without any problem, nobody knows what
 * the git host has of it.
 * @param saved what the newest save told; null: there was none
 */
export function mayHoldUnpushed(
  { checkpoint, turns }: SessionState,
  saved: Extract<JournalEntry, { kind: 'saved' }> | null,
): boolean {
  if (checkpoint == null) return false;
  if (saved === null || saved.turn < turns || saved.problem !== undefined) return true;
  return !saved.pushed && saved.files.length > 0;
}

/** Nothing goes on by itself: its turns are over, or a person has not answered. Until then nothing is removed. */
export function isAtRest({ phase, queue }: SessionState): boolean {
  if (phase.name === 'asking') return !isLive(phase.about);
  return phase.name === 'waiting' && queue.length === 0;
}

/** Whether no answer is owed any more: one that is needs what the turn began with. */
function isDone({ phase, background, saveDue }: SessionState): boolean {
  return phase.name === 'waiting' && !background && saveDue == null;
}
