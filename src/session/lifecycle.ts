/**
 * The lifecycle of an issue session: a pure function from a state and an event to the next state, the journal entries
 * and the effects. Everything that can happen is an event; time and ids are passed in.
 */
import { endStream, readLine } from '../claude/stream.ts';
import type { JournalBody } from '../protocol/journal.ts';
import type { SandboxEvent, SandboxStep } from '../protocol/sandbox.ts';
import { dueDeadlines, SANDBOX_SILENCE_MS } from './deadlines.ts';
import { describeEffect, SANDBOX_LANE } from './effects.ts';
import type { SessionEvent } from './events.ts';
import { currentTurn, type SessionState, type Turn, threadsOf } from './state.ts';
import { Step, type StepContext, type Transition } from './step.ts';
import {
  beginTurn,
  endTurn,
  failTurn,
  replaceSandbox,
  startSandbox,
  stopped,
  takeLoss,
  takeResult,
  takeSaved,
} from './turn.ts';

/** What `event` makes of `state`. Total: every event is defined in every state. */
export function reduce(state: SessionState, event: SessionEvent, context: StepContext): Transition {
  const step = new Step(state, context);
  switch (event.type) {
    case 'prompted':
      prompted(step, event);
      break;
    case 'stop-requested':
      stopRequested(step, event);
      break;
    case 'sandbox-reported':
      sandboxReported(step, event);
      break;
    case 'effect-done':
      effectDone(step, event);
      break;
    case 'effect-failed':
      effectFailed(step, event);
      break;
    case 'deadline':
      deadlinePassed(step);
      break;
  }
  step.set({ revision: state.revision + 1, updatedAt: context.now });
  return step.transition;
}

type Event<T extends SessionEvent['type']> = Extract<SessionEvent, { type: T }>;

function prompted(step: Step, event: Event<'prompted'>): void {
  const { promptId, author, source, text } = event;
  const thread = event.agentSessionId ?? latestThread(step.state);
  const isNew = thread !== null && !(thread in step.state.agentSessions);
  step.record({ kind: 'prompt', promptId, agentSessionId: thread, author, source, text });
  const { phase } = step.state;
  if (thread !== null) {
    acknowledge(step, thread, isNew, phase.name);
    // A person's request moves the issue to started; an automation's leaves it (docs: linear.app/developers/agents).
    if (isNew && author !== null && step.state.issue) {
      step.effect({ kind: 'start-issue', issueId: step.state.issue.id });
    }
  }
  const prompt = { promptId, agentSessionId: thread };
  switch (phase.name) {
    case 'waiting':
      beginTurn(step, [{ ...prompt, delivered: false }]);
      return;
    case 'starting':
    case 'working':
      step.enter({ ...phase, turn: { ...phase.turn, prompts: [...phase.turn.prompts, prompt] } });
      step.effect({ kind: 'prompt-sandbox', promptId, turn: phase.turn.number });
      return;
    case 'saving':
    case 'stopping':
      step.set({ queue: [...step.state.queue, { ...prompt, delivered: false }] });
  }
}

/** Linear wants a first activity within 10 s, and the page linked at once (docs: linear.app/developers/agents). */
function acknowledge(step: Step, thread: string, isNew: boolean, phase: SessionState['phase']['name']): void {
  if (isNew) {
    const words = phase === 'waiting' ? 'On it. Starting a sandbox for Claude.' : 'On it. Claude is told at once.';
    step.think(thread, words);
    step.effect({ kind: 'link-page', agentSessionId: thread });
    return;
  }
  if (phase === 'waiting') step.think(thread, 'Picking this up again.');
  else if (phase === 'starting' || phase === 'working') step.think(thread, 'Passed on to Claude.', true);
  else step.think(thread, 'Claude takes this up as soon as the work so far is saved.', true);
}

function latestThread(state: SessionState): string | null {
  return Object.keys(state.agentSessions).at(-1) ?? null;
}

