/** The engine of a session: the lifecycle as its program, and what is stored and told of each step. Runs wherever there is SQLite. */
import { Engine } from '../../kernel/engine.ts';
import type { Platform } from '../../kernel/platform.ts';
import type { Program, Report, Shell } from '../../kernel/program.ts';
import { setBack, setForward } from '../lifecycle/clock-moves.ts';
import { nextDeadline } from '../lifecycle/model/deadlines.ts';
import type { Effect } from '../lifecycle/model/effects.ts';
import type { SessionEvent } from '../lifecycle/model/events.ts';
import type { SessionState } from '../lifecycle/model/state.ts';
import type { Transition } from '../lifecycle/model/transition.ts';
import { reduce } from '../lifecycle/reduce.ts';
import { sessionEffects } from './effect-rules.ts';
import type { TransitionWriter, Written } from './transition-writer.ts';

export type SessionEngine = Engine<SessionState, SessionEvent, Effect, Transition, Written[]>;
export type SessionReport = Report<Effect>;

/** What is around the engine and not stored. */
export type SessionShell = Omit<Shell<SessionState, SessionEvent, Effect, Transition, Written[]>, 'write' | 'restore'>;

const program: Program<SessionState, SessionEvent, Effect, Transition> = {
  reduce,
  nextDeadline,
  clockMove: (state, now, isDoubted) => setBack(state.updatedAt, now) || setForward(state, now, isDoubted),
  effects: sessionEffects,
  events: {
    deadline: () => ({ type: 'deadline' }),
    clockMoved: (by) => ({ type: 'clock-moved', by }),
    delayed: (delay) => ({ type: 'effect-delayed', ...delay }),
    failed: (failed) => ({ type: 'effect-failed', ...failed }),
  },
};

/** @param writer over the platform's own SQLite */
export function sessionEngine(platform: Platform, writer: TransitionWriter, shell: SessionShell): SessionEngine {
  return new Engine(platform, program, {
    ...shell,
    write: (change) => writer.write(change),
    restore: (isEmpty) => writer.restore(isEmpty),
  });
}
