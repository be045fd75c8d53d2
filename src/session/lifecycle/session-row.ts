/** The session's row in the list of sessions, derived from its state; it is written whenever it has changed (pure). */
import type { PullSummary } from '../../protocol/pull-request.ts';
import type { SessionRow } from '../../protocol/viewer.ts';
import { clockTime } from './model/clock-time.ts';
import type { SessionEvent } from './model/events.ts';
import { isAtRest } from './model/retention.ts';
import type { SessionState } from './model/state.ts';
import type { Step } from './model/transition.ts';
import { queuedReason } from './start/queue-slot.ts';

/** The row of the list. */
export function rowOf(state: SessionState): SessionRow {
  return {
    id: state.id,
    identifier: state.issue?.identifier ?? null,
    title: state.issue?.title ?? 'A conversation without an issue',
    url: state.issue?.url ?? null,
    repository: state.repository,
    phase: state.phase.name,
    reason: reasonOf(state),
    lastOutcome: state.lastOutcome,
    turn: state.turns,
    pullRequest: pullRequestOf(state),
    createdAt: state.createdAt,
    updatedAt: activeAt(state),
  };
}

/** When people or Claude did something last, in ms since the epoch: by this the list is sorted. */
function activeAt(state: SessionState): number {
  return state.activeAt ?? state.updatedAt;
}

/** What happens to a session at rest by itself, or because somebody looks at it. */
const QUIET: ReadonlySet<SessionEvent['type']> = new Set([
  ...([
    'pull-request-news',
    'pull-request-seen',
    'checkpoint-removed',
    'sandbox-ended',
    'sandbox-unreachable',
    'clock-moved',
  ] as const),
  ...(['deadline', 'effect-done', 'effect-failed', 'effect-delayed'] as const),
]);

/**
 * `activeAt` after an event: a session at rest keeps its position in the list while nobody asks it anything.
 * @param before the state before the event
 * @param after the state after it
 * @param now ms since the epoch
 */
export function activeAfter(
  before: SessionState,
  after: SessionState,
  event: SessionEvent,
  now: number,
): number | null {
  const isQuiet = QUIET.has(event.type) && isAtRest(before) && isAtRest(after);
  return isQuiet ? Math.min(activeAt(before), now) : null;
}

/** The pull request as a list shows it; null before there is one. */
function pullRequestOf({ proposal }: SessionState): SessionRow['pullRequest'] {
  if (!proposal?.pullRequest) return null;
  const { number, url, draft, seen } = proposal.pullRequest;
  const unseen: PullSummary = { state: draft ? 'draft' : 'open', checks: 'unknown', review: 'unknown' };
  return { number, url, ...(seen ?? unseen) };
}

/** Whose a session is. `none`: it has no issue; `unknown`: Linear has not said of which team its issue is. */
export interface Whose {
  workspaceId: string;
  team: { id: string } | 'none' | 'unknown';
}

/** Whose the session is, as its issue says now. */
export function whoseOf({ workspaceId, issue }: Pick<SessionState, 'workspaceId' | 'issue'>): Whose {
  if (issue === null) return { workspaceId, team: 'none' };
  return { workspaceId, team: issue.teamId === null ? 'unknown' : { id: issue.teamId } };
}

/** The team as the table has it: empty if there is no issue; null: not known. */
export function teamColumnOf({ team }: Whose): string | null {
  if (typeof team === 'object') return team.id;
  return team === 'none' ? '' : null;
}

/** Has the row written if this event has changed more of it than its time. @param before the state before the event */
export function indexIfChanged(step: Step, before: SessionState): void {
  if (listed(before) !== listed(step.state)) step.effect({ kind: 'index-session' });
}

function listed(state: SessionState): string {
  return JSON.stringify([rowOf({ ...state, updatedAt: 0, activeAt: 0 }), state.branch, whoseOf(state).team]);
}

/** Why the session is where it is, in plain words. */
export function reasonOf(state: SessionState): string {
  const { phase } = state;
  switch (phase.name) {
    case 'starting':
      return phase.reason;
    case 'working':
      return 'Claude is working';
    case 'parked':
      return `Claude's ${phase.why} is used up; continues at ${clockTime(phase.until, state.updatedAt)}`;
    case 'queued':
      return queuedReason(phase);
    case 'asking':
      return askingReason(phase.about);
    case 'saving':
      return phase.proposes ? 'Opening the pull request' : 'Committing and pushing the work';
    case 'stopping':
      return phase.author ? `Stopping, as ${phase.author} asked` : 'Stopping';
    case 'waiting':
      return waitingReason(state);
  }
}

function askingReason(about: Extract<SessionState['phase'], { name: 'asking' }>['about']): string {
  switch (about.kind) {
    case 'repository':
      return 'Which repository is it?';
    case 'claude':
      return 'Claude asks a question';
    case 'permission':
      return `Claude asks to ${about.title}`;
  }
}

function waitingReason(state: SessionState): string {
  switch (state.lastOutcome) {
    case null:
      return 'Nothing has been asked yet';
    case 'completed':
      return 'Done; a comment continues the conversation';
    case 'stopped':
      return 'Stopped; a comment continues the conversation';
    case 'failed':
      return 'Failed; a comment tries again';
  }
}
