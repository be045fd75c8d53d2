/** What the sandbox reports: its steps, Claude's lines, and how things ended. */
import { promptsRead } from '../../claude/reading.ts';
import { endStream, readLine } from '../../claude/stream.ts';
import type { JournalBody } from '../../protocol/journal.ts';
import type { SandboxEvent, SandboxStep } from '../../protocol/sandbox/events.ts';
import { branchAlternatives } from '../../protocol/settings/branch-names.ts';
import { DEFAULT_MOST_BYTES, intakeAt, lengthOf, refusalOfIntake, withEnd } from './intake.ts';
import { byPhase, onlyIn } from './model/by-phase.ts';
import { plausibleTime } from './model/clock-time.ts';
import type { EventOf } from './model/events.ts';
import { answeredEarly, currentTurn, isAtWork, isUnderWay, type SavingPhase } from './model/phases.ts';
import type { Step } from './model/transition.ts';
import { noteCall } from './model/unconfirmed-calls.ts';
import { endQuestions, loseQuestions, takeQuestion } from './questions/ask.ts';
import { asTheGatewaySaw } from './questions/permissions.ts';
import { isAtClaude, type Request, stageOf } from './requests.ts';
import { tellWait } from './start/start-retries.ts';
import { helpersAtWork, promptsToTell, tellBackground, tellEndOfBackground } from './turn/background.ts';
import { beginUnasked } from './turn/begin.ts';
import { failTurn, isOfEarlierTurn, takeSaved } from './turn/end.ts';
import { handOverWaiting } from './turn/hand-over.ts';
import { takeWindows, tellBeyondPlan } from './turn/limit-notices.ts';
import { propose, waitNoLonger } from './turn/pull-request.ts';
import { noteRead, takeOpenResult, takeResult, takeWorkEnd } from './turn/results.ts';
import { noteProgress, replaceSandbox, takeExit, takeLoss } from './turn/sandbox-retries.ts';
import { confirmStop } from './turn/save.ts';
import { confirmHalt } from './turn/stops.ts';

type Exit = Extract<SandboxEvent, { type: 'cli-exited' }>;

export function sandboxReported(step: Step, { batch, stored, mostBytes }: EventOf<'sandbox-reported'>): void {
  step.set({ sandbox: { ...step.state.sandbox, heardAt: step.now, streamId: batch.streamId } });
  if (stored !== undefined) step.set({ intake: { ...intakeAt(step.state.intake, step.now), stored } });
  for (const event of batch.events) {
    const { sandbox } = step.state;
    if (event.seq <= sandbox.cursor) continue;
    // A gap: the answer names the last number stored, and the sandbox goes on from there.
    if (event.seq !== sandbox.cursor + 1) return;
    step.set({ sandbox: { ...sandbox, cursor: event.seq } });
    if (hasRoomFor(step, event, mostBytes ?? DEFAULT_MOST_BYTES)) {
      sandboxEvent(step, { ...event, at: plausibleTime(event.at, step.now) });
    }
  }
}

/** Counts what an event adds to the journal. If that is too much for an hour it is left out, and the turn ends in words. */
function hasRoomFor(step: Step, event: SandboxEvent, mostBytes: number): boolean {
  const length = lengthOf(event);
  const intake = intakeAt(step.state.intake, step.now);
  if (length === 0) {
    const counted = withEnd(intake, event, mostBytes);
    if (counted) step.set({ intake: counted });
    return counted !== null;
  }
  const why = refusalOfIntake(intake, 'events', length, mostBytes);
  if (why === null) {
    step.set({ intake: { ...intake, events: intake.events + length } });
    return true;
  }
  if (isAtWork(step.state.phase)) {
    failTurn(step, 'too_much', `Stopped, because ${why}. What was pushed is on the branch \`${step.state.branch}\`.`);
  }
  return false;
}

