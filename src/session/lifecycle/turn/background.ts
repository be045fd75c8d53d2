/**
 * Helpers and commands that work in the background of Claude's process: who is told of them, and what becomes of them when the
 * process ends.
 */

import { contextPrompt } from '../../../claude/prompts.ts';
import type { ReaderState } from '../../../claude/stream.ts';
import type { Background, SandboxEvent } from '../../../protocol/sandbox/events.ts';
import { addContext } from '../issue-context.ts';
import type { Step } from '../model/transition.ts';
import { listCommands, runningWords } from '../narration/background-words.ts';
import type { Request } from '../requests.ts';

type Exit = Extract<SandboxEvent, { type: 'cli-exited' }>;

/** What Claude called the helpers that are at work for it in the background. */
export function helpersAtWork(reader: ReaderState): string[] {
  return reader.tasks.filter((task) => task.isHelper === true).map((task) => task.description);
}

/** The page shows what runs on in the background; the thread is told by the closing answer. */
export function tellBackground(step: Step, background: Background | undefined): void {
  if (background) step.record({ kind: 'notice', level: 'info', text: runningWords(background) });
}

/** Claude's process has ended with what ran in the background: the page says so, and Claude is told with its next prompt. */
export function tellEndOfBackground(step: Step, { background = [], cause }: Exit): void {
  if (step.state.background) step.set({ background: null });
  if (background.length === 0) return;
  const why = WHY_ENDED[cause];
  step.record({ kind: 'notice', level: 'info', text: `Ended ${why}: ${listCommands(background)}` });
  const told = contextPrompt(`These commands, which ran in the background, were ended ${why}`, background.join('\n'));
  step.set({ context: addContext(step.state.context, told) });
}

const WHY_ENDED: Record<Exit['cause'], string> = {
  idle: 'because there was no request for a while',
  stop: 'by a stop',
  silent: "because Claude's process had stopped responding",
  crash: "because Claude's process ended",
};

/**
 * Claude begins to speak unasked. The thread that was told last that a command runs on is told what came of it.
 * @returns what stands for its wish to know; nothing where no command ran
 */
export function promptsToTell(step: Step): Request[] {
  const { background, agentSessions } = step.state;
  const thread = Object.keys(agentSessions).at(-1);
  if (!background || thread === undefined) return [];
  return [{ promptId: step.context.newId(), agentSessionId: thread, stage: 'read', inherited: true, aside: true }];
}
