/** Whether a journal is what Claude's own transcript says, once and in order, and whether viewers were shown just that. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { JournalEntry } from '../../src/protocol/journal.ts';
import { isNumberedWithoutGaps } from '../e2e/cyrus-session.ts';
import { same } from '../e2e/run.ts';
import type { Viewer } from './viewer.ts';

const contentSchema = z.looseObject({
  type: z.string(),
  id: z.string().optional(),
  tool_use_id: z.string().optional(),
});
const lineSchema = z.looseObject({
  type: z.string(),
  message: z.looseObject({ content: z.union([z.string(), z.array(contentSchema)]) }).optional(),
});

/** Ids of the calls that Claude made and of the results it was given, each in their order, as the CLI wrote them down. */
export function transcriptOf(sandboxRoot: string, session: string): { calls: string[]; results: string[] } {
  const projects = join(sandboxRoot, 'sessions', session, 'home', '.claude', 'projects');
  const contents = readdirSync(projects, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.jsonl'))
    .flatMap((name) => readFileSync(join(projects, name), 'utf8').trim().split('\n'))
    .flatMap((line) => {
      const { message } = lineSchema.parse(JSON.parse(line));
      return Array.isArray(message?.content) ? message.content : [];
    });
  return {
    calls: contents.flatMap(({ type, id }) => (type === 'tool_use' && id !== undefined ? [id] : [])),
    results: contents.flatMap(({ type, tool_use_id: id }) => (type === 'tool_result' && id !== undefined ? [id] : [])),
  };
}

/** @throws Unkept where something of a session is missing, doubled or in another order */
export function isWhole(
  entries: readonly JournalEntry[],
  transcript: { calls: string[]; results: string[] },
  viewers: readonly Viewer[],
): void {
  isNumberedWithoutGaps(entries);
  const calls = entries.filter((entry) => entry.kind === 'tool-call').map(({ toolUseId }) => toolUseId);
  const results = entries.filter((entry) => entry.kind === 'tool-result').map(({ toolUseId }) => toolUseId);
  same('Calls in the journal', calls, transcript.calls);
  same('Results in the journal', results, transcript.results);
  for (const { entries: shown, problems } of viewers) {
    same('What a viewer could not trust', problems, []);
    same('Entries that a viewer was shown', shown.length, entries.length);
    same('What a viewer was shown', shown, entries);
  }
}
