/**
 * Git's `commit-msg` hook in a session: a message closes and mentions nothing, whatever Claude repeats in it. The lines of
 * people who share in a commit stay, because git hosts read addresses from them.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { harmlessMarkdown } from '../src/protocol/harmless-text.ts';

const TRAILER = /^[A-Za-z-]+-by: .*<[^<>\s]+@[^<>\s]+>\s*$/;

/** The message as it may be committed. */
export function harmlessMessage(message: string): string {
  const lines = message.split('\n');
  const kept = lines.map((line) => (TRAILER.test(line) ? line : null));
  // Code blocks span lines, so the text is looked at as a whole.
  const harmless = harmlessMarkdown(lines.map((line, at) => (kept[at] === null ? line : '')).join('\n')).split('\n');
  return harmless.map((line, at) => kept[at] ?? line).join('\n');
}

const [, script, file] = process.argv;
if (script?.endsWith('commit-message.ts') && file !== undefined) {
  const message = readFileSync(file, 'utf8');
  writeFileSync(file, harmlessMessage(message));
}
