/**
 * Text that the CLI puts before Claude and that is not meant for people: notes on background tasks, reminders, frames around reports
 * (measured with CLI 2.1.330). Claude may quote it all the same, or a tool's result consists of it. Pure.
 */

import { withoutSections } from '../lib/linear-time.ts';

/** Blocks of the CLI's own, whole. */
const BLOCKS = ['task-notification', 'system-reminder', 'tools-used-before-summary'] as const;
/** What is told when a helper begins to work in the background: to its last known sentence, else to the end of the paragraph. */
const LAUNCHED =
  /(?:Async agent launched successfully\.|\(This tool result is internal metadata)[\s\S]*?(?:you'll get a completion notification\.|(?=\n\n)|$)/g;
/** The same of a command; its paths and ids are of no use to people. */
const COMMAND =
  /Command running in background with ID: [\w-]+\. Output is being written to: \S+\.output\.(?: You will be notified when it completes\.)?(?: To check interim output, use Read on that file path\.)?/g;
const IDS = /^(?:agentId: \w{1,80} \(.*|output_file: \S{1,500}\/tasks\/\S{1,200}\.output)\n?/gm;

/** A text of Claude's without what it quotes of the CLI's internals; the same where it quotes nothing of them. */
export function withoutInternals(text: string): string {
  if (!SIGNS.test(text)) return text;
  const left = BLOCKS.reduce((rest, name) => withoutSections(rest, `<${name}>`, `</${name}>`), text)
    .replace(LAUNCHED, '')
    .replace(COMMAND, 'It runs in the background.')
    .replace(IDS, '');
  return left === text ? text : left.trim();
}

const SIGNS =
  /<(?:task-notification|system-reminder|tools-used-before-summary)>|internal metadata|Async agent launched|Command running in background with ID|^agentId: /m;

/** A tool's result; in the place of the CLI's note to Claude that something now runs in the background, what people need of it. */
export function withoutNotes(text: string): string {
  if (/^Async agent launched successfully\./.test(text)) return 'Works in the background.';
  if (/^Command running in background with ID: /.test(text)) return 'Runs in the background.';
  if (/^Command was (?:manually )?(?:moved to the background|backgrounded)/i.test(text))
    return 'Runs on in the background.';
  return text;
}