function sandboxEvent(step: Step, event: SandboxEvent): void {
  switch (event.type) {
    case 'line':
      claudeLine(step, event.line, event.at, event.goesOn ?? false);
      return;
    case 'work-ended':
      endQuestions(step);
      takeWorkEnd(step);
      return;
    case 'step': {
      const { type: _type, seq: _seq, at, waitsFor, ...body } = event;
      step.record({ kind: 'step', ...body }, undefined, at);
      if (waitsFor !== undefined) tellWait(step, waitsFor);
      else if (event.status === 'started') reasonForStarting(step, STEP_WORDS[event.step]);
      return;
    }
    case 'ready':
      takeBranch(step, event.branch);
      reasonForStarting(step, 'Starting Claude');
      return;
    case 'cli-started':
      step.set({ claudeSince: step.state.sandbox.generation });
      return;
    case 'stderr':
      step.record({ kind: 'output', source: 'stderr', text: event.text }, undefined, event.at);
      return;
    case 'setup-output':
      step.record({ kind: 'output', source: 'setup', text: event.text }, undefined, event.at);
      return;
    case 'cli-exited':
      cliExited(step, event);
      return;
    case 'saved': {
      const { type: _type, seq: _seq, at, turn: _turn, after: _after, again, background, ...saved } = event;
      const { pullRequestTemplate, ...work } = saved;
      step.set({ shared: work.shared ?? [], background: background ?? null });
      noteSaved(step, work);
      // What a stop is about to end is not told as running.
      const body = { ...work, ...(background && !step.state.backgroundStop && { background }) };
      step.record({ kind: 'saved', ...body }, undefined, at);
      tellBackground(step, body.background);
      // The save of an earlier turn, whose time was up, ends no later one.
      if (isEarlierSave(step, event)) return;
      // A repeated save, e.g. of a push that had failed, ends no turn: the turn it belongs to ended with the first.
      if (!propose(step, { kind: 'saved', ...body }, pullRequestTemplate) && !again) takeSaved(step);
      return;
    }
    case 'notice':
      step.record({ kind: 'notice', level: 'warning', text: event.text }, undefined, event.at);
      return;
    case 'unreadable':
      takeUnreadable(step, event);
      return;
    case 'failed':
      // The work cannot be restored: then it begins from what is on the branch.
      if (event.step === 'restore') {
        step.record({ kind: 'notice', level: 'warning', text: event.message }, undefined, event.at);
        replaceSandbox(step, null);
        return;
      }
      failTurn(step, `${event.step}_failed`, `${event.message}\n\n${hintOf(step, event)}`);
  }
}

/** A push that failed is repeated later, when no turn is under way any more. */
function noteSaved(step: Step, { pushed, problem }: { pushed: boolean; problem?: string | undefined }): void {
  const saveDue = !pushed && problem !== undefined ? step.now : null;
  if (saveDue !== (step.state.saveDue ?? null)) step.set({ saveDue });
}

/** A branch that the issue named and that is not there is the issue's to put right, not the settings'. */
function hintOf(step: Step, { step: failed, message, hint }: Extract<SandboxEvent, { type: 'failed' }>): string {
  const { baseWish, baseWishBy, repository } = step.state;
  if (failed !== 'mirror' || !baseWish || !message.includes(baseWish)) return hint;
  const known = /one that exists: (.+?)\.?$/.exec(hint)?.[1];
  const there = known === undefined ? '' : ` The repository has ${known}.`;
  const by =
    baseWishBy === undefined ? 'The issue, or a comment in it,' : baseWishBy === 'issue' ? 'The issue' : 'A comment';
  return `${by} names the branch \`${baseWish}\`.${there} Which one is it? Comment with \`[repo=${repository}#branch]\` to name another, or with \`[repo=${repository}]\` for the repository's own.`;
}

/** Kept as it is. Where it would have ended the turn, that ends in words: nobody else would say that it is over. */
function takeUnreadable(step: Step, { of, raw, at }: Extract<SandboxEvent, { type: 'unreadable' }>): void {
  step.record({ kind: 'unknown', type: `sandbox: ${of}`, raw }, undefined, at === 0 ? step.now : at);
  const isResult = of === 'line' && /\\"type\\":\\"result\\"/.test(raw);
  if (!isResult && !ENDINGS.includes(of)) return;
  const text = `What the sandbox reported could not be read (${of}). What was pushed is on the branch \`${step.state.branch}\`.`;
  if (of === 'saved') takeSaved(step);
  else if (isAwaited(step, of)) failTurn(step, 'event_unreadable', `${text} Comment to continue from there.`);
}

