/** The course of a permission question: asked in every thread of the turn, decided by people, by time, or by a grant. */
import { cutText } from '../../../lib/markdown.ts';
import type { Decision } from '../../../protocol/sandbox/commands.ts';
import { AUTOMATION } from '../model/admission.ts';
import { byPhase } from '../model/by-phase.ts';
import type { EffectOf } from '../model/effects.ts';
import { type Asking, hasTurn, type PhaseOf, type Turn, type TurnPrompt, threadsOf } from '../model/phases.ts';
import type { PermissionQuestion } from '../model/questions.ts';
import { spokenWords } from '../model/spoken.ts';
import type { Step } from '../model/transition.ts';
import { safeText } from '../narration/safe-text.ts';
import { choiceValue, withoutIds } from './choices.ts';
import { closedWithin, type Reply } from './open-question.ts';
import {
  answerOf,
  askWords,
  denied,
  deniedAgain,
  EXPIRED,
  findGrant,
  MINUTES_TO_ANSWER,
  markdownWords,
  permissionChoices,
  readAnswer,
  SAY_YES_OR_NO,
  shortWords,
  withGrant,
} from './permissions.ts';

/** An allowance that names no question is not taken so soon after another question was closed: it was meant for that one. */
const HASTE_MS = 2_000;
/** A page of an earlier version names none, and keeps what it could not send. */
const PAGE_HASTE_MS = 60_000;

/** Asks the threads of the turn. */
export function askPermission(step: Step, turn: Turn, about: PermissionQuestion): void {
  for (const thread of threadsOf(turn)) repeatPermission(step, thread, about, '');
}

/** Asks one thread (again), after something else was said there. */
export function repeatPermission(step: Step, thread: string, about: PermissionQuestion, preface: string): void {
  const options = permissionChoices(about).map((one) => ({
    label: one.label,
    value: choiceValue(about.requestId, one),
  }));
  const body = safeText(askWords(about));
  step.elicit(thread, preface === '' ? body : `${preface}\n\n${body}`, options);
}

/** Hands a decision to the tool that waits, without anybody being asked (again). */
export function decide(step: Step, about: PermissionQuestion, decision: Decision): void {
  const { requestId, grant } = about;
  const key = grant?.key ?? null;
  step.effect({ kind: 'decide-sandbox', id: step.context.newId(), requestId, call: shortWords(about), key, decision });
}

/** Decides a call as people did before: allowed for the session, or denied in this turn. @returns false where they are asked */
export function decideAsBefore(step: Step, about: PermissionQuestion): boolean {
  return decideByGrant(step, about) || denyAgain(step, about);
}

function decideByGrant(step: Step, about: PermissionQuestion): boolean {
  const { grants = [], repository } = step.state;
  const grant = findGrant(grants, repository, about);
  if (!grant) return false;
  if (grant.once) step.set({ grants: grants.filter((one) => one !== grant) });
  step.record({ kind: 'notice', level: 'info', text: `Allowed, as decided before: ${shortWords(about)}` });
  decide(step, about, { allowed: true });
  return true;
}

function denyAgain(step: Step, about: PermissionQuestion): boolean {
  const before = deniedBefore(step).find(({ call }) => call === about.call);
  if (!before) return false;
  step.record({ kind: 'notice', level: 'info', text: `Not allowed, as decided before: ${shortWords(about)}` });
  decide(step, about, deniedAgain(before.message));
  return true;
}

/** What was denied in the turn that asks. In the phases that are left out what asks is for the next turn. */
const deniedBefore = byPhase<[], NonNullable<Turn['denied']>>(
  {
    starting: deniedIn,
    working: deniedIn,
    asking: deniedIn,
  },
  () => [],
);

function deniedIn(_step: Step, { turn }: PhaseOf<'starting' | 'working' | 'asking'>): NonNullable<Turn['denied']> {
  return turn.denied ?? [];
}

/** The turn, in which this call is not asked for again. */
function withDenial(turn: Turn, { call }: PermissionQuestion, decision: Decision): Turn {
  if (call === undefined || decision.allowed) return turn;
  const others = (turn.denied ?? []).filter((one) => one.call !== call);
  return { ...turn, denied: [...others, { call, message: cutText(decision.message, MAX_MESSAGE) }].slice(-MAX_DENIED) };
}

const MAX_DENIED = 50;
const MAX_MESSAGE = 2_000;

/** People said something else to Claude: what they did not allow before they may mean to allow now. */
export function forgetDenials(step: Step): void {
  const { phase } = step.state;
  if (!hasTurn(phase) || !phase.turn.denied) return;
  const { denied: _, ...turn } = phase.turn;
  step.enter({ ...phase, turn });
}

