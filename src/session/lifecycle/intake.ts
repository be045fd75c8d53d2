/**
 * How much a session may bring in within an hour, counted over all of its sandboxes (pure): what its events add to the journal, and
 * what is stored for it (patches, checkpoints, entries of caches, shared files). Hours are those of the clock, in UTC.
 */
import type { SandboxEvent } from '../../protocol/sandbox/events.ts';

/** Bytes of one hour. `hour`: since the epoch. */
export interface Intake {
  hour: number;
  /** Of texts in events, in UTF-16 code units, which are at most as many as bytes. */
  events: number;
  stored: number;
}

const HOUR_MS = 3_600_000;
const MIB = 1024 * 1024;
/** What a session may store in an hour if nothing is set, in bytes. */
export const DEFAULT_MOST_BYTES = 4_096 * MIB;
/** Of this the journal takes an eighth at most: it lies in the object, not in R2. */
const OF_EVENTS = 8;

/** What of this hour was taken in. @param now ms since the epoch */
export function intakeAt(intake: Intake | undefined, now: number): Intake {
  const hour = Math.floor(now / HOUR_MS);
  return intake?.hour === hour ? intake : { hour, events: 0, stored: 0 };
}

/** What ends something has to get through when there is no room for more: it has as much room again. */
const FOR_ENDS = 2;

/** Whether an event that `lengthOf` does not count has a place in the journal; it is counted as well. @returns null: it has none */
export function withEnd(intake: Intake, event: SandboxEvent, most: number): Intake | null {
  const events = intake.events + JSON.stringify(event).length;
  return events > FOR_ENDS * Math.floor(most / OF_EVENTS) ? null : { ...intake, events };
}

/** What an event adds to the journal, in UTF-16 code units; 0 for what ends something, see `withEnd`. */
export function lengthOf(event: SandboxEvent): number {
  switch (event.type) {
    case 'line':
      return event.line.length;
    case 'stderr':
    case 'setup-output':
    case 'notice':
      return event.text.length;
    case 'step':
      return 200 + (event.detail ?? '').length;
    case 'unreadable':
      return event.raw.length;
    default:
      return 0;
  }
}

/**
 * Why so much more may not be taken in, in words that say what limit it is and when it is free again; null where it may.
 * @param most bytes that are allowed in an hour, as set
 */
export function refusalOfIntake(
  { hour, ...taken }: Intake,
  what: 'events' | 'stored',
  more: number,
  most: number,
): string | null {
  const limit = what === 'events' ? Math.floor(most / OF_EVENTS) : most;
  if (taken[what] + more <= limit) return null;
  const free = new Date((hour + 1) * HOUR_MS).toISOString().slice(11, 16);
  const told = what === 'events' ? 'reported' : 'stored';
  const size = `${Math.floor(limit / MIB)} MiB`;
  return `this session has ${told} as much as it may in an hour (${size}); it can continue at ${free} UTC. A Cyrus admin can allow more (SESSION_MIB_AN_HOUR)`;
}
