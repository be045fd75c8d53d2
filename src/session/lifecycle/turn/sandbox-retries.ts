/**
 * Claude's process or its sandbox is gone in the middle of a turn. The process comes back where its sandbox is; a sandbox
 * is replaced by another one that takes up the last checkpoint. Either way the turn goes on, in the same conversation, and
 * Claude is told what is known of its last calls and what is not.
 */
import type { SandboxEvent } from '../../../protocol/sandbox/events.ts';
import { cutWhole } from '../../../protocol/text/sendable-text.ts';
import { onlyIn } from '../model/by-phase.ts';
import { clockTime } from '../model/clock-time.ts';
import { answeredEarly, isAtWork, type PhaseOf, type SavingPhase, type Turn } from '../model/phases.ts';
import { type CheckpointNote, nextLife } from '../model/state.ts';
import type { Step } from '../model/transition.ts';
import { callsSince, listCalls, loseCalls, type RecentCall, runningCall } from '../model/unconfirmed-calls.ts';
import { afterExit, afterLoss, inherited, isAtClaude, isOwn, type Request, read, stageOf } from '../requests.ts';
import { resumeWith } from './begin.ts';
import { dropHalted } from './closing.ts';
import { endStopped, failTurn } from './end.ts';
import { handOver, handOverWaiting } from './hand-over.ts';
import { startSandbox } from './sandbox-life.ts';
import { saveStopped } from './save.ts';
import { confirmHalt } from './stops.ts';

type Exit = Extract<SandboxEvent, { type: 'cli-exited' }>;

/** Consecutive sandbox losses without progress that are retried before the turn fails. */
const MAX_LOSSES = 2;
/** The same call may take the process or the sandbox down with it so often. */
const MAX_SAME_CALL = 3;

/**
 * Claude's process ended in the middle of a turn. Its conversation is on the sandbox's disk. `what`: what happened, as the beginning
 * of a sentence; `helpers`: what Claude called those that were at work for it.
 */
export const takeLoss = onlyIn<[what: string, helpers?: readonly string[]]>({
  starting: resumeAfterLoss,
  working: resumeAfterLoss,
  stopping: (step) => saveStopped(step, false),
});

function resumeAfterLoss(
  step: Step,
  phase: PhaseOf<'starting' | 'working'>,
  what: string,
  helpers: readonly string[] = [],
): void {
  const turn = countLoss(step, phase.turn);
  if (isHopeless(turn) || turn.prompts.length === 0) {
    failTurn(step, 'process_lost', givingUp(step, what, turn));
    return;
  }
  step.record({ kind: 'notice', level: 'warning', text: `${what}. The conversation continues where it was.` });
  const text = processLost(step, helpers);
  step.set({ calls: loseCalls(step.state.calls ?? []) });
  if (turn.prompts.some((prompt) => stageOf(prompt) === 'read')) {
    resumeWith(step, turn, text, `${what}; continuing`);
    return;
  }
  // Nothing of this turn is in the conversation: it is asked once more.
  step.enter({ name: 'starting', since: step.now, reason: `${what}; continuing`, turn });
  startSandbox(step);
  handOverWaiting(step);
}

function processLost(step: Step, helpers: readonly string[] = []): string {
  const text = 'Your process ended unexpectedly in the middle of this work; the conversation continues here.';
  return [text, lastCalls(step), lostHelpers(helpers), LOOK_FIRST].filter((part) => part !== '').join('\n\n');
}

/**
 * Claude's process ended: every request it had was read or not, whatever phase this is. What was not goes back, and is
 * handed over again.
 */
export function takeExit(step: Step, event: Exit): void {
  const told = event.prompts ?? null;
  const tells = step.state.sandbox.tellsReading === true && event.duringTurn;
  // Between turns it had nothing; an older sandbox says no more than that.
  const settle = (request: Request) => (told || event.duringTurn ? afterExit(request, told, tells) : request);
  const { queue } = step.state;
  step.set({ queue: queue.map(settle) });
  settleTurn(step, { settle, cause: event.cause, queue });
}

