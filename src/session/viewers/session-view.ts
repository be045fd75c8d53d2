/** What pages show of a session, derived from its state. */

import type { SessionRow, SessionView } from '../../protocol/viewer.ts';
import { clockTime } from '../lifecycle/model/clock-time.ts';
import { addUsage, currentTurn, type SessionState } from '../lifecycle/model/state.ts';
import { askedOf } from '../lifecycle/questions/pending-questions.ts';
import { placeWords } from '../lifecycle/start/queue-slot.ts';
import { limitsView } from '../lifecycle/turn/limit-notices.ts';

/** What a state does not know of its session. */
export interface ViewContext {
  workspaceName: string;
  scriptedModel: boolean;
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
      return placeWords(phase.place);
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

export function viewOf(state: SessionState, context: ViewContext): SessionView {
  const { issue } = state;
  return {
    id: state.id,
    issue: issue ? { identifier: issue.identifier, title: issue.title, url: issue.url } : null,
    workspaceName: context.workspaceName,
    repository: state.repository,
    branch: state.branch,
    ...(state.narration.cwd !== null && { cwd: state.narration.cwd }),
    pullRequest: state.proposal?.pullRequest ?? null,
    phase: state.phase.name,
    reason: reasonOf(state),
    phaseSince: state.phase.since,
    asked: askedOf(state),
    turn: state.turns,
    turnStartedAt: currentTurn(state)?.startedAt ?? null,
    lastOutcome: state.lastOutcome,
    model: state.model,
    usage: addUsage(state.usage, state.turnUsage),
    costUsd: state.costUsd,
    scriptedModel: context.scriptedModel,
    ...(state.background && { background: state.background.commands }),
    failedEffects: state.failedEffects,
    ...limitsView(state),
    createdAt: state.createdAt,
    updatedAt: state.updatedAt,
  };
}

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
    createdAt: state.createdAt,
    updatedAt: state.updatedAt,
  };
}
