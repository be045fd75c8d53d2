/**
 * What an event does depends on the phase in which it arrives. A table has a function for each phase, which receives that phase
 * with its own type: it need not ask which phase this is.
 */
import type { PhaseName, PhaseOf } from './phases.ts';
import type { Step } from './transition.ts';

/** Done in a phase of these names. */
export type InPhase<Names extends PhaseName, Args extends readonly unknown[], Result> = (
  step: Step,
  phase: PhaseOf<Names>,
  ...args: Args
) => Result;

/** What is done in each phase. */
type ForEachPhase<Args extends readonly unknown[], Result> = {
  readonly [Name in PhaseName]: InPhase<Name, Args, Result>;
};

/**
 * Makes one function of what is done in each phase. It looks at the phase at the time of the call.
 * @param table what is done; the compiler asks for every phase if there is no `otherwise`
 * @param otherwise what is done in each phase that the table leaves out
 */
export function byPhase<Args extends readonly unknown[] = [], Result = void>(
  table: ForEachPhase<Args, Result>,
): (step: Step, ...args: Args) => Result;
export function byPhase<Args extends readonly unknown[] = [], Result = void>(
  table: Partial<ForEachPhase<Args, Result>>,
  otherwise: InPhase<PhaseName, Args, Result>,
): (step: Step, ...args: Args) => Result;
export function byPhase<Args extends readonly unknown[], Result>(
  table: Partial<ForEachPhase<Args, Result>>,
  otherwise?: InPhase<PhaseName, Args, Result>,
): (step: Step, ...args: Args) => Result {
  return (step, ...args) => {
    const { phase } = step.state;
    // The entry of this name takes the phase of this name: the table's type says so, but the compiler cannot follow a lookup.
    const done = (table[phase.name] ?? otherwise) as InPhase<PhaseName, Args, Result>;
    return done(step, phase, ...args);
  };
}

/** The same of an event that means something in these phases alone; in the others it changes nothing. */
export function onlyIn<Args extends readonly unknown[] = []>(
  table: Partial<ForEachPhase<Args, void>>,
): (step: Step, ...args: Args) => void {
  return byPhase<Args>(table, () => {});
}
