/**
 * What Claude is told at the beginning of a conversation that follows one which its API takes no more: what was asked, what it said
 * last, what it did last, and what is left to do. Made of the journal and the state. Pure.
 */
import { materialPrompt } from '../../../claude/prompts.ts';
import type { JournalEntry } from '../../../protocol/journal.ts';
import { cutWhole } from '../../../protocol/text/sendable-text.ts';
import { listCalls, type RecentCall } from '../../lifecycle/model/unconfirmed-calls.ts';

/** Longest parts, in UTF-16 code units; the request at hand is not cut here. */
const MAX_EARLIER = 600;
const MAX_WORDS = 2_000;
/** Most earlier requests, and words of Claude's, that are told; the newest. */
const MAX_REQUESTS = 30;
const MAX_SAID = 6;
const MAX_COMMITS = 20;
const MAX_FILES = 40;

export interface Done {
  /** Entries of the journal, in their order; the newest are enough. */
  entries: readonly JournalEntry[];
  /** Ids of the requests of the turn at hand. */
  asked: readonly string[];
  /** What Claude was given for a request; null if that is not known. */
  textOf: (promptId: string) => string | null;
  calls: readonly RecentCall[];
}

/** Markdown in English; what others wrote is in tags. */
export function recap({ entries, asked, textOf, calls }: Done): string {
  const before = entries
    .filter((entry) => entry.kind === 'prompt')
    .filter(({ promptId }) => !asked.includes(promptId))
    .slice(-MAX_REQUESTS);
  // If nothing else is at hand, the last one is what the work is about.
  const whole = asked.length > 0 ? asked : before.slice(-1).map(({ promptId }) => promptId);
  const texts = whole.map(textOf).filter((text) => text !== null);
  const earlier = before
    .filter(({ promptId }) => !whole.includes(promptId))
    .map(({ author, text }) => `- ${author ?? 'Somebody'}: ${shorten(text, MAX_EARLIER)}`);
  const said = entries
    .filter((entry) => entry.kind === 'text')
    .filter(({ parentToolUseId }) => parentToolUseId === undefined)
    .slice(-MAX_SAID)
    .map(({ text }) => shorten(text, MAX_WORDS));
  const saved = entries.findLast((entry) => entry.kind === 'saved');
  const parts = [
    'What was done so far, in a conversation that cannot be continued:',
    part('What was asked before, oldest first', earlier.join('\n')),
    part('What you said last, oldest first', said.join('\n\n')),
    part('The last tool calls you made', listCalls(calls)),
    saved ? part('The state of the work when it was last saved', stateWords(saved)) : '',
    ...(texts.length > 0 ? ['What was asked last:', ...texts] : []),
  ];
  return parts.filter((text) => text !== '').join('\n\n');
}

function stateWords({ branch, commits, files, pushed }: Extract<JournalEntry, { kind: 'saved' }>): string {
  const listed = commits.slice(0, MAX_COMMITS).map(({ sha, subject }) => `- ${sha.slice(0, 10)} ${subject}`);
  const changed = files.slice(0, MAX_FILES).map(({ path }) => path);
  return [
    `Branch ${branch}${pushed ? '' : ' (not pushed)'}, ${commits.length === 0 ? 'no commits of its own' : 'its commits, newest first:'}`,
    ...listed,
    ...(changed.length > 0 ? [`Files changed: ${changed.join(', ')}${files.length > MAX_FILES ? ', …' : ''}`] : []),
  ].join('\n');
}

function part(title: string, content: string): string {
  return content.trim() === '' ? '' : `${title}:\n${materialPrompt(content)}`;
}

function shorten(text: string, most: number): string {
  const line = text.trim();
  return line.length > most ? `${cutWhole(line, most)}…` : line;
}
