/** What people ask, and what Linear tells of the issue, turned into turns. */
import type { Role } from '../../protocol/settings/repository.ts';
import { endExpectation, isOpenedTwice, noteAsk, ownEcho } from './expected-thread.ts';
import { addContext, contextText, isEdit, isSame, saidBy } from './issue-context.ts';
import { AUTOMATION, refusalOf } from './model/admission.ts';
import { byPhase } from './model/by-phase.ts';
import type { EventOf } from './model/events.ts';
import { linearTimeOf } from './model/linear-clock.ts';
import { currentTurn, hasTurn, isAsking, isAtWork, type PhaseOf, type TurnPrompt, threadsOf } from './model/phases.ts';
import { type SessionState, threadKnown } from './model/state.ts';
import { type Step, titleOf } from './model/transition.ts';
import { saidOnPage } from './narration/on-page.ts';
import { isReview } from './pull-request/following.ts';
import { forgetDenials, takeDecision } from './questions/answer.ts';
import { repeatClaudeQuestion, takeReply } from './questions/ask.ts';
import { withoutIds } from './questions/choices.ts';
import { meaningOf, type Reply } from './questions/open-question.ts';
import { readTag } from './start/match-repository.ts';
import { turnAway } from './start/refuse.ts';
import { changesMind, repeatRepositoryQuestion, takeRepository } from './start/repository-choice.ts';
import { withWishEdit } from './start/wish-edits.ts';
import { isPlainStop } from './start/wishes.ts';
import { beginTurn } from './turn/begin.ts';
import { close } from './turn/closing.ts';
import { takeFreshWish } from './turn/fresh-conversation.ts';
import { handOver } from './turn/hand-over.ts';
import { goOnWithWished } from './turn/resumption.ts';
import { isStoppedBefore, stopRequested } from './turn/stops.ts';
import { parkedWords } from './turn/usage-limit.ts';

export function prompted(step: Step, told: EventOf<'prompted'>): void {
  const echo = ownEcho(step.state, told);
  if (echo === null && isOpenedTwice(step.state, told)) return;
  const event = echo ?? told;
  endExpectation(step, event, true);
  const { promptId, author, person, source, text, at } = event;
  // On a page that asks for a password alone, who is there has the right to.
  const asker = person ?? (source === 'page' ? undefined : AUTOMATION);
  const refusal = refusalOf(step.state.access ?? null, asker);
  // Of somebody who may not ask it is a request like any other, and is refused like one.
  if (source !== 'delegation' && refusal === null && isPlainStop(text) && !isOption(step.state, text)) {
    hear(step, event);
    const { agentSessionId } = event;
    const stopSource = source === 'page' ? source : 'comment';
    stopRequested(step, {
      type: 'stop-requested',
      id: promptId,
      agentSessionId,
      author,
      source: stopSource,
      ...(at !== undefined && { at }),
    });
    return;
  }
  const thread = event.agentSessionId ?? latestThread(step.state);
  const isNew = thread !== null && threadKnown(step.state, thread) === undefined;
  // By Linear's clock, by which a stop says what it concerns.
  const askedAt = at ?? Math.max(linearTimeOf(step.state, step.now), step.state.linearNow ?? 0);
  noteAsk(step, event, askedAt);
  hear(step, event);
  // The request that was known by its notification already. A thread's own event bears the thread's id.
  if (promptId === thread && thread !== null && threadKnown(step.state, thread)?.isExpected) return;
  const meaning = meaningOf(step.state, event, thread, step.now);
  step.record({ kind: 'prompt', promptId, agentSessionId: thread, author, source, text: withoutIds(text) });
  if (source === 'page' && author !== null && thread !== null) step.think(thread, saidOnPage(author, withoutIds(text)));
  const prompt: TurnPrompt = {
    promptId,
    agentSessionId: thread,
    ...(asker && { person: asker }),
    askedAt,
    stage: 'received',
  };
  if (meaning.kind === 'late') {
    step.record({ kind: 'notice', level: 'info', text: meaning.words });
    close(step, [prompt], 'refused');
    turnAway(step, thread, meaning.words);
    return;
  }
  if (isStoppedBefore(step, at)) {
    tellStopped(step, prompt);
    return;
  }
  step.set({ isMuted: false });
  // If nothing is under way the start decides, by the rules as they are by then.
  if (refusal !== null && hasTurn(step.state.phase)) {
    endExpectation(step, event, false);
    close(step, [prompt], 'refused');
    // Who looks at the page may not look at the thread.
    if (source === 'page') step.record({ kind: 'notice', level: 'info', text: refusal });
    turnAway(step, thread, refusal);
    return;
  }
  if (meaning.kind === 'answer') {
    takeAnswer(step, step.state.phase, prompt, meaning.reply);
    return;
  }
  // Given to Claude along with this prompt, by the object.
  step.set({ context: [], editDue: null });
  endExpectation(step, event, false);
  forgetDenials(step);
  const about = (source === 'delegation' ? step.state.issue?.title : text) ?? '';
  takeRequest(step, {
    prompt,
    text: isReview(step.state.following, promptId) ? '' : text,
    isAllowed: refusal === null,
    hasPerson: person !== null,
    about: isNew ? about : null,
  });
}

