/** Where a session will run, if that is certain before its issue was read (pure). */
import type { AccessRules } from '../../../protocol/settings/access-rules.ts';
import type { Placement } from '../../../protocol/settings/placement.ts';
import { currentTurn } from '../../lifecycle/model/phases.ts';
import type { SessionState } from '../../lifecycle/model/state.ts';

/**
 * @param placements of every repository that may be meant
 * @param rules that decide who may ask: those of the workspace and of the repositories
 * @returns null if it is not certain yet, if no container is started there, or if somebody may have to be refused: who may not
 * ask starts nothing
 */
export function certainPlacement(
  state: Pick<SessionState, 'phase'>,
  placements: Placement[],
  rules: AccessRules[],
): Placement | null {
  const [first, ...others] = placements;
  if (first?.kind !== 'container') return null;
  const isSame = others.every((other) => other.kind === 'container' && other.instance === first.instance);
  const hasStranger = (currentTurn(state)?.prompts ?? []).some(({ person }) => person?.outside === true);
  return isSame && rules.every(letsEveryoneIn) && !hasStranger ? first : null;
}

function letsEveryoneIn(rules: AccessRules): boolean {
  const lists = [rules.allowedUsers, rules.blockedUsers, rules.allowedTeams, rules.blockedTeams];
  return lists.every((names) => names.length === 0);
}