/** Whether the turn waits for it: what Claude's process did is no news to a turn that is saved, or for which none runs. */
const isAwaited = byPhase<[of: string], boolean>({ saving: (_step, _phase, of) => of === 'failed' }, (_step, phase) =>
  isUnderWay(phase),
);

/** Types of events without which a turn would not end. */
const ENDINGS = ['cli-exited', 'work-ended', 'saved', 'failed'];

/** Claude's process ended. What it was doing for an earlier turn, e.g. one whose stop is late, is no loss of this one. */
function cliExited(step: Step, event: Exit): void {
  const helpers = helpersAtWork(step.state.reader);
  const isOther = isOfOtherTurn(step, event);
  forgetOpenBlocks(step);
  loseQuestions(step);
  tellEndOfBackground(step, event);
  takeExit(step, event);
  const { cause, duringTurn, turn } = event;
  if (cause === 'stop') {
    confirmHalt(step, turn);
    confirmStop(step, turn);
  }
  if (duringTurn && !isOther && isLoss(step, event)) takeLoss(step, EXIT_WORDS[cause], helpers);
  else handOverWaiting(step);
}

/** Whether Claude's process ended without being told to. Of a stop, an older sandbox does not name the turn. */
const isLoss = byPhase<[exit: Exit], boolean>(
  { stopping: (_step, _phase, { cause, turn }) => cause !== 'stop' || turn === undefined },
  (_step, _phase, { cause }) => cause !== 'stop',
);

/** Whether a process that ended by itself had nothing of the present turn. */
function isOfOtherTurn(step: Step, { prompts, turn }: Exit): boolean {
  const current = currentTurn(step.state);
  if (!current) return false;
  if (!prompts) return turn !== undefined && isOfEarlierTurn(step, turn);
  const given = [...prompts.read, ...prompts.unread];
  return current.unasked !== true && !current.prompts.some(({ promptId }) => given.includes(promptId));
}

/**
 * Whether a save is of something that ended before what is waited for: it says what it came after, or at least which turn it
 * was. A stop is waited for until the end of the process that it stopped is told.
 */
const isEarlierSave = byPhase<[saved: Extract<SandboxEvent, { type: 'saved' }>], boolean>(
  {
    stopping: (_step, _phase, { after }) => after !== undefined,
    saving: (step, { stopSent, endedAt }, { turn, after }) => {
      if (after === undefined) return isOfEarlierTurn(step, turn);
      return stopSent !== undefined || (endedAt !== undefined && after < endedAt);
    },
  },
  (step, _phase, { turn }) => isOfEarlierTurn(step, turn),
);

/** What Claude was writing when its process ended will not be finished. */
function forgetOpenBlocks(step: Step): void {
  const { state: reader, live } = endStream(step.state.reader);
  step.set({ reader });
  for (const dropped of live) step.live(dropped);
}

const STEP_WORDS: Record<SandboxStep, string> = {
  mirror: 'Fetching the repository',
  worktree: 'Checking out the branch',
  restore: 'Restoring the work',
  setup: 'Running cyrus-setup.sh',
  claude: 'Starting Claude',
  save: 'Committing and pushing',
};

/** The branch is named by the repository's template. The sandbox may have said what stands in for it already. */
export function nameBranch(step: Step, branch: string): void {
  const { readyBranch } = step.state;
  step.set({ branch, readyBranch: null });
  if (readyBranch) takeBranch(step, readyBranch);
}

/** The wanted name cannot be had on the host: the sandbox says what stands in for it. Nothing else is believed. */
function takeBranch(step: Step, branch: string): void {
  const { branch: wanted, notesPushes, arrangement } = step.state;
  // It may say so before the answer to its start, which names the branch, is taken in.
  if (arrangement === null) step.set({ readyBranch: branch });
  if (branch !== wanted && notesPushes && branchAlternatives(wanted).includes(branch)) step.set({ branch });
}

const EXIT_WORDS: Record<Exit['cause'], string> = {
  idle: "Claude's process ended",
  stop: "Claude's process was stopped",
  silent: "Claude's process stopped responding and was ended",
  crash: "Claude's process ended unexpectedly",
};

const reasonForStarting = onlyIn<[reason: string]>({
  starting: (step, phase, reason) => step.enter({ ...phase, reason }),
});

