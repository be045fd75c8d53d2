/** What a session is doing, in plain words. Pure. */

import { withoutEnding } from '../../lib/linear-time.ts';
import type { TurnOutcome } from '../../protocol/journal.ts';
import type { Phase } from '../../protocol/viewer.ts';

/** How a status looks: `busy` work continues, `asking` a person has to answer, `waiting` nothing asked yet, `good`, `bad` and `stopped` the last outcome. */
export type Tone = 'busy' | 'waiting' | 'asking' | 'good' | 'bad' | 'stopped';

export type Status = {
  /** One word or two: "Working". */
  readonly word: string;
  /** Why, or with what; empty if the word says it all. */
  readonly detail: string;
  readonly tone: Tone;
  /** True while time passes for something: the page counts it. */
  readonly ticking: boolean;
};

type Situation = { phase: Phase; reason: string; lastOutcome: TurnOutcome | null };

/** The status of a session or of a row of the list. */
export function statusOf({ phase, reason, lastOutcome }: Situation): Status {
  const word = phase === 'waiting' ? outcomeWord(lastOutcome) : phaseText[phase];
  const tone =
    phase === 'waiting'
      ? outcomeTone(lastOutcome)
      : phase === 'asking'
        ? 'asking'
        : RESTING.has(phase)
          ? 'waiting'
          : 'busy';
  return { word, detail: beyond(word, reason), tone, ticking: phase !== 'waiting' };
}

/** The outcome of a turn in a word: "Done", "Stopped", "Failed"; "Waiting" before the first. */
export function outcomeWord(outcome: TurnOutcome | null): string {
  return outcome === null ? 'Waiting' : outcomeText[outcome];
}

/** A stop is an outcome of its own and looks like no error. */
export function outcomeTone(outcome: TurnOutcome | null): Tone {
  return outcome === null ? 'waiting' : outcomeTones[outcome];
}

/** What a session's page is called in the browser's tabs: the status first, so that it shows on a narrow tab. */
export function pageTitle(status: Status, issue: string): string {
  return `${marks[status.tone]} ${status.word} · ${issue}`;
}

/** Nothing runs: it continues by itself. */
const RESTING: ReadonlySet<Phase> = new Set<Phase>(['queued', 'parked']);

const phaseText = {
  starting: 'Starting',
  working: 'Working',
  asking: 'Asks you',
  queued: 'In the queue',
  parked: 'Parked',
  saving: 'Saving',
  stopping: 'Stopping',
} as const;
const outcomeText = { completed: 'Done', stopped: 'Stopped', failed: 'Failed' } as const;
const outcomeTones = { completed: 'good', stopped: 'stopped', failed: 'bad' } as const;
const marks: Record<Tone, string> = { busy: '●', waiting: '○', asking: '?', good: '✓', bad: '✗', stopped: '◼' };

/** The reason without what the word already says: "Done; a comment continues it" → "A comment continues it". */
function beyond(word: string, reason: string): string {
  const plain = reason.trim();
  const lower = withoutEnding(plain.toLowerCase(), '.…');
  if (lower === '' || lower === word.toLowerCase() || lower === `claude is ${word.toLowerCase()}`) return '';
  const rest = lower.startsWith(word.toLowerCase())
    ? /^[;:,.–—](.+)$/s.exec(plain.slice(word.length))?.[1]?.trimStart()
    : undefined;
  return rest === undefined ? plain : `${rest.charAt(0).toUpperCase()}${rest.slice(1)}`;
}
