/** What pages show of a session, derived from its state. */

import type { SessionView } from '../../protocol/viewer.ts';
import { currentTurn } from '../lifecycle/model/phases.ts';
import { addUsage, type SessionState } from '../lifecycle/model/state.ts';
import { askedOf } from '../lifecycle/questions/pending-questions.ts';
import { reasonOf } from '../lifecycle/session-row.ts';
import { limitsView } from '../lifecycle/turn/limit-notices.ts';

/** What a state does not know of its session. */
export interface ViewContext {
  workspaceName: string;
  scriptedModel: boolean;
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
    pullRequest: pullRequestOf(state),
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
    ...(state.plan.items.length > 0 && {
      plan: state.plan.items.map(({ content, status }) => ({ content, status })),
    }),
    ...(state.background && { background: state.background.commands }),
    failedEffects: state.failedEffects,
    ...limitsView(state),
    createdAt: state.createdAt,
    updatedAt: state.updatedAt,
  };
}

/** What is for the session alone (`isOver`) is left out. */
function pullRequestOf({ proposal }: SessionState): SessionView['pullRequest'] {
  if (!proposal?.pullRequest) return null;
  const { number, url, draft, seen } = proposal.pullRequest;
  return { number, url, draft, ...(seen && { seen }) };
}
