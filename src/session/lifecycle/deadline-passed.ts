/** What happens when time is up. Deadlines are derived from the state (model/deadlines.ts), each phase has its own. */
import { lookAgain } from '../../kernel/second-look.ts';
import { byPhase } from './model/by-phase.ts';
import { type Deadline, dueDeadlines } from './model/deadlines.ts';
import { isAsking, type PhaseOf, type StopKind, type Turn } from './model/phases.ts';
import { OPENING } from './model/state.ts';
import type { Step } from './model/transition.ts';
import { tellEdit } from './prompts.ts';
import { askAgain } from './pull-request/news.ts';
import { expire } from './questions/answer.ts';
import { park } from './questions/ask.ts';
import { askForSlot, queuedReason } from './start/queue-slot.ts';
import { endTurn } from './turn/end.ts';
import { waitNoLonger } from './turn/pull-request.ts';
import { askForRoom, resumeParked } from './turn/resumption.ts';
import { lookForSandbox, purgeSandbox } from './turn/sandbox-life.ts';
import { ALARM_REASON, stopped } from './turn/save.ts';
import { remindOfParking } from './turn/usage-limit.ts';

/** Does what is due. When a turn has ended or gone on by that, what else was due was of the phase before. */
export function deadlinePassed(step: Step): void {
  for (const due of dueDeadlines(step.state, step.now)) {
    if (due.name === 'thread') openThread(step);
    else if (due.name === 'edit') tellEdit(step);
    else if (due.name === 'pull-request') askAgain(step);
    else if (passed(step, due)) return;
  }
}

function openThread(step: Step): void {
  const { issue, expectedThread } = step.state;
  if (!issue || !expectedThread) return;
  const { promptId, commentId } = expectedThread;
  step.set({ expectedThread: { ...expectedThread, since: OPENING } });
  step.effect({ kind: 'open-thread', promptId, issueId: issue.id, commentId });
}

/** @returns whether the turn ended, or went on in another phase */
const passed = byPhase<[due: Deadline], boolean>({
  waiting: (step, _phase, due) => {
    if (due.name === 'purge') lookWhetherToPurge(step);
    return false;
  },
  asking: (step, phase) => {
    if (isAsking(phase, 'claude')) park(step, phase);
    else if (isAsking(phase, 'permission')) expire(step, phase);
    return false;
  },
  parked: (step, phase, due) => {
    if (due.name === 'resume') {
      resumeParked(step, phase);
      return true;
    }
    if (due.name === 'heartbeat') remindOfParking(step, phase, due.agentSessionId);
    else askForRoom(step, phase);
    return false;
  },
  queued: (step, phase, due) => {
    if (due.name === 'heartbeat') step.reassure(due.agentSessionId, `${queuedReason(phase)}.`);
    else askForSlot(step, phase);
    return false;
  },
  stopping: (step, { how, words }) => {
    endUnconfirmed(step, how ?? 'stopped', words, null);
    return true;
  },
  saving: savingPassed,
  // What is waited for is worth more than that something is.
  starting: (step, { turn, reason }, due) =>
    atWorkPassed(step, turn, due, reason.startsWith('Waiting') ? reason : 'Still working'),
  working: (step, { turn }, due) => atWorkPassed(step, turn, due, 'Still working'),
});

/** Files of a conversation that has no checkpoint cannot be brought back, so they are deleted at a second look. */
function lookWhetherToPurge(step: Step): void {
  const look = lookAgain(step.state.purgeDueAt ?? null, step.now);
  if (look === 'first') step.set({ purgeDueAt: step.now });
  if (look === 'agreed') purgeSandbox(step);
}

/** @param what how the reminder begins that a thread gets when nothing was said in it for long */
function atWorkPassed(step: Step, { startedAt }: Turn, due: Deadline, what: string): boolean {
  const minutes = Math.round((step.now - startedAt) / 60_000);
  if (due.name === 'heartbeat') step.reassure(due.agentSessionId, `${what}, for ${minutes} minutes now.`);
  else lookForSandbox(step);
  return false;
}

function savingPassed(step: Step, phase: PhaseOf<'saving'>, due: Deadline): boolean {
  switch (due.name) {
    case 'stop':
      endUnconfirmed(step, howOf(phase), phase.ending.text, phase.early);
      return true;
    case 'proposal':
      waitNoLonger(step, phase);
      return true;
    case 'save':
      step.record({
        kind: 'notice',
        level: 'warning',
        text: 'The sandbox did not report that the work was saved. It may be missing from the branch.',
      });
      endTurn(step, phase.ending, phase.early);
      return true;
    default:
      lookForSandbox(step);
      return false;
  }
}

function howOf({ ending }: PhaseOf<'saving'>): StopKind {
  if (ending.reason === ALARM_REASON) return 'alarm';
  return ending.reason === 'withdrawn' ? 'withdrawn' : 'stopped';
}

/** @param words who stopped it and why, or what a secret's alarm says: people are told that, whatever became of the save */
function endUnconfirmed(step: Step, how: StopKind, words: string, early: PhaseOf<'saving'>['early']): void {
  const unconfirmed = 'The sandbox did not confirm in time; what was committed before is on the branch.';
  endTurn(step, stopped(null, `${words} ${unconfirmed}`, how), early);
}