/** Cyrus itself asks Claude, because of something that happened to its work. @param text what the journal shows */
export function askByItself(step: Step, promptId: string, text: string): void {
  const thread = latestThread(step.state);
  step.record({ kind: 'prompt', promptId, agentSessionId: thread, author: 'Cyrus', source: 'comment', text });
  const askedAt = Math.max(linearTimeOf(step.state, step.now), step.state.linearNow ?? 0);
  const prompt: TurnPrompt = { promptId, agentSessionId: thread, askedAt, stage: 'received' };
  giveRequest(step, { prompt, text: '', isAllowed: true, hasPerson: false, about: null });
}

/** A request that is no answer to anything. */
interface Asked {
  prompt: TurnPrompt;
  /** In which wishes are looked for; empty: in nothing. */
  text: string;
  /** Who asked may. */
  isAllowed: boolean;
  hasPerson: boolean;
  /** What its thread is about, if that is new; otherwise null. */
  about: string | null;
}

const takeRequest = byPhase<[asked: Asked]>({ asking: takeBesides }, (step, _phase, asked) => {
  const { prompt, text, isAllowed, hasPerson, about } = asked;
  if (changesMind(step, prompt, text)) return;
  if (isAllowed) goOnWithWished(step, text);
  const { agentSessionId: thread } = prompt;
  if (thread !== null) {
    if (about !== null && isRunaway(step, thread)) return;
    if (isAllowed) acknowledge(step, thread, about);
    if (about !== null && hasPerson && isAllowed) takeUpIssue(step);
  }
  giveRequest(step, asked);
});

/** What becomes of it: it begins a turn, joins the one that is under way, or waits for the next one. */
const giveRequest = byPhase<[asked: Asked]>(
  {
    waiting: (step, _phase, { prompt, text, isAllowed }) => {
      beginTurn(step, [isAllowed && takeFreshWish(step, text) ? { ...prompt, recap: true } : prompt]);
    },
    starting: (step, phase, { prompt }) => fold(step, phase, prompt),
    working: (step, phase, { prompt }) => fold(step, phase, prompt),
    queued: (step, phase, { prompt }) =>
      step.enter({ ...phase, turn: { ...phase.turn, prompts: [...phase.turn.prompts, prompt] } }),
  },
  (step, _phase, { prompt }) => step.set({ queue: [...step.state.queue, prompt] }),
);

/** A prompt answers the open question. It does not reach Claude as a prompt, so what else it should be told waits. */
function takeAnswer(step: Step, phase: SessionState['phase'], prompt: TurnPrompt, reply: Reply): void {
  if (isAsking(phase, 'repository')) takeRepository(step, phase, prompt, reply);
  if (isAsking(phase, 'permission')) takeDecision(step, phase, prompt, reply);
  if (isAsking(phase, 'claude')) takeReply(step, phase, prompt, reply);
  if (step.handsOver(prompt.promptId)) step.set({ context: [], editDue: null });
}

