/** Counts bytes that are stored for a session. They are kept with the next event that is, so a crash forgets a few. */
import { intakeAt, refusalOfIntake } from '../lifecycle/intake.ts';
import type { SessionState } from '../lifecycle/model/state.ts';
import type { Counted } from './take-batch.ts';

export class ByteCount {
  /** Stored in an hour, as counted in this life of the object. */
  #stored: { hour: number; bytes: number } | null = null;

  /**
   * Counts bytes that are about to be stored.
   * @param most bytes that are allowed in an hour. @param now ms since the epoch
   * @returns why they may not be, as a message; null if they may
   */
  take(state: SessionState | null, bytes: number, most: number, now: number): string | null {
    const counted = intakeAt(state?.intake, now);
    const stored = this.#stored?.hour === counted.hour ? this.#stored.bytes : 0;
    const known = Math.max(stored, counted.stored);
    const why = refusalOfIntake({ ...counted, stored: known }, 'stored', bytes, most);
    if (why === null) this.#stored = { hour: counted.hour, bytes: known + bytes };
    return why;
  }

  /** What was counted in this hour. An hour that is over counts no more. */
  counted(most: number, now: number): Counted {
    const { hour } = intakeAt(undefined, now);
    return { ...(this.#stored?.hour === hour && { stored: this.#stored.bytes }), mostBytes: most };
  }
}
