/** Which repository a session works in, as far as people decide it: asked, answered, changed. */
import { SANDBOX_LANE } from './effects.ts';
import type { EffectResult } from './events.ts';
import { readAnswer, readTag } from './routing.ts';
import { type TurnPrompt, threadsOf } from './state.ts';
import type { Step } from './step.ts';
import { handAllOver, restartElsewhere, startSandbox } from './turn.ts';

/** Nothing decides which repository it is: the threads are asked, and nothing runs until one answers. */
export function ask(step: Step, { options, access }: Extract<EffectResult, { kind: 'unsure' }>): void {
  step.set({ access });
  const { phase } = step.state;
  if (phase.name !== 'starting') return;
  step.transition.cancelledLanes.push(SANDBOX_LANE);
  step.enter({ name: 'asking', since: step.now, turn: phase.turn, about: { kind: 'repository', options } });
  step.record({ kind: 'notice', level: 'info', text: `Which repository is it: ${options.join(', ')}?` });
  for (const thread of threadsOf(phase.turn)) elicit(step, thread, 'Which repository is this about?', options);
  step.effect({ kind: 'index-session' });
}

/** Asks a thread again, after something else was said there. */
export function repeatRepositoryQuestion(step: Step, thread: string, preface: string): void {
  const { phase } = step.state;
  if (phase.name !== 'asking' || phase.about.kind !== 'repository') return;
  elicit(step, thread, `${preface}\n\nWhich repository is this about?`, phase.about.options);
}

function elicit(step: Step, thread: string, question: string, options: string[]): void {
  const list = options.map((option, index) => `${index + 1}. ${option}`).join('\n');
  const choices = options.map((option) => ({ label: option, value: option }));
  step.elicit(thread, `${question}\n\n${list}`, choices);
}

/** A prompt while the question stands is its answer; what is more than an answer is also for Claude. */
export function takeRepository(step: Step, prompt: TurnPrompt, text: string): void {
  const { phase } = step.state;
  if (phase.name !== 'asking' || phase.about.kind !== 'repository') return;
  const { options } = phase.about;
  const tag = readTag(text);
  const chosen = readAnswer(tag?.fullName ?? text, options);
  const isMore = chosen === null || text.trim().length > chosen.length + 20;
  const asked = threadsOf(phase.turn);
  const isOther = prompt.agentSessionId !== null && !asked.includes(prompt.agentSessionId);
  // The one who answers is owed the result, even where the answer itself is nothing for Claude.
  const prompts = isMore || isOther ? [...phase.turn.prompts, prompt] : phase.turn.prompts;
  const turn = { ...phase.turn, prompts };
  const threads = threadsOf(turn);
  if (chosen === null) {
    step.enter({ ...phase, turn });
    const question = 'I did not understand which one. Which repository is it?';
    for (const thread of threads) elicit(step, thread, question, options);
    return;
  }
  step.set({ repository: chosen, baseBranch: tag?.branch ?? null });
  step.enter({ name: 'starting', since: step.now, reason: `Starting the sandbox for ${chosen}`, turn });
  for (const thread of threads) step.think(thread, `Working in ${chosen}.`);
  startSandbox(step);
  handAllOver(step);
  step.effect({ kind: 'index-session' });
}

/**
 * "Use the other repository": before Claude's first edit a person may name another one, and the turn starts over there.
 * @returns whether this was such a prompt
 */
export function changesMind(step: Step, prompt: TurnPrompt, text: string): boolean {
  const { phase, arrangement, repository } = step.state;
  if ((phase.name !== 'starting' && phase.name !== 'working') || !arrangement || repository === null) return false;
  const others = arrangement.repositories.filter((name) => name !== repository);
  const chosen = otherRepository(text, others);
  if (chosen === null) return false;
  const thread = prompt.agentSessionId;
  if (phase.turn.edited) {
    if (thread !== null) {
      step.think(thread, `Claude has edited files in ${repository} already; stop it to begin in ${chosen}.`);
    }
    return false;
  }
  step.set({ repository: chosen, baseBranch: readTag(text)?.branch ?? null, arrangement: null });
  step.enter({ ...phase, turn: { ...phase.turn, prompts: [...phase.turn.prompts, prompt] } });
  if (thread !== null) step.think(thread, `Starting over in ${chosen}.`);
  restartElsewhere(step, `Starting over in ${chosen}`);
  return true;
}

/** The repository that a text asks to use instead; a mere mention of one is no such wish. */
function otherRepository(text: string, others: string[]): string | null {
  const tag = readTag(text);
  if (tag) return readAnswer(tag.fullName, others);
  if (!/\b(use|switch|wrong|instead|meant)\b/i.test(text)) return null;
  const isTheOther = /\bother (repo|repository|one)\b/i.test(text) && others.length === 1;
  return readAnswer(text, others) ?? (isTheOther ? (others[0] ?? null) : null);
}