/** A request that comes while a question is open and does not answer it: it waits, and its thread is asked too. */
function takeBesides(step: Step, phase: PhaseOf<'asking'>, { prompt, text }: Asked): void {
  const { about } = phase;
  const thread = prompt.agentSessionId;
  const words = 'Claude gets this once it has finished waiting for something else.';
  if (about.kind === 'claude' && !about.isLive) {
    // No process is there to take it: it begins the next turn.
    step.set({ queue: [...step.state.queue, prompt] });
    if (thread !== null) step.think(thread, 'Claude gets this once its question is answered.');
    return;
  }
  if (isAsking(phase, 'repository') && readTag(text)) {
    takeRepository(step, phase, prompt, { text, chosen: null });
    return;
  }
  const given = about.kind === 'repository' ? prompt : handOver(step, prompt, phase.turn.number);
  step.enter({ ...phase, turn: { ...phase.turn, prompts: [...phase.turn.prompts, given] } });
  if (about.kind === 'repository') {
    if (thread !== null) repeatRepositoryQuestion(step, about, thread, words);
    return;
  }
  if (thread !== null) repeatClaudeQuestion(step, about, thread, words);
}

/** Whether what is asked right now offers these words as an answer: then they are that. */
function isOption({ phase }: SessionState, text: string): boolean {
  if (!isAsking(phase, 'claude')) return false;
  const said = text.trim().toLowerCase();
  return phase.about.questions.some(({ options }) => options.some((option) => option.trim().toLowerCase() === said));
}

/** Notes the comment that a prompt is, so that a notification of it adds nothing. Where Linear does not name it, its words tell. */
function hear(step: Step, { commentId, person, source, text }: EventOf<'prompted'>): void {
  const { heard = [], heardWords = [] } = step.state;
  if (commentId !== undefined) {
    step.set({ heard: [...heard.filter((id) => id !== commentId), commentId].slice(-MOST_HEARD) });
  } else if (source === 'comment' || source === 'mention') {
    step.set({ heardWords: [...heardWords, saidBy(person?.id ?? null, text)].slice(-MOST_WORDS_HEARD) });
  }
}

/** Linear tells of a comment twice within seconds. */
const MOST_WORDS_HEARD = 5;
const MOST_HEARD = 50;

/**
 * A person's request moves the issue to started, an automation's leaves it; who implements an issue that is delegated to
 * nobody becomes its delegate (docs: linear.app/developers/agents). To be decided once the role is known.
 */
export function takeUpIssue(step: Step): void {
  const { issue, arrangement } = step.state;
  if (!issue || !arrangement) return;
  step.effect({ kind: 'start-issue', issueId: issue.id, delegate: implementing.includes(arrangement.assignment.role) });
}

const implementing: Role[] = ['builder', 'debugger'];

/** Hands a prompt into the running turn. One that nobody asked for answers it only if Claude reads it meanwhile. */
function fold(step: Step, phase: PhaseOf<'starting' | 'working'>, prompt: TurnPrompt): void {
  const handed = handOver(step, prompt, phase.turn.number);
  if (phase.turn.unasked) step.set({ queue: [...step.state.queue, handed] });
  else step.enter({ ...phase, turn: { ...phase.turn, prompts: [...phase.turn.prompts, handed] } });
}

/** A prompt that was overtaken by a stop is not started; the person who asked is told. */
function tellStopped(step: Step, prompt: TurnPrompt): void {
  close(step, [prompt], 'stopped');
  const { agentSessionId: thread } = prompt;
  if (thread === null) return;
  const turn = currentTurn(step.state);
  const isOwed =
    (turn !== null && threadsOf(turn).includes(thread)) ||
    step.state.queue.some(({ agentSessionId }) => agentSessionId === thread);
  const body = 'This was asked before the work was stopped, so it was not started. Comment again to start it.';
  if (isOwed) step.think(thread, body);
  else step.say(thread, { type: 'response', body });
}