/** What the end of Claude's process means for the requests of the turn. */
interface ProcessEnd {
  /** The state of a request after it. */
  settle: (request: Request) => Request;
  cause: Exit['cause'];
  /** The queue as it was while the process lived. */
  queue: readonly Request[];
}

const settleTurn = onlyIn<[end: ProcessEnd]>({
  starting: settlePrompts,
  working: settlePrompts,
  asking: settlePrompts,
  queued: settlePrompts,
  stopping: settlePrompts,
  parked: (step, phase, { settle }) => endParked(step, phase, withSettled(phase.turn, settle)),
  saving: loseNext,
});

function settlePrompts(
  step: Step,
  phase: PhaseOf<'starting' | 'working' | 'asking' | 'queued' | 'stopping'>,
  { settle }: Pick<ProcessEnd, 'settle'>,
): void {
  step.enter({ ...phase, turn: withSettled(phase.turn, settle) });
}

function withSettled(turn: Turn, settle: ProcessEnd['settle']): Turn {
  return { ...turn, prompts: turn.prompts.map(settle) };
}

/** The sandbox is ready and has nothing to do, though it was given something: a process of it was lost unseen. */
export function takeUnseenLoss(step: Step): void {
  const { phase } = step.state;
  if (!isAtWork(phase)) return;
  const tells = step.state.sandbox.tellsReading === true;
  const settle = (request: Request) => afterExit(request, null, tells);
  if (tells) {
    // All that was not read is handed over again, also what still waits for its way to the sandbox.
    step.cancelSandboxWork();
    step.set({ queue: step.state.queue.map(settle) });
  }
  settlePrompts(step, phase, { settle });
  takeLoss(step, 'The sandbox had lost the work');
}

/** What Claude had begun of the next turn is lost with its process; what it had answered is not. */
function loseNext(step: Step, phase: SavingPhase, { cause, queue: before }: ProcessEnd): void {
  const { begun: _, open: _open, ...rest } = phase;
  const answered = answeredEarly(phase);
  // What a process lost before is gone on with by a prompt that is on its way, or has its answer already.
  const goesOn = step.state.queue.some((one) => one.aside && (stageOf(one) !== 'read' || answered.has(one.promptId)));
  const isLost = step.state.queue.some(
    (one, index) =>
      stageOf(one) === 'read' && !answered.has(one.promptId) && !(goesOn && before[index]?.inherited === true),
  );
  step.enter({ ...rest, ...(isLost && cause !== 'stop' && { resume: processLost(step) }) });
}

/**
 * The sandbox is gone with its disk. Another generation starts from the last checkpoint, with the conversation. If there is
 * none, it starts from the branch, and Claude is asked everything of this turn again.
 * @param checkpoint null: there is none, or it turned out to be of no use
 */
export function replaceSandbox(step: Step, checkpoint: CheckpointNote | null = step.state.checkpoint ?? null): void {
  const { sandbox } = step.state;
  const generation = sandbox.generation + 1;
  step.set({
    sandbox: nextLife(sandbox, generation, step.now),
    ...(step.state.background && { background: null }),
    ...(checkpoint === null && { conversationId: step.context.newId(), checkpoint: null }),
  });
  goOnElsewhere(step, { generation, checkpoint, known: new Set(checkpoint?.prompts) });
}

/** What another life of the sandbox can go on from. */
interface NextLife {
  generation: number;
  /** Null: from the branch alone. */
  checkpoint: CheckpointNote | null;
  /** Prompts that are in the conversation of the checkpoint. */
  known: ReadonlySet<string>;
}

