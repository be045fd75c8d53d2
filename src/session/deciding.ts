/** The course of a permission question: asked in every thread of the turn, decided by people, by time, or by a grant. */
import { safeText } from '../linear/activities.ts';
import type { Decision } from '../protocol/sandbox.ts';
import { AUTOMATION } from './admission.ts';
import { beginAnewElsewhere } from './begin-anew.ts';
import type { EventOf } from './events.ts';
import {
  askWords,
  denied,
  EXPIRED,
  findGrant,
  MINUTES_TO_ANSWER,
  markdownWords,
  optionsOf,
  readAnswer,
  shortWords,
  withGrant,
} from './permissions.ts';
import { type PermissionQuestion, type TurnPrompt, threadsOf } from './state.ts';
import type { Step } from './step.ts';

/** Two people may answer one question; the second answer must not allow what is asked next, which nobody has read yet. */
const HASTE_MS = 2_000;

/** Asks the threads of the turn. */
export function askPermission(step: Step, about: PermissionQuestion): void {
  const { phase } = step.state;
  if (phase.name === 'asking') for (const thread of threadsOf(phase.turn)) repeatPermission(step, thread, about, '');
}

/** Asks one thread (again), after something else was said there. */
export function repeatPermission(step: Step, thread: string, about: PermissionQuestion, preface: string): void {
  const options = optionsOf(about).map((option) => ({ label: option, value: option }));
  const body = safeText(askWords(about));
  step.elicit(thread, preface === '' ? body : `${preface}\n\n${body}`, options);
}

/** Hands a decision to the tool that waits, without anybody being asked (again). */
export function decide(step: Step, about: PermissionQuestion, decision: Decision): void {
  const { requestId, grant } = about;
  const key = grant?.key ?? null;
  step.effect({ kind: 'decide-sandbox', id: step.context.newId(), requestId, call: shortWords(about), key, decision });
}

/** Lets a call run that was allowed before. @returns false where people have to be asked */
export function decideByGrant(step: Step, about: PermissionQuestion): boolean {
  const { grants = [], repository } = step.state;
  const grant = findGrant(grants, repository, about);
  if (!grant) return false;
  if (grant.once) step.set({ grants: grants.filter((one) => one !== grant) });
  step.record({ kind: 'notice', level: 'info', text: `Allowed, as was said before: ${shortWords(about)}` });
  decide(step, about, { allowed: true });
  return true;
}

/** What people say while a tool asks. Where it is not about the question, Claude is told, and the question stands. */
export function takeDecision(step: Step, prompt: TurnPrompt, text: string, author: string | null): void {
  const { phase } = step.state;
  if (phase.name !== 'asking' || phase.about.kind !== 'permission') return;
  const { about } = phase;
  const answer = readAnswer(text, about);
  const thread = prompt.agentSessionId;
  const isAsked = thread === null || threadsOf(phase.turn).includes(thread);
  if (!isAsked && answer === 'words') {
    step.enter({ ...phase, turn: { ...phase.turn, prompts: [...phase.turn.prompts, prompt] } });
    step.effect({ kind: 'prompt-sandbox', promptId: prompt.promptId, turn: phase.turn.number });
    repeatPermission(step, thread, about, 'Claude is told. It waits for something else first.');
    return;
  }
  // The tool call takes the answer in, so no result will name this prompt; its thread is owed the result all the same.
  const turn = { ...phase.turn, prompts: [...phase.turn.prompts, { ...prompt, inherited: true, aside: true }] };
  if (prompt.person?.id === AUTOMATION.id && answer !== 'deny') {
    step.enter({ ...phase, turn });
    if (thread !== null) repeatPermission(step, thread, about, 'Only people can allow this.');
    return;
  }
  const isTooSoon = step.now - (step.state.answeredAt ?? 0) < HASTE_MS;
  if (isTooSoon && (answer === 'once' || answer === 'session')) {
    step.enter({ ...phase, turn });
    const why = 'That came too soon after the last answer to be about this';
    step.record({ kind: 'notice', level: 'info', text: `${why}, so it still asks: ${shortWords(about)}` });
    if (thread !== null) repeatPermission(step, thread, about, `${why}.`);
    return;
  }
  step.enter({ name: 'working', since: step.now, turn });
  step.set({ sandbox: { ...step.state.sandbox, heardAt: step.now }, answeredAt: step.now });
  const call = shortWords(about);
  const who = author ?? 'Somebody';
  if (answer === 'once' || answer === 'session') {
    if (answer === 'session') remember(step, about.grant?.key ?? null, false);
    const howLong = answer === 'session' ? ' for this session' : '';
    step.record({ kind: 'notice', level: 'info', text: `${who} allowed${howLong}: ${call}` });
    decide(step, about, { allowed: true });
  } else {
    step.record({ kind: 'notice', level: 'info', text: `${who} did not allow: ${call}` });
    decide(step, about, denied(author, answer === 'words' ? text.trim() : null));
  }
  step.effect({ kind: 'index-session' });
}

function remember(step: Step, key: string | null, once: boolean): void {
  if (key === null) return;
  const { grants = [], repository } = step.state;
  step.set({ grants: withGrant(grants, { repository, key, once }) });
}

/** Nobody answered in time: what asks is denied, and what waits behind it too, since nobody seems to be there. */
export function expire(step: Step): void {
  const { phase, openQuestions = [] } = step.state;
  if (phase.name !== 'asking' || phase.about.kind !== 'permission') return;
  const expired = [
    phase.about,
    ...openQuestions.map(({ about }) => about).filter((about) => about.kind === 'permission'),
  ];
  step.set({
    openQuestions: openQuestions.filter(({ about }) => about.kind !== 'permission'),
    sandbox: { ...step.state.sandbox, heardAt: step.now },
  });
  step.enter({ name: 'working', since: step.now, turn: phase.turn });
  for (const about of expired) {
    const text = `Nobody answered within ${MINUTES_TO_ANSWER} minutes, so Claude was not allowed to`;
    step.record({ kind: 'notice', level: 'info', text: `${text} ${shortWords(about)}` });
    for (const thread of threadsOf(phase.turn)) step.think(thread, `${text} ${markdownWords(about)}`);
    decide(step, about, EXPIRED);
  }
  step.effect({ kind: 'index-session' });
}

/** The process that asked is gone, and what it asked with it: it goes on, and asks again where it still has to. */
export function withdrawPermission(step: Step, why: string): void {
  const { phase } = step.state;
  if (phase.name !== 'asking' || phase.about.kind !== 'permission') return;
  step.enter({ name: 'working', since: step.now, turn: phase.turn });
  step.set({ sandbox: { ...step.state.sandbox, heardAt: step.now } });
  for (const thread of threadsOf(phase.turn)) step.think(thread, `${why} ${markdownWords(phase.about)}`);
  step.effect({ kind: 'index-session' });
}

/** The tool does not wait any more: what was decided is told as a prompt, and counts when Claude asks again. */
export function decisionUndelivered(step: Step, { effect }: EventOf<'effect-failed'>): void {
  const { phase } = step.state;
  if (effect.kind !== 'decide-sandbox' || phase.name !== 'working') return;
  const { call, key, decision } = effect;
  if (decision.allowed) remember(step, key, true);
  const said = decision.allowed ? 'It was allowed. Do it again if it did not happen yet.' : decision.message;
  beginAnewElsewhere(step, phase.turn, `You asked to ${call}\n${said}`);
}