/** So many threads on one issue within an hour are no people: two agents may be calling each other. */
function isRunaway(step: Step, thread: string): boolean {
  const hourAgo = step.now - 3_600_000;
  const recent = Object.values(step.state.agentSessions).filter(({ since }) => since > hourAgo);
  if (recent.length < MAX_THREADS_AN_HOUR) return false;
  const oldest = Math.min(...recent.map(({ since }) => since));
  const minutes = Math.ceil((oldest + 3_600_000 - step.now) / 60_000);
  step.record({
    kind: 'notice',
    level: 'warning',
    text: 'Too many threads on this issue within an hour; this one was not started.',
  });
  step.say(thread, {
    type: 'response',
    body: `Cyrus was called ${recent.length} times on this issue within an hour. To prevent a loop, it starts nothing new here for ${minutes} minutes. A comment in an earlier thread still works.`,
  });
  return true;
}

const MAX_THREADS_AN_HOUR = 10;

/**
 * Linear wants a first activity within 10 s, and the page linked at once (docs: linear.app/developers/agents).
 * @param about what a new thread is about; null for one that is known
 */
function acknowledge(step: Step, thread: string, about: string | null): void {
  if (about === null) {
    acknowledgeAgain(step, thread);
    return;
  }
  step.announce(thread, firstWords(step));
  const { origin, id } = step.state;
  step.show(thread, { urls: [{ label: 'Live session', url: `${origin}/sessions/${id}` }], ...titleOf(about) });
}

/** What a new thread is told. */
const firstWords = byPhase<[], string>(
  {
    waiting: () => 'On it. Starting a sandbox for Claude.',
    queued: () => 'On it, as soon as a slot is free for this session.',
    parked: parkedWords,
  },
  () => 'On it. Claude gets this now.',
);

/** What a thread that is known is told. */
const acknowledgeAgain = byPhase<[thread: string]>(
  {
    waiting: (step, _phase, thread) => step.announce(thread, 'Picking this up again.'),
    parked: (step, phase, thread) => step.announce(thread, parkedWords(step, phase)),
    queued: (step, _phase, thread) => step.reassure(thread, 'Claude gets this when it begins.'),
    starting: (step, _phase, thread) => step.reassure(thread, 'Passed on to Claude.'),
    working: (step, _phase, thread) => step.reassure(thread, 'Passed on to Claude.'),
  },
  (step, _phase, thread) => step.reassure(thread, 'Claude continues with this as soon as the work so far is saved.'),
);

function latestThread(state: SessionState): string | null {
  return Object.keys(state.agentSessions).at(-1) ?? null;
}
/** The rest waits for the next prompt; what is urgent reaches Claude in the middle of a turn, once it has settled. */
export function contextArrived(step: Step, { id, item, urgent, wishes }: EventOf<'context-arrived'>): void {
  if (wishes) step.set({ wishEdits: withWishEdit(step.state.wishEdits ?? [], wishes) });
  const { heard = [], heardWords = [], context, editDue } = step.state;
  if (typeof item !== 'string' && !isEdit(item)) {
    const { comments, said } = item;
    if (comments.some((comment) => heard.includes(comment))) return;
    const same = said && heardWords.find((words) => isSame(words, said));
    if (same) {
      step.set({ heardWords: heardWords.filter((words) => words !== same) });
      return;
    }
  }
  step.set({ context: addContext(context, item) });
  if (!urgent || !isAtWork(step.state.phase)) return;
  const first = editDue?.first ?? step.now;
  step.set({ editDue: { id, first, at: Math.min(step.now + EDIT_QUIET_MS, first + EDIT_LIMIT_MS) } });
}

/** People edit a text in several goes, of which the last counts: it is told when there was none for so long, or after the limit. */
const EDIT_QUIET_MS = 5_000;
const EDIT_LIMIT_MS = 30_000;

/** Tells Claude in the middle of its turn how the issue reads now. */
export function tellEdit(step: Step): void {
  const { context, editDue } = step.state;
  const edits = context.filter(isEdit);
  const { phase } = step.state;
  step.set({ editDue: null });
  if (!editDue || edits.length === 0 || !isAtWork(phase)) return;
  step.set({ context: context.filter((item) => !isEdit(item)) });
  step.record({ kind: 'notice', level: 'info', text: 'The issue was changed; Claude will be told.' });
  const promptId = editDue.id;
  step.keepPrompt(promptId, edits.map(contextText).join('\n\n'));
  fold(step, phase, {
    promptId,
    agentSessionId: null,
    askedAt: linearTimeOf(step.state, phase.turn.startedAt),
    stage: 'received',
  });
}