const goOnElsewhere = onlyIn<[next: NextLife]>({
  // A sandbox that ended while nothing ran in it is no loss: containers sleep between turns.
  starting: (step, { turn }, next) => replaceAtWork(step, turn, next, turn.lifeOf === next.generation - 1),
  working: (step, { turn }, next) => replaceAtWork(step, turn, next, true),
  parked: (step, phase, { known }) => endParked(step, phase, withLoss(phase.turn, known)),
  asking: loseInTurn,
  queued: loseInTurn,
  saving: (step, phase, { generation, checkpoint, known }) => {
    loseNextWithDisk(step, phase, known);
    if (phase.proposes) return;
    step.record({ kind: 'notice', level: 'warning', text: noticeOf(step, checkpoint) });
    step.cancelSandboxWork();
    // Without a checkpoint there is nothing to save; the deadline ends the turn.
    if (checkpoint) step.effect({ kind: 'start-sandbox', generation });
  },
  stopping: (step) => endStopped(step),
});

/** The next start finds out by itself what it can go on from. */
function loseInTurn(step: Step, phase: PhaseOf<'asking' | 'queued'>, { known }: NextLife): void {
  step.enter({ ...phase, turn: withLoss(phase.turn, known) });
}

/** The process of a turn that waits for a limit has ended. */
function endParked(step: Step, { ending: _, halt, ...rest }: PhaseOf<'parked'>, turn: Turn): void {
  step.enter({ ...rest, turn });
  if (halt) dropHalted(step, halt);
}

function withLoss(turn: Turn, known: ReadonlySet<string>): Turn {
  return withSettled(turn, (prompt) => afterLoss(prompt, known));
}

function loseNextWithDisk(step: Step, before: SavingPhase, known: ReadonlySet<string>): void {
  const answered = answeredEarly(before);
  const queue = step.state.queue.map((one) => (answered.has(one.promptId) ? read(one) : afterLoss(one, known)));
  step.set({ queue });
  const isLost = queue.some((one) => stageOf(one) === 'read' && !answered.has(one.promptId));
  confirmHalt(step);
  forgetNext(step, isLost);
}

/** `isLost`: Claude had read what it does not remember: it is told so when that goes on. */
const forgetNext = onlyIn<[isLost: boolean]>({
  saving: (step, { begun: _, open: _open, endedAt: _ended, resultsAt: _results, ...rest }, isLost) =>
    step.enter({ ...rest, ...(isLost && { resume: `${RESTORED}\n\n${LOOK_FIRST}` }) }),
});

function replaceAtWork(
  step: Step,
  before: Turn,
  { generation, checkpoint, known }: NextLife,
  wasAtWork: boolean,
): void {
  const turn = wasAtWork ? countLoss(step, before) : before;
  if (isHopeless(turn)) {
    failTurn(step, 'sandbox_lost', givingUp(step, 'The sandbox was lost', turn));
    return;
  }
  // Given to Claude beside a turn that nobody asked for.
  step.set({ queue: step.state.queue.map((one) => afterLoss(one, known)) });
  const isBegun = turn.prompts.some(({ promptId }) => known.has(promptId));
  const level = wasAtWork || checkpoint === null ? 'warning' : 'info';
  step.record({ kind: 'notice', level, text: noticeOf(step, checkpoint) });
  step.cancelSandboxWork();
  const prompts = withLoss(turn, known).prompts.map((one) =>
    one.aside && !one.carries && !isAtClaude(one) ? inherited(one) : one,
  );
  const reason = wasAtWork ? 'The sandbox was lost; starting another' : 'Starting the sandbox';
  const next = { ...turn, prompts, lifeOf: generation };
  const preface = lostWork(step, checkpoint);
  step.set({ calls: loseCalls(step.state.calls ?? []) });
  // Nobody asked for it, and nothing of it is left: what waits behind it begins.
  if (next.unasked && prompts.every((prompt) => !isOwn(prompt))) {
    failTurn(step, 'sandbox_lost', 'The sandbox was lost.');
    return;
  }
  if (isBegun) {
    const text = [RESTORED, preface, LOOK_FIRST].filter((part) => part !== '').join('\n\n');
    resumeWith(step, next, text, reason);
    return;
  }
  step.effect({ kind: 'start-sandbox', generation });
  let note = preface === '' ? undefined : `${preface}\n\n${LOOK_FIRST}`;
  const asked = prompts.map((prompt) => {
    if (isAtClaude(prompt)) return prompt;
    const handed = handOver(step, prompt, turn.number, note);
    note = undefined;
    return handed;
  });
  step.enter({ name: 'starting', since: step.now, reason, turn: { ...next, prompts: asked } });
}

