/**
 * Git's `commit-msg` hook in a session: a message closes and mentions nothing, whatever Claude repeats in it. The lines of
 * people who share in a commit stay, because git hosts read addresses from them.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { harmlessPlain } from '../src/protocol/harmless-text.ts';

const TRAILER = /^[A-Za-z-]{1,40}-by: [^<>]{0,200}<[^<>\s@]{1,200}@[^<>\s@]{1,200}>$/;

/**
 * The message as it may be committed.
 * @param own identifier of the session's issue, which the message may name
 */
export function harmlessMessage(message: string, own: string | null = null): string {
  const lines = message.split('\n');
  const kept = lines.map((line) => (TRAILER.test(line.trimEnd()) ? line : null));
  // Words act across lines, so the text is looked at as a whole.
  const harmless = harmlessPlain(lines.map((line, at) => (kept[at] === null ? line : '')).join('\n'), own).split('\n');
  return harmless.map((line, at) => kept[at] ?? line).join('\n');
}

const [, script, file, issue] = process.argv;
if (script?.endsWith('commit-message.ts') && file !== undefined) {
  const message = readFileSync(file, 'utf8');
  writeFileSync(file, harmlessMessage(message, issue || null));
}
