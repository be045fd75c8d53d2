/** Which repository a session works in, as far as people decide it: asked, answered, changed. */
import { onlyIn } from '../model/by-phase.ts';
import type { Unsure } from '../model/effect-results.ts';
import { type Asking, isAtWork, type PhaseOf, type Turn, type TurnPrompt, threadsOf } from '../model/phases.ts';
import type { RepositoryQuestion } from '../model/questions.ts';
import { spokenWords } from '../model/spoken.ts';
import { nextLife } from '../model/state.ts';
import type { Step } from '../model/transition.ts';
import { listWords } from '../questions/choices.ts';
import type { Reply } from '../questions/open-question.ts';
import { handAllOver } from '../turn/hand-over.ts';
import { startSandbox } from '../turn/sandbox-life.ts';
import { readAnswer, readTag } from './match-repository.ts';
import { readWish } from './repository-wish.ts';
import { withoutQuotes } from './wishes.ts';

/** Nothing decides which repository it is: the threads are asked, and nothing runs until one answers. */
export const ask = onlyIn<[unsure: Unsure]>({ starting: askWhich });

function askWhich(step: Step, phase: PhaseOf<'starting'>, { options, why, question: asked }: Unsure): void {
  step.cancelSandboxWork();
  step.enter({
    name: 'asking',
    since: step.now,
    turn: phase.turn,
    about: { kind: 'repository', id: step.context.newId(), options, ...(asked !== undefined && { question: asked }) },
  });
  const question = [why, asked ?? WHICH].filter(Boolean).join(' ');
  step.record({
    kind: 'notice',
    level: 'info',
    text: asked === undefined ? `Which repository is it: ${options.join(', ')}?` : question,
  });
  elicit(step, threadsOf(phase.turn), question, options);
}

/** Asks a thread again, after something else was said there. */
export function repeatRepositoryQuestion(step: Step, about: RepositoryQuestion, thread: string, preface: string): void {
  elicit(step, thread, `${preface}\n\n${about.question ?? WHICH}`, about.options);
}

/** What people are asked if nothing decides. */
export const WHICH = 'Which repository is this about?';

function elicit(step: Step, to: string | readonly string[], question: string, options: string[]): void {
  const choices = options.map((option) => ({ id: option, label: option }));
  // The name is the value, as Linear shows a repository best by it.
  const buttons = options.map((option) => ({ label: option, value: option }));
  step.elicit(to, `${question}\n\n${listWords(choices)}`, buttons);
}

/** A prompt while the question is open is its answer; what is more than an answer is also for Claude. */
export function takeRepository(
  step: Step,
  phase: Asking<'repository'>,
  prompt: TurnPrompt,
  reply: Pick<Reply, 'text' | 'chosen'>,
): void {
  const { options } = phase.about;
  const text = spokenWords(withoutQuotes(reply.text));
  const tag = readTag(text);
  const chosen = reply.chosen?.[0]?.label ?? readAnswer(tag?.fullName ?? text, options);
  const isMore = reply.chosen === null && (chosen === null || text.length > chosen.length + 20);
  const asked = threadsOf(phase.turn);
  const isOther = prompt.agentSessionId !== null && !asked.includes(prompt.agentSessionId);
  // The one who answers is owed the result, even where the answer itself is nothing for Claude.
  const prompts = isMore || isOther ? [...phase.turn.prompts, prompt] : phase.turn.prompts;
  const turn = { ...phase.turn, prompts };
  const threads = threadsOf(turn);
  if (chosen === null) {
    step.enter({ ...phase, turn });
    const question = `I did not understand which one. ${phase.about.question ?? 'Which repository is it?'}`;
    elicit(step, threads, question, options);
    return;
  }
  const branch = tag?.branch ?? null;
  // Of a session whose work is under way only the base was asked.
  step.set({ repository: chosen, baseBranch: branch, ...(step.state.arrangement && { baseWish: branch }) });
  const reason = `Starting the sandbox for ${chosen}`;
  step.enter({ name: 'starting', since: step.now, reason, turn: { ...turn, baseAnswered: true } });
  step.think(threads, `Working in ${chosen}.`);
  startSandbox(step);
  handAllOver(step);
}

/**
 * "Use the other repository": before Claude's first edit a person may name another one, and the turn starts over there. If
 * that is not certain, the thread is asked, and the work goes on meanwhile.
 * @returns whether the turn starts over
 */
export function changesMind(step: Step, prompt: TurnPrompt, text: string): boolean {
  const { phase, arrangement, repository } = step.state;
  if (!isAtWork(phase) || !arrangement || repository === null) return false;
  const others = arrangement.repositories.filter((name) => name !== repository);
  const wish = readWish(spokenWords(withoutQuotes(text)), repository, others);
  if (wish === null) return false;
  const thread = prompt.agentSessionId;
  if (phase.turn.edited) {
    if (thread !== null) {
      const other = wish.kind === 'use' ? wish.repository : 'another repository';
      step.think(thread, `Claude has edited files in ${repository} already; stop it to start in ${other}.`);
    }
    return false;
  }
  if (wish.kind === 'unsure') {
    if (thread !== null) askWhether(step, thread, repository, wish.options);
    return false;
  }
  const chosen = wish.repository;
  step.set({ repository: chosen, baseBranch: readTag(text)?.branch ?? null, arrangement: null });
  const turn = { ...phase.turn, prompts: [...phase.turn.prompts, prompt] };
  step.enter({ ...phase, turn });
  if (thread !== null) step.think(thread, `Starting over in ${chosen}.`);
  restartElsewhere(step, turn, `Starting over in ${chosen}`);
  return true;
}

/** Leaves what runs behind and begins the turn again in a sandbox of its own, in the repository that is now chosen. */
function restartElsewhere(step: Step, turn: Turn, reason: string): void {
  const { sandbox } = step.state;
  const generation = sandbox.generation + 1;
  step.cancelSandboxWork();
  step.set({
    sandbox: nextLife(sandbox, generation, step.now),
    conversationId: step.context.newId(),
    checkpoint: null,
  });
  step.enter({ name: 'starting', since: step.now, reason, turn });
  step.effect({ kind: 'start-sandbox', generation });
  handAllOver(step);
}

/** Nothing waits for the answer: it is a tag, which is understood whenever it comes. */
function askWhether(step: Step, thread: string, repository: string, options: string[]): void {
  const shown = options.slice(0, MAX_OFFERED);
  const tags = shown.map((name) => `\`[repo=${name}]\``).join(' or ');
  const others = shown.map((name) => ({ label: `Start over in ${name}`, value: `[repo=${name}]` }));
  const stay = { label: `Stay in ${repository}`, value: `[repo=${repository}]` };
  step.elicit(
    thread,
    `This session works in ${repository}. Should it be another repository? Answer ${tags} to start over there. Otherwise there is nothing to do; Claude has your message.`,
    [...others, stay],
  );
}

const MAX_OFFERED = 10;