/** What people say while a tool asks. What is neither a yes nor a no is asked about once more. */
export function takeDecision(step: Step, phase: Asking<'permission'>, prompt: TurnPrompt, reply: Reply): void {
  const { about } = phase;
  const { author, at, chosen, isFromPage, isNamed } = reply;
  const said = spokenWords(withoutIds(reply.text));
  const answer = chosen?.[0] ? answerOf(chosen[0]) : readAnswer(said, about);
  const isAllowed = answer === 'once' || answer === 'session';
  // The tool call takes the answer in, so no result will name this prompt; its thread is owed the result all the same.
  const turn = { ...phase.turn, prompts: [...phase.turn.prompts, { ...prompt, inherited: true, aside: true }] };
  const askAgain = (why: string, more: Partial<PermissionQuestion> = {}) => {
    const asked = { ...about, ...more };
    step.enter({ ...phase, turn, about: asked });
    if (prompt.agentSessionId !== null) repeatPermission(step, prompt.agentSessionId, asked, why);
  };
  if (prompt.person?.id === AUTOMATION.id && answer !== 'deny' && answer !== 'words') {
    askAgain('Only people can allow this.');
    return;
  }
  if (isAllowed && !isNamed && closedWithin(step.state, at, isFromPage ? PAGE_HASTE_MS : HASTE_MS)) {
    const why = 'That came too soon after the previous answer to be meant for this';
    step.record({ kind: 'notice', level: 'info', text: `${why}, so Claude is still asking: ${shortWords(about)}` });
    askAgain(`${why}.`);
    return;
  }
  const before = about.unclear;
  if (answer === 'unclear' && before === undefined) {
    const text = `“${cutText(said, MAX_SHOWN_WORDS)}” is neither a yes nor a no, so Claude is still asking: ${shortWords(about)}`;
    step.record({ kind: 'notice', level: 'info', text });
    askAgain(SAY_YES_OR_NO, { unclear: cutText(said, MAX_MESSAGE) });
    return;
  }
  const call = shortWords(about);
  const who = author ?? 'Somebody';
  const words = [before, said].filter((part) => part !== undefined && part !== '').join('\n\n');
  const decision: Decision = isAllowed
    ? { allowed: true }
    : denied(author, answer === 'deny' ? (before ?? null) : words);
  step.enter({ name: 'working', since: step.now, turn: withDenial(turn, about, decision) });
  step.set({ sandbox: { ...step.state.sandbox, heardAt: step.now } });
  if (isAllowed && about.push !== undefined) allowPush(step, about.push);
  if (answer === 'session') remember(step, about.grant?.key ?? null, false);
  const howLong = answer === 'session' ? ' for this session' : '';
  const verdict = isAllowed ? `allowed${howLong}` : 'did not allow';
  step.record({ kind: 'notice', level: 'info', text: `${who} ${verdict}: ${call}` });
  if (answer === 'unclear' && prompt.agentSessionId !== null) {
    step.announce(prompt.agentSessionId, 'Understood as a no; Claude reads what you wrote.');
  }
  decide(step, about, decision);
}

/** Most characters of an answer that a notice shows. */
const MAX_SHOWN_WORDS = 200;

function remember(step: Step, key: string | null, once: boolean): void {
  if (key === null) return;
  const { grants = [], repository } = step.state;
  step.set({ grants: withGrant(grants, { repository, key, once }) });
}

/** The gateway lets these contents pass from now on. */
function allowPush(step: Step, push: string): void {
  const { allowedPushes = [] } = step.state;
  step.set({ allowedPushes: [...allowedPushes.filter((one) => one !== push), push].slice(-MAX_ALLOWED_PUSHES) });
}

const MAX_ALLOWED_PUSHES = 100;

/** Nobody answered in time: what asks is denied, and what waits behind it too, since nobody seems to be there. */
export function expire(step: Step, phase: Asking<'permission'>): void {
  const { openQuestions = [] } = step.state;
  const expired = [
    phase.about,
    ...openQuestions.map(({ about }) => about).filter((about) => about.kind === 'permission'),
  ];
  step.set({
    openQuestions: openQuestions.filter(({ about }) => about.kind !== 'permission'),
    sandbox: { ...step.state.sandbox, heardAt: step.now },
  });
  const turn = expired.reduce((before, about) => withDenial(before, about, EXPIRED), phase.turn);
  step.enter({ name: 'working', since: step.now, turn });
  for (const about of expired) {
    const text = `Nobody answered within ${MINUTES_TO_ANSWER} minutes, so Claude was not allowed to`;
    step.record({ kind: 'notice', level: 'info', text: `${text} ${shortWords(about)}` });
    step.think(threadsOf(phase.turn), `${text} ${markdownWords(about)}`);
    decide(step, about, EXPIRED);
  }
}

/** The process that asked is gone, and what it asked with it: it goes on, and asks again where it still has to. */
export function withdrawPermission(step: Step, phase: Asking<'permission'>, why: string): void {
  step.enter({ name: 'working', since: step.now, turn: phase.turn });
  step.set({ sandbox: { ...step.state.sandbox, heardAt: step.now } });
  step.think(threadsOf(phase.turn), `${why} ${markdownWords(phase.about)}`);
}

/**
 * Remembers a decision for when Claude asks again, where the tool that asked does not wait any more.
 * @returns the decision, for Claude
 */
export function keepDecision(step: Step, { call, key, decision }: EffectOf<'decide-sandbox'>): string {
  if (decision.allowed) remember(step, key, true);
  const said = decision.allowed ? 'It was allowed. Do it again if it has not happened yet.' : decision.message;
  return `You asked to ${call}\n${said}`;
}
