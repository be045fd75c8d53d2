/** What the start of a sandbox comes to: it is up, or a person has to choose, or may not, or the session waits. */
import { isByPerson } from '../model/admission.ts';
import { byPhase, onlyIn } from '../model/by-phase.ts';
import { SANDBOX_SILENCE_MS } from '../model/deadlines.ts';
import type { EffectResults, Started } from '../model/effect-results.ts';
import type { EffectOf } from '../model/effects.ts';
import { currentTurn, type PhaseOf, threadsOf } from '../model/phases.ts';
import type { SandboxState } from '../model/state.ts';
import type { Step } from '../model/transition.ts';
import { takeUpIssue } from '../prompts.ts';
import { nameBranch } from '../sandbox-reports.ts';
import { joinQueue } from '../start/queue-slot.ts';
import { admit, refuse } from '../start/refuse.ts';
import { ask } from '../start/repository-choice.ts';
import { failTurn } from '../turn/end.ts';
import { tellFallback } from '../turn/limit-notices.ts';
import { notePullRequest } from '../turn/pull-request.ts';
import { replaceSandbox, takeUnseenLoss } from '../turn/sandbox-retries.ts';

/** Takes in the outcome of a start. What was meant for an earlier life of the sandbox changes nothing. */
export function startDone(step: Step, effect: EffectOf<'start-sandbox'>, result: EffectResults['start-sandbox']): void {
  const { generation } = step.state.sandbox;
  if (result.kind === 'lost') {
    if (result.generation === generation) replaceSandbox(step);
    return;
  }
  if (effect.generation !== generation) return;
  switch (result.kind) {
    case 'unsure':
      step.set({ access: result.access });
      ask(step, result);
      break;
    case 'blocked':
      failTurn(step, 'authentication_failed', result.text);
      break;
    case 'queued':
      joinQueue(step, result.position, result.limit);
      break;
    case 'refused':
      step.set({ access: result.access });
      refuse(step, result.text);
      break;
    case 'started':
      sandboxStarted(step, result, effect.look);
      break;
  }
}

/** @param look it was looked for because it was silent */
function sandboxStarted(step: Step, result: Started, look?: boolean): void {
  const { sandbox } = step.state;
  const { repository, baseBranch, baseWish, baseWishBy, author, arrangement, access } = result;
  const isDecidedNow = step.state.arrangement === null;
  step.set({
    repository,
    baseBranch,
    ...(baseWish !== undefined && { baseWish }),
    ...(baseWishBy && { baseWishBy }),
    ...(result.identity !== undefined && { cloneOf: { repository, identity: result.identity } }),
    ...(author && { author }),
    arrangement,
    access,
  });
  if (isDecidedNow && result.branch !== undefined) nameBranch(step, result.branch);
  if (result.choice !== undefined) tellChoice(step, result.choice);
  if (isDecidedNow && result.branchNote) tellOfBranch(step, result.branchNote);
  if (result.pullRequest) notePullRequest(step, result.pullRequest);
  admit(step, access);
  if (isDecidedNow && currentTurn(step.state)?.prompts.some(isByPerson)) takeUpIssue(step);
  if (sandbox.streamId !== null && sandbox.streamId !== result.status.streamId) {
    replaceSandbox(step);
    return;
  }
  step.set({ sandbox: { ...sandbox, streamId: result.status.streamId, heardAt: step.now } });
  tellFallback(step, result);
  noteStarted(step);
  const { state, lastSeq } = result.status;
  const isIdle = (state === 'ready' || state === 'closed') && lastSeq === sandbox.cursor;
  // Looked for because it was silent, and found idle: prompts go before in the same lane, so it should be at work.
  if (isIdle && (look || shouldBeAtWork(step))) takeUnseenLoss(step);
  if (look && cannotReport(sandbox, result.status)) tellUnreported(step);
}

/** From now on the turn has its slot. */
const noteStarted = onlyIn({
  starting: (step, phase) => step.enter({ ...phase, turn: { ...phase.turn, startedAs: phase.turn.number } }),
});

const shouldBeAtWork = byPhase<[], boolean>(
  {
    working: () => true,
    // A start that had to wait for something else comes before its prompts.
    starting: (step, phase) => !phase.isDelayed && step.now - phase.since >= SANDBOX_SILENCE_MS,
  },
  () => false,
);

/** Whether a sandbox has things to report of which none has arrived since its life began. It was looked for because of that. */
export function cannotReport(sandbox: SandboxState, status: Started['status']): boolean {
  return sandbox.streamId !== null && sandbox.cursor === 0 && status.lastSeq > 0;
}

/** It is there and is reached, but does not reach Cyrus: people are told where it looks for it. */
const tellUnreported = onlyIn({ starting: tellWhereItReports });

function tellWhereItReports(step: Step, phase: PhaseOf<'starting'>): void {
  const { arrangement, origin } = step.state;
  const where = arrangement?.placement?.kind === 'container' ? 'Cyrus' : `Cyrus at ${origin}, which is PUBLIC_URL`;
  const reason = `Waiting for the sandbox: it runs, but does not reach ${where}`;
  if (phase.reason === reason) return;
  step.enter({ ...phase, reason });
  step.record({ kind: 'notice', level: 'warning', text: `${reason}.` });
  const what = 'An admin has to correct that address, or to let the machine of the sandbox reach it';
  step.announce(threadsOf(phase.turn), `${reason}. ${what}; Cyrus keeps trying.`);
}

/** Where the work is done, from what and with which model: a person who sees a wrong choice can correct it. */
function tellChoice(step: Step, text: string): void {
  step.record({ kind: 'notice', level: 'info', text });
  const turn = currentTurn(step.state);
  step.think(turn ? threadsOf(turn) : [], text);
}

/** The branch has another name than the template gives it, or cannot be pushed. */
function tellOfBranch(step: Step, text: string): void {
  step.record({ kind: 'notice', level: 'info', text });
  const turn = currentTurn(step.state);
  step.announce(turn ? threadsOf(turn) : [], text);
}
