/** Before a turn begins: whether Claude can be reached at all, and which model what is left of the limits allows. */

import { type FellBack, modelFor, overloadModel } from '../../../claude-quota/model-choice.ts';
import { current, type Window, type Windows } from '../../../claude-quota/windows.ts';
import { claudeAccount } from '../../../gateway/claude/account.ts';
import { asError } from '../../../lib/error.ts';
import { log } from '../../../observability/log.ts';
import type { StartSession } from '../../../protocol/sandbox/start.ts';
import type { Surroundings } from '../effect-context.ts';

/** How Claude is started for this turn. */
export interface Ready {
  claude: Pick<StartSession['claude'], 'model' | 'fallbackModel' | 'answerSeconds' | 'stallSeconds'>;
  fellBack: FellBack | null;
  /** The limits of the token that the session will use; empty if nothing is known. */
  windows: Window[];
}

/**
 * @param wanted the model, by alias or full name
 * @returns how it is started; or why it cannot be, in words that say what to do
 */
export async function claudeReadiness(
  { env, config, state }: Pick<Surroundings, 'env' | 'config' | 'state'>,
  wanted: string,
): Promise<Ready | { problem: string }> {
  const now = Date.now();
  let windows: Windows | null = null;
  try {
    const readiness = await claudeAccount(env).readiness(state.id);
    if (readiness.problem !== null) return { problem: readiness.problem };
    windows = readiness.windows;
  } catch (error) {
    // Without it the turn begins as usual; what is wrong shows soon enough.
    log('claude.account.unreachable', { session: state.id, error: asError(error) });
  }
  const { model, fellBack } = modelFor(wanted, windows, config.limits, now);
  const fallbackModel = overloadModel(model, config.limits);
  return {
    claude: {
      model,
      ...(fallbackModel !== null && { fallbackModel }),
      answerSeconds: config.limits.answerMs / 1000,
      stallSeconds: config.limits.stallMs / 1000,
    },
    fellBack,
    windows: windows === null ? [] : current(windows, now),
  };
}
