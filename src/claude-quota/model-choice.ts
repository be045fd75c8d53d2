/** Which model a turn begins with, given what is left of the limits (pure). */
import type { ClaudeLimits } from './claude-settings.ts';
import { leftOf, type Windows } from './windows.ts';

/** A model was wanted that the limits do not allow. `left`: the share left of the scarcest window, 0 to 1. */
export interface FellBack {
  from: string;
  to: string;
  left: number;
}

/** `fellBack`: null if it is the model that was wanted. */
export interface ModelChoice {
  model: string;
  fellBack: FellBack | null;
}

/** The family of a model: `opus` of `claude-opus-5-5`, of `opus[1m]`, and of `opus`. */
function familyIn(model: string, families: Readonly<Record<string, string>>): string | undefined {
  return Object.keys(families).find((family) => model.toLowerCase().includes(family));
}

/**
 * The model wanted, or a cheaper one where no more than the threshold is left of the scarcest window.
 * @param wanted alias or full name
 * @param now ms since the epoch
 */
export function modelFor(
  wanted: string,
  windows: Windows | null,
  limits: Pick<ClaudeLimits, 'fallBackAt' | 'limitFallbacks'>,
  now: number,
): ModelChoice {
  const same: ModelChoice = { model: wanted, fellBack: null };
  if (limits.fallBackAt <= 0 || windows === null) return same;
  const family = familyIn(wanted, limits.limitFallbacks);
  const model = family === undefined ? undefined : limits.limitFallbacks[family];
  if (model === undefined || model === wanted) return same;
  const left = leftOf(windows, now, wanted);
  return left <= limits.fallBackAt ? { model, fellBack: { from: wanted, to: model, left } } : same;
}

/** The model that the CLI takes where Claude's API is overloaded; null for none. The CLI refuses one that is the same. */
export function overloadModel(model: string, limits: Pick<ClaudeLimits, 'overloadFallbacks'>): string | null {
  const family = familyIn(model, limits.overloadFallbacks);
  const other = family === undefined ? undefined : limits.overloadFallbacks[family];
  return other === undefined || other === family || other === model ? null : other;
}
