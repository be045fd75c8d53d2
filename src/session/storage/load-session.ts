/** Reads a session as it was stored: at the start of each life of its object. */
import { messageOf } from '../../lib/error.ts';
import type { ObjectStorage } from '../../store/object-schema.ts';
import type { SessionState } from '../lifecycle/model/state.ts';
import type { StateStore } from './state-store.ts';
import { hasTables, problemOf, updateTables } from './tables.ts';

/** `stored`: the state as it was stored; anything. `why`: what cannot be read, as a message. */
export type LoadedSession =
  | { kind: 'none' }
  | { kind: 'session' }
  | { kind: 'unreadable'; stored: unknown; why: string };

/**
 * Brings the tables up to date and reads the state. Nothing is thrown, for an object whose constructor throws cannot say what
 * is wrong.
 * @param resume goes on from the state; what it throws makes the session unreadable as well
 */
export function loadSession(
  storage: ObjectStorage,
  states: StateStore,
  resume: (state: SessionState) => void,
): LoadedSession {
  let stored: unknown = null;
  try {
    if (!hasTables(storage.sql)) return { kind: 'none' };
    const problem = problemOf(updateTables(storage));
    const loaded = states.load();
    if (loaded === null) return { kind: 'none' };
    stored = loaded.stored;
    if (!loaded.state.ok) return { kind: 'unreadable', stored, why: loaded.state.why };
    if (problem !== null) return { kind: 'unreadable', stored, why: problem };
    resume(loaded.state.value);
    return { kind: 'session' };
  } catch (error) {
    return { kind: 'unreadable', stored, why: `its storage cannot be read (${messageOf(error)})` };
  }
}
