/** Which of the rules people made for agents hold for a session. */
import type { AgentSession, Team } from '../state/model.ts';
import type { World } from '../state/world.ts';

export interface GuidanceRule {
  body: string;
  /** Who says so; null: the workspace. */
  team: Team | null;
}

/**
 * The rules of the workspace, of the issue's team, and of the teams that one is a part of, in the order in which they were made. Which
 * one is nearest is for the agent to find out.
 */
export function guidanceFor(world: World, { issueId }: Pick<AgentSession, 'issueId'>): GuidanceRule[] {
  const issue = world.issueOrNull(issueId);
  const teams = issue ? world.teamAndParents(world.teamOf(issue)) : [];
  return world.guidance.flatMap(({ body, origin, team: key }): GuidanceRule[] => {
    if (origin === 'workspace') return [{ body, team: null }];
    const team = key === undefined ? teams[0] : teams.find((candidate) => candidate.key === key);
    return team ? [{ body, team }] : [];
  });
}