/** Claude has finished a call: what was lost before did not stand in its way. */
export function noteProgress(step: Step): void {
  const { phase } = step.state;
  if (!isAtWork(phase) || phase.turn.losses === 0) return;
  step.enter({ ...phase, turn: { ...phase.turn, losses: 0 } });
}

function countLoss(step: Step, turn: Turn): Turn {
  const call = runningCall(step.state.calls ?? []);
  const { interrupted } = turn;
  const times = call !== null && interrupted?.call === call ? interrupted.times + 1 : 1;
  return { ...turn, losses: turn.losses + 1, ...(call !== null && { interrupted: { call, times } }) };
}

function isHopeless({ losses, interrupted }: Turn): boolean {
  return losses > MAX_LOSSES || (interrupted?.times ?? 0) >= MAX_SAME_CALL;
}

function givingUp(step: Step, what: string, { losses, interrupted }: Turn): string {
  const { branch, checkpoint, id } = step.state;
  const isSame = losses <= MAX_LOSSES && interrupted !== undefined;
  const why = isSame
    ? `${what} ${interrupted.times} times during the same tool call (\`${cutWhole(interrupted.call, 100).replaceAll('`', "'")}\`), so Cyrus gave up.`
    : `${what} ${losses} times in a row, so Cyrus gave up.`;
  const where = `What was pushed is on the branch \`${branch}\``;
  const rest = checkpoint
    ? `; the rest is in the checkpoint of ${clockTime(checkpoint.at, step.now)} (\`checkpoints/${id}\` in the bucket), from which the next prompt continues.`
    : '.';
  return `${why} ${where}${rest} Comment to try again.`;
}

function noticeOf(step: Step, checkpoint: CheckpointNote | null): string {
  if (checkpoint === null) return 'The sandbox was lost. A new one starts from what is on the branch.';
  const at = clockTime(checkpoint.at, step.now);
  return `The sandbox was lost. A new one restores the work as of ${at} and continues the conversation.`;
}

const RESTORED =
  'The sandbox you worked in was lost. This is another one: the repository, its worktree and this conversation were ' +
  'restored from a checkpoint. Processes you had started are gone.';
const LOOK_FIRST = 'Look at the state of the worktree (git status, git log), then continue where you were.';

/** Of a process that is gone while its disk is there. */
function lastCalls(step: Step): string {
  const calls = step.state.calls ?? [];
  const open = calls.filter(({ outcome }) => outcome === 'running');
  if (open.length > 0) {
    return `The outcome of what was running is unknown; it may have had its effect, so look before you repeat it:\n${listCalls(open)}`;
  }
  const last = calls.at(-1);
  if (!last) return 'No tool was running.';
  return `No tool was running. The last one had finished, even if its result is missing above; do not repeat it:\n${listCalls([last])}`;
}

function lostHelpers(helpers: readonly string[]): string {
  if (helpers.length === 0) return '';
  const list = helpers.map((name) => `- ${name}`).join('\n');
  return `These helpers of yours were at work and ended with it; they will not report. Their changes in the worktree are still there:\n${list}`;
}

/** Of a sandbox that is gone: what was done after the checkpoint. */
function lostWork(step: Step, checkpoint: CheckpointNote | null): string {
  const all = step.state.calls ?? [];
  const calls: readonly RecentCall[] = checkpoint ? callsSince(all, checkpoint) : all;
  if (calls.length === 0) return '';
  const since = checkpoint
    ? 'These tool calls came after the checkpoint'
    : 'The sandbox in which you began this work was lost with what was not pushed. There you had made these tool calls';
  return (
    `${since}. Their changes in the worktree are gone and have to be made again; what they did outside it ` +
    `(pushed, sent, created elsewhere) remains, so do not repeat that:\n${listCalls(calls)}`
  );
}
