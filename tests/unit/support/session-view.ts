/** What the page knows of a session, for tests of what it does with it. */
import type { SessionView } from '../../../src/protocol/viewer.ts';

/** A session at work. @param change what is different */
export function sessionView(change: Partial<SessionView> = {}): SessionView {
  return {
    id: 's',
    issue: null,
    workspaceName: 'Acme',
    repository: null,
    branch: null,
    phase: 'working',
    reason: '',
    asked: null,
    phaseSince: 0,
    turn: 1,
    turnStartedAt: null,
    lastOutcome: null,
    model: null,
    usage: { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheCreationTokens: 0 },
    costUsd: null,
    scriptedModel: false,
    failedEffects: 0,
    createdAt: 0,
    updatedAt: 0,
    ...change,
  };
}
