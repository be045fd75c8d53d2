/** Work that is called off: by a person's stop, or because its ground is gone. */
import { SANDBOX_LANE } from './effects.ts';
import type { EventOf, Withdrawal } from './events.ts';
import { currentTurn, isLive, type PhaseState, type Turn, threadsOf } from './state.ts';
import type { Step } from './step.ts';
import { endTurn, stopped } from './turn.ts';

export function stopRequested(step: Step, event: EventOf<'stop-requested'>): void {
  const { author, source } = event;
  step.record({ kind: 'stop-requested', author, source });
  const thread = event.agentSessionId;
  const { phase } = step.state;
  switch (phase.name) {
    case 'waiting':
      if (thread !== null) step.say(thread, { type: 'response', body: 'Nothing is running here.' });
      return;
    case 'saving':
      // Claude is done; the closing answer is on its way. What was waiting for the next turn is not begun.
      step.enter({ ...phase, turn: owing(phase.turn, event) });
      dropQueue(step);
      return;
    case 'stopping':
      step.enter({ ...phase, turn: owing(phase.turn, event) });
      return;
    case 'asking':
      if (!isAtWork(phase)) {
        step.enter({ ...phase, turn: owing(phase.turn, event) });
        const text =
          phase.about.kind === 'repository' ? 'Stopped before Claude began; nothing was changed.' : 'Stopped.';
        endTurn(step, stopped(null, text), null);
        return;
      }
      stopWork(step, owing(phase.turn, event), event.id, author, 'Stopped');
      return;
    case 'parked':
    case 'queued':
      step.enter({ ...phase, turn: owing(phase.turn, event) });
      dropQueue(step);
      endTurn(step, stopped(null, IDLE_WORDS[phase.name]), null);
      return;
    case 'starting':
    case 'working':
      step.enter({ ...phase, turn: owing(phase.turn, event) });
      dropQueue(step);
      stopWork(step, owing(phase.turn, event), event.id, author, 'Stopped');
  }
}

/** Ends what runs: the sandbox is told, and the closing answer follows once it has saved. */
function stopWork(step: Step, turn: Turn, id: string, author: string | null, words: string): void {
  step.transition.cancelledLanes.push(SANDBOX_LANE);
  step.enter({ name: 'stopping', since: step.now, turn, author, words: `${words}.` });
  if (step.state.sandbox.streamId === null) {
    endTurn(step, stopped(null, `${words} before Claude began; nothing was changed.`), null);
  }
  step.effect({ kind: 'stop-sandbox', id, turn: turn.number });
  step.effect({ kind: 'index-session' });
}

/** How a turn ends that was stopped while nothing ran for it. */
const IDLE_WORDS = {
  parked: "Stopped while it waited for Claude's limit.",
  queued: 'Stopped while it waited in line.',
};

const WITHDRAWAL_WORDS: Record<Withdrawal, string> = {
  unassigned: 'Stopped, because the issue was taken away from Cyrus',
  completed: 'Stopped, because the issue was completed',
  canceled: 'Stopped, because the issue was canceled',
  removed: 'Stopped, because the issue was removed',
  'no-access': "Stopped, because Cyrus lost access to the issue's team",
  uninstalled: 'Stopped, because Cyrus was uninstalled from the workspace',
};

export function withdrawn(step: Step, event: EventOf<'withdrawn'>): void {
  const { phase, issue } = step.state;
  if (event.why === 'no-access' && !event.teamIds.includes(issue?.teamId ?? '')) return;
  step.set({ expectedThread: null, isMuted: event.why === 'uninstalled' });
  if (phase.name === 'waiting' || phase.name === 'stopping') return;
  const words = WITHDRAWAL_WORDS[event.why];
  step.record({ kind: 'notice', level: 'info', text: `${words}.` });
  dropQueue(step);
  const isIdle = phase.name === 'parked' || phase.name === 'queued' || (phase.name === 'asking' && !isAtWork(phase));
  if (isIdle) endTurn(step, stopped(null, `${words}.`), null);
  else if (phase.name !== 'saving') stopWork(step, phase.turn, event.id, event.author, words);
}

/** The gateway has met the decoy credential: whatever runs in the sandbox is not to be trusted any more. */
export function alarmRaised(step: Step, { id, host }: EventOf<'alarm-raised'>): void {
  const { phase } = step.state;
  const words = `Stopped, because something in the sandbox tried to send a credential to ${host}`;
  step.record({
    kind: 'notice',
    level: 'error',
    text: `${words}. It was a decoy that opens nothing, and the request was not let through; but code in this repository, or a package it uses, collects credentials. The network log shows what it reached before.`,
  });
  if (phase.name !== 'starting' && phase.name !== 'working') return;
  dropQueue(step);
  stopWork(step, phase.turn, id, null, words);
}

/** Whether a sandbox waits for the answer to a question. */
function isAtWork({ about }: Extract<PhaseState, { name: 'asking' }>): boolean {
  return isLive(about);
}

/** The turn, owing the thread that asks to stop an answer, whether or not it asked for the work. */
function owing(turn: Turn, { id, agentSessionId }: EventOf<'stop-requested'>): Turn {
  if (agentSessionId === null || threadsOf(turn).includes(agentSessionId)) return turn;
  return { ...turn, prompts: [...turn.prompts, { promptId: id, agentSessionId }] };
}

/** Prompts that wait for the next turn are given up by a stop; each of their threads gets its closing answer. */
function dropQueue(step: Step): void {
  const answered = new Set(currentTurn(step.state)?.prompts.map((prompt) => prompt.agentSessionId));
  for (const thread of new Set(step.state.queue.map((prompt) => prompt.agentSessionId))) {
    if (thread !== null && !answered.has(thread)) {
      step.say(thread, { type: 'response', body: 'Stopped before Claude took this up.' });
    }
  }
  step.set({ queue: [] });
}