function claudeLine(step: Step, line: string, at: number, goesOn: boolean): void {
  const heard = promptsRead(line);
  if (heard !== null) {
    if (!step.state.sandbox.tellsReading) step.set({ sandbox: { ...step.state.sandbox, tellsReading: true } });
    noteRead(step, heard);
  }
  const { state: reader, read } = readLine(step.state.reader, line);
  step.set({ reader });
  for (const { body, block } of read.entries) {
    if (goesOn && body.kind === 'result') {
      step.record(body, block, at);
      takeOpenResult(step, body);
    } else claudeEntry(step, body, block, at, heard ?? []);
  }
  for (const live of read.live) {
    if (live.type === 'usage') step.set({ turnUsage: live.usage });
    else step.live(live);
  }
}

/** @param prompts ids that the line names */
function claudeEntry(
  step: Step,
  said: JournalBody,
  block: string | undefined,
  at: number,
  prompts: readonly string[],
): void {
  const body = said.kind === 'question' ? asTheGatewaySaw(said, step.state.heldPush) : said;
  if (body.kind === 'claude-started') {
    nextBegins(step);
    step.set({ model: body.model });
    claudeStarted(step, prompts);
  }
  if (body.kind === 'rate-limit') {
    tellBeyondPlan(step, body);
    const isCharged = body.beyondPlan ?? (body.status === 'rejected' && step.state.limit?.beyondPlan);
    step.set({
      limit: { limit: body.limit, resetsAt: body.resetsAt, ...(isCharged && { beyondPlan: true as const }) },
    });
    takeWindows(step, body);
  }
  step.record(body, block, at);
  noteTools(step, body);
  if (body.kind === 'tool-call' && EDITS.includes(body.name)) settleRepository(step);
  if (body.kind === 'question') takeQuestion(step, body);
  if (body.kind === 'result') {
    endQuestions(step);
    takeResult(step, body);
  }
}

/** The next turn begins: this one waits for its pull request no longer. */
const nextBegins = onlyIn({ saving: waitNoLonger });

/** Claude begins. `prompts`: ids that its line names. */
const claudeStarted = onlyIn<[prompts: readonly string[]]>({
  // Claude speaks unasked: a turn of its own, which the page shows. No thread is owed an answer, and one that had its answer
  // gets no second, unless it was told that a command still runs: then it is told what came of it.
  waiting: (step) => beginUnasked(step, promptsToTell(step)),
  starting: (step, { turn }) => step.enter({ name: 'working', since: step.now, turn }),
  saving: (step, phase, prompts) => {
    if (phase.stopSent !== undefined) return;
    step.enter({ ...phase, begun: isAsked(step, phase, prompts) ? 'asked' : 'unasked' });
  },
});

/** Whether what Claude begins is for requests in the queue. A CLI that does not name them begins with what it was given. */
function isAsked(step: Step, phase: SavingPhase, prompts: readonly string[]): boolean {
  const { queue, sandbox } = step.state;
  const given = queue.filter(isAtClaude);
  if (prompts.length === 0 && !sandbox.tellsReading) return given.length > 0;
  // The CLI says that a prompt was read before it begins with it, and need not say it again. What has a result is not begun.
  const answered = answeredEarly(phase);
  const isRead = (request: Request) =>
    stageOf(request) === 'read' && !request.inherited && !request.halted && !answered.has(request.promptId);
  return given.some((request) => prompts.includes(request.promptId) || isRead(request));
}

/** What Claude's tools do is remembered until it is in a checkpoint: it is told after a loss. */
function noteTools(step: Step, body: JournalBody): void {
  if (body.kind !== 'tool-call' && body.kind !== 'tool-result') return;
  const { calls = [], sandbox } = step.state;
  step.set({ calls: noteCall(calls, body, { generation: sandbox.generation, seq: sandbox.cursor }) });
  if (body.kind === 'tool-result') noteProgress(step);
}

const EDITS = ['Edit', 'Write', 'NotebookEdit'];

/** From the first edit on the turn stays in its repository. */
const settleRepository = onlyIn({
  working: (step, phase) => {
    if (!phase.turn.edited) step.enter({ ...phase, turn: { ...phase.turn, edited: true } });
  },
});
