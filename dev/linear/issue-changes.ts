/** A change to an issue, no matter who makes it: what follows from it, and who is told. */
import { isDeepStrictEqual } from 'node:util';
import { emit, type Simulation } from './simulation.ts';
import type { Issue, StateType, User } from './state/model.ts';

export type IssueChanges = Partial<
  Pick<Issue, 'title' | 'description' | 'stateId' | 'delegateId' | 'assigneeId' | 'labelIds' | 'projectId'>
>;

/**
 * Applies changes, already checked, and sends what Linear sends: the Issue event with the former values, and for the agent the
 * notifications about what others did to an issue it works on.
 * @param actor who did it; null: an automation
 * @returns whether anything changed
 */
export function changeIssue(simulation: Simulation, issue: Issue, changes: IssueChanges, actor: User | null): boolean {
  const { world, clock, payloads } = simulation;
  const updatedFrom: Record<string, unknown> = {};
  for (const key of Object.keys(changes) as (keyof IssueChanges)[]) {
    if (changes[key] !== undefined && !isDeepStrictEqual(changes[key], issue[key])) updatedFrom[key] = issue[key];
  }
  if (Object.keys(updatedFrom).length === 0) return false;

  const now = clock.now();
  const before = { stateType: world.stateOf(issue).type, delegateId: issue.delegateId };
  updatedFrom.updatedAt = new Date(issue.updatedAt).toISOString();
  Object.assign(issue, changes, { updatedAt: now });
  if ('stateId' in updatedFrom) stampState(issue, before.stateType, world.stateOf(issue).type, now);
  world.changed(issue.id);

  emit(simulation, payloads.issueUpdated(issue, actor, updatedFrom));
  if (actor?.app) return true;
  const agent = world.appUser.id;
  const takenAway = before.delegateId === agent && issue.delegateId !== agent;
  const given = before.delegateId !== agent && issue.delegateId === agent;
  if (takenAway) emit(simulation, payloads.notification('issueUnassignedFromYou', issue, actor));
  if (given) emit(simulation, payloads.notification('issueAssignedToYou', issue, actor));
  if ('stateId' in updatedFrom && issue.delegateId === agent) {
    emit(simulation, payloads.notification('issueStatusChanged', issue, actor));
  }
  return true;
}

/** The times of an issue follow its state. */
function stampState(issue: Issue, from: StateType, to: StateType, now: number): void {
  if (from === to) return;
  if (to === 'started') issue.startedAt ??= now;
  if (to === 'triage' || to === 'backlog' || to === 'unstarted') issue.startedAt = null;
  issue.completedAt = to === 'completed' ? now : null;
  issue.canceledAt = to === 'canceled' || to === 'duplicate' ? now : null;
}
