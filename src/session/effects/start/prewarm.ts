/**
 * The container starts while the issue is still being read, if nothing that the issue says could forbid or change it: then
 * the first start waits for the longer of the two instead of for both.
 */
import { asError } from '../../../lib/error.ts';
import { log } from '../../../observability/log.ts';
import type { WorkspaceSettings } from '../../../protocol/settings/access-rules.ts';
import type { SlotAnswer } from '../../../protocol/settings/start-limits.ts';
import { placementOf, sandboxFor } from '../../../sandbox/choose.ts';
import type { RepositorySummary } from '../../../store/workspaces/repositories.ts';
import type { Surroundings } from '../effect-context.ts';
import { takeSlot } from '../queue-slots.ts';
import { certainPlacement } from './known-placement.ts';

/**
 * Begins to start the container of a session whose repository is not known yet. Fails silently: the start itself says why.
 * @returns the session's queue position, as `takeSlot` says, which is asked for along with it; null if it is too early for both
 */
export function warmUp(
  generation: number,
  surroundings: Surroundings,
  repositories: RepositorySummary[],
  workspace: WorkspaceSettings,
): Promise<SlotAnswer> | null {
  const { state, config } = surroundings;
  const settings = repositories.map((repository) => repository.settings);
  const placements = settings.map((one) => placementOf(one, config));
  const placement = certainPlacement(state, placements, [workspace, ...settings]);
  if (placement === null) return null;
  const position = takeSlot(surroundings);
  const begin = async () => {
    if ((await position).position > 0) return;
    const arrangement = { placement };
    await sandboxFor({ ...surroundings, state: { ...state, arrangement } }, state.id, generation).warm(state.id);
  };
  void begin().catch((error: unknown) => {
    log('sandbox.warm.failed', {
      session: state.id,
      error: asError(error),
    });
  });
  return position;
}