function stopRequested(step: Step, event: Event<'stop-requested'>): void {
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
      dropQueue(step);
      step.enter({ ...phase, turn: owing(phase.turn, event) });
      return;
    case 'stopping':
      step.enter({ ...phase, turn: owing(phase.turn, event) });
      return;
    case 'starting':
    case 'working': {
      dropQueue(step);
      step.transition.cancelledLanes.push(SANDBOX_LANE);
      const turn = owing(phase.turn, event);
      step.enter({ name: 'stopping', since: step.now, turn, author });
      if (step.state.sandbox.streamId === null) {
        endTurn(step, stopped(null, 'Stopped before Claude began; nothing was changed.'), null);
      }
      step.effect({ kind: 'stop-sandbox', id: event.id, turn: turn.number });
      step.effect({ kind: 'index-session' });
    }
  }
}

/** The turn, owing the thread that asks to stop an answer, whether or not it asked for the work. */
function owing(turn: Turn, { id, agentSessionId }: Event<'stop-requested'>): Turn {
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

function sandboxReported(step: Step, { batch }: Event<'sandbox-reported'>): void {
  step.set({ sandbox: { ...step.state.sandbox, heardAt: step.now, streamId: batch.streamId } });
  for (const event of batch.events) {
    const { sandbox } = step.state;
    if (event.seq <= sandbox.cursor) continue;
    // A gap: the answer names the last number stored, and the sandbox goes on from there.
    if (event.seq !== sandbox.cursor + 1) return;
    step.set({ sandbox: { ...sandbox, cursor: event.seq } });
    sandboxEvent(step, event);
  }
}

function sandboxEvent(step: Step, event: SandboxEvent): void {
  switch (event.type) {
    case 'line':
      claudeLine(step, event.line, event.at);
      return;
    case 'step': {
      const { type: _type, seq: _seq, at, ...body } = event;
      step.record({ kind: 'step', ...body }, undefined, at);
      if (event.status === 'started') reasonForStarting(step, STEP_WORDS[event.step]);
      return;
    }
    case 'ready':
      reasonForStarting(step, 'Starting Claude');
      return;
    case 'cli-started':
      return;
    case 'stderr':
      step.record({ kind: 'output', source: 'stderr', text: event.text }, undefined, event.at);
      return;
    case 'setup-output':
      step.record({ kind: 'output', source: 'setup', text: event.text }, undefined, event.at);
      return;
    case 'cli-exited':
      forgetOpenBlocks(step);
      if (event.duringTurn) takeLoss(step, EXIT_WORDS[event.cause]);
      return;
    case 'saved': {
      const { type: _type, seq: _seq, at, turn: _turn, ...body } = event;
      step.record({ kind: 'saved', ...body }, undefined, at);
      takeSaved(step);
      return;
    }
    case 'failed':
      failTurn(step, `${event.step}_failed`, `${event.message}\n\n${event.hint}`);
  }
}

/** What Claude was writing when its process ended will not be finished. */
function forgetOpenBlocks(step: Step): void {
  const { state: reader, live } = endStream(step.state.reader);
  step.set({ reader });
  for (const dropped of live) step.live(dropped);
}

const STEP_WORDS: Record<SandboxStep, string> = {
  mirror: 'Fetching the repository',
  worktree: 'Checking out the branch',
  setup: 'Running cyrus-setup.sh',
  claude: 'Starting Claude',
  save: 'Committing and pushing',
};

const EXIT_WORDS: Record<Extract<SandboxEvent, { type: 'cli-exited' }>['cause'], string> = {
  idle: "Claude's process ended",
  stop: "Claude's process was stopped",
  silent: "Claude's process fell silent and was ended",
  crash: "Claude's process ended unexpectedly",
};

function reasonForStarting(step: Step, reason: string): void {
  const { phase } = step.state;
  if (phase.name === 'starting') step.enter({ ...phase, reason });
}

function claudeLine(step: Step, line: string, at: number): void {
  const { state: reader, read } = readLine(step.state.reader, line);
  step.set({ reader });
  for (const { body, block } of read.entries) claudeEntry(step, body, block, at);
  for (const live of read.live) {
    if (live.type === 'usage') step.set({ turnUsage: live.usage });
    else step.live(live);
  }
}

function claudeEntry(step: Step, body: JournalBody, block: string | undefined, at: number): void {
  if (body.kind === 'claude-started') {
    step.set({ model: body.model });
    const { phase } = step.state;
    // Claude speaks unasked, e.g. because a background task ended: a turn of its own, which the page shows. No thread is
    // owed an answer, and one that had its answer gets no second.
    if (phase.name === 'waiting') beginTurn(step, []);
    if (phase.name === 'starting') {
      step.enter({ name: 'working', since: step.now, turn: phase.turn });
      step.effect({ kind: 'index-session' });
    }
  }
  if (body.kind === 'rate-limit') step.set({ limit: { limit: body.limit, resetsAt: body.resetsAt } });
  step.record(body, block, at);
  if (body.kind === 'result') takeResult(step, body);
}

function effectDone(step: Step, { effect, result }: Event<'effect-done'>): void {
  if (effect.kind !== 'start-sandbox' || !result) return;
  const { sandbox } = step.state;
  if (effect.generation !== sandbox.generation) return;
  step.set({ repository: result.repository });
  if (sandbox.streamId !== null && sandbox.streamId !== result.status.streamId) {
    replaceSandbox(step);
    return;
  }
  step.set({ sandbox: { ...sandbox, streamId: result.status.streamId, heardAt: step.now } });
  // Looked for because it was silent, and found idle: prompts go before in the same lane, so it should be at work.
  const { phase } = step.state;
  const { state, lastSeq } = result.status;
  const isAwaited =
    phase.name === 'working' || (phase.name === 'starting' && step.now - phase.since >= SANDBOX_SILENCE_MS);
  if (isAwaited && (state === 'ready' || state === 'closed') && lastSeq === sandbox.cursor) {
    takeLoss(step, 'The sandbox had dropped the work');
  }
}

function effectFailed(step: Step, event: Event<'effect-failed'>): void {
  const { effect, attempts, error, hint } = event;
  step.record({ kind: 'effect-failed', effect: describeEffect(effect), attempts, error });
  step.set({ failedEffects: step.state.failedEffects + 1 });
  if (effect.kind !== 'start-sandbox' && effect.kind !== 'prompt-sandbox') return;
  const text = `${describeEffect(effect)} failed: ${error}\n\n${hint ?? 'Comment to try again.'}`;
  if (effect.kind === 'prompt-sandbox' && answerQueued(step, effect.promptId, text)) return;
  const { phase } = step.state;
  if (phase.name === 'starting' || phase.name === 'working') failTurn(step, 'sandbox_unreachable', text);
}

/** A prompt that waits for the next turn and cannot be delivered is answered by itself. @returns whether it was one */
function answerQueued(step: Step, promptId: string, text: string): boolean {
  const queued = step.state.queue.find((prompt) => prompt.promptId === promptId);
  if (!queued) return false;
  step.set({ queue: step.state.queue.filter((prompt) => prompt !== queued) });
  if (queued.agentSessionId !== null) step.say(queued.agentSessionId, { type: 'error', body: text });
  return true;
}

function deadlinePassed(step: Step): void {
  for (const due of dueDeadlines(step.state, step.now)) {
    switch (due.name) {
      case 'stop': {
        const text = 'Stopped. The sandbox did not confirm in time; what was committed before is on the branch.';
        endTurn(step, stopped(null, text), null);
        return;
      }
      case 'save': {
        const { phase } = step.state;
        if (phase.name !== 'saving') return;
        step.record({
          kind: 'notice',
          level: 'warning',
          text: 'The sandbox did not report that the work was saved. It may be missing on the branch.',
        });
        endTurn(step, phase.ending, phase.early);
        return;
      }
      case 'silence':
        startSandbox(step);
        break;
      case 'heartbeat':
        step.think(due.agentSessionId, stillWorking(step), true);
        break;
    }
  }
}

function stillWorking(step: Step): string {
  const turn = currentTurn(step.state);
  const minutes = Math.round((step.now - (turn?.startedAt ?? step.now)) / 60_000);
  return `Still working, for ${minutes} minutes now.`;
}

/**
 * Whether a batch belongs to the current life of the sandbox.
 * @returns null, or why it is refused
 */
export function fence(
  state: SessionState,
  batch: { generation: number; streamId: string },
): { message: string } | null {
  const { generation, streamId } = state.sandbox;
  if (batch.generation !== generation) {
    return { message: `this session lives in generation ${generation}, not ${batch.generation}` };
  }
  if (streamId !== null && streamId !== batch.streamId) {
    return { message: 'another sandbox has taken over this session' };
  }
  return null;
}
