/** Commands that run in the background of Claude's process, as text for people. Pure. */
import type { Background } from '../../../protocol/sandbox/events.ts';

/** "5 minutes", "30 seconds". @param ms above 0 */
function lengthWords(ms: number): string {
  const seconds = Math.max(1, Math.round(ms / 1000));
  const [count, unit] = seconds < 90 ? [seconds, 'second'] : [Math.round(seconds / 60), 'minute'];
  return `${count} ${unit}${count === 1 ? '' : 's'}`;
}

/** What people are told where a turn ends with commands running. */
export function runningWords({ commands, endAfterMs }: Background): string {
  return `Still running in the background: ${listCommands(commands)}. It ends when someone stops it, or after ${lengthWords(endAfterMs)} without a new request.`;
}

/** Commands as Markdown, at most `MAX_LISTED` of them. */
export function listCommands(commands: string[]): string {
  const listed = commands.slice(0, MAX_LISTED).map((command) => `\`${command.replaceAll('`', "'")}\``);
  const more = commands.length - listed.length;
  return `${listed.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

const MAX_LISTED = 10;
