/**
 * Git's `commit-msg` hook in a session: a message closes and mentions nothing, whatever Claude repeats in it, and names who shares
 * in the commit. Such lines stay as they are, because git hosts read addresses from them.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { harmlessPlain } from '../../src/protocol/text/harmless-text.ts';

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

/**
 * The message with lines of who shares in the commit, each once, as the last paragraph (git-scm.com/docs/git-interpret-trailers).
 * @returns the same where it says nothing: git makes no commit of it then
 */
export function withTrailers(message: string, trailers: readonly string[]): string {
  const body = message.replace(/^# ------------------------ >8 ------------------------[\s\S]*$/m, '');
  const isEmpty = body.split('\n').every((line) => line.trim() === '' || line.startsWith('#'));
  const missing = trailers.filter((line) => !message.toLowerCase().includes(line.toLowerCase()));
  if (isEmpty || missing.length === 0) return message;
  const text = withoutLastComments(body.trimEnd());
  const last = text.split(/\n\s*\n/).at(-1) ?? '';
  const isList = text.includes('\n') && last.split('\n').every((line) => /^[A-Za-z][A-Za-z-]*: \S/.test(line));
  return `${text}${isList ? '\n' : '\n\n'}${missing.join('\n')}\n`;
}

/** The text without the lines at its end that git takes for comments. */
function withoutLastComments(text: string): string {
  const lines = text.split('\n');
  while (lines.length > 1 && lines.at(-1)?.startsWith('#')) lines.pop();
  return lines.join('\n');
}

/** The settings that the session's hook is called with. */
const settingsSchema = z.object({ issue: z.string().nullable(), trailers: z.array(z.string()) });

const [, script, file, settings] = process.argv;
if (script?.endsWith('commit-message.ts') && file !== undefined && settings !== undefined) {
  const { issue, trailers } = settingsSchema.parse(JSON.parse(readFileSync(settings, 'utf8')));
  const message = readFileSync(file, 'utf8');
  writeFileSync(file, withTrailers(harmlessMessage(message, issue), trailers));
}
