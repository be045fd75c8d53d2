/** The Markdown log of a turn, for people. Pure. */
import { limitName } from '../../claude/words.ts';
import { fence, inlineCode } from '../../lib/markdown.ts';
import { plainOutput } from '../../lib/terminal-text.ts';
import type { JournalBody, JournalEntry, Usage } from '../../protocol/journal.ts';
import { markedText } from '../../protocol/text/clean-text.ts';
import { relativePath, toolWords } from '../lifecycle/narration/tool-words.ts';

/** What the head of a log says. */
export interface LogMeta {
  /** E.g. `ENG-1`; null for a session without an issue. */
  identifier: string | null;
  title: string;
  repository: string | null;
  branch: string | null;
  turn: number;
}

/**
 * Renders the entries of one turn as Markdown: prompts and texts to read, tool calls folded with input and result,
 * edits as diffs, then outcome and usage. Whatever came from outside is in a quotation or a fence it cannot leave.
 * @param entries the journal of the turn, in order; times become UTC
 */
export function renderLog(meta: LogMeta, entries: JournalEntry[]): string {
  const bySeq = new Map(entries.map((entry) => [entry.seq, entry]));
  return [...logParts(meta, { entries: () => entries, at: (seq) => bySeq.get(seq) ?? null })].join('');
}

/** Where the entries of a turn are read from; nothing of it is held in memory. */
export interface LogSource {
  /** The turn's entries in their order, each time from the first. */
  entries: () => Iterable<JournalEntry>;
  /** The entry with this number. */
  at: (seq: number) => JournalEntry | null;
}

/** The same, piece by piece: the turn is gone through twice, and what is kept in between are the numbers of results. */
export function* logParts(meta: LogMeta, source: LogSource): Generator<string, void, undefined> {
  const results = new Map<string, number>();
  const calls = new Set<string>();
  let first: JournalEntry | undefined;
  for (const entry of source.entries()) {
    first ??= entry;
    if (entry.kind === 'tool-result') results.set(entry.toolUseId, entry.seq);
    if (entry.kind === 'tool-call') calls.add(entry.toolUseId);
  }
  const resultOf = (toolUseId: string) => {
    const seq = results.get(toolUseId);
    const entry = seq === undefined ? null : source.at(seq);
    return entry?.kind === 'tool-result' ? entry : undefined;
  };
  const context: Context = { resultOf, calls, cwd: null };
  yield markedText(head(meta, first));
  for (const entry of source.entries()) {
    if (entry.kind === 'claude-started') context.cwd = entry.cwd;
    const part = renderEntry(entry, context);
    if (part !== '') yield `\n\n${markedText(part)}`;
  }
  yield '\n';
}

type Body<K extends JournalBody['kind']> = Extract<JournalBody, { kind: K }>;

interface Context {
  /** The result of a call; it is shown with its call. */
  resultOf: (toolUseId: string) => Body<'tool-result'> | undefined;
  calls: Set<string>;
  cwd: string | null;
}

function head(meta: LogMeta, first: JournalEntry | undefined): string {
  const name = meta.identifier === null ? '' : `${line(meta.identifier)}: `;
  const facts = [
    meta.repository === null ? '' : `Repository ${inlineCode(meta.repository)}`,
    meta.branch === null ? '' : `branch ${inlineCode(meta.branch)}`,
    `turn ${meta.turn}`,
    first === undefined ? '' : `began ${utc(first.at)}`,
  ];
  return `# ${name}${line(meta.title)}\n\n${facts.filter((fact) => fact !== '').join(', ')}`;
}

function renderEntry(entry: JournalEntry, context: Context): string {
  const by = 'parentToolUseId' in entry && entry.parentToolUseId !== undefined ? 'Subagent' : 'Claude';
  switch (entry.kind) {
    case 'prompt':
      return `## ${entry.author === null ? 'Prompt' : `${line(entry.author)} asks`} (${entry.source}, ${clock(entry.at)})\n\n${quote(entry.text, entry.truncatedFrom)}`;
    case 'stop-requested':
      return `**${entry.author === null ? 'Somebody' : line(entry.author)} asked to stop** (${clock(entry.at)})`;
    case 'text':
      return `**${by}** (${clock(entry.at)})\n\n${quote(entry.text, entry.truncatedFrom)}`;
    case 'thinking':
      return folded(`${by} thinks (${clock(entry.at)})`, quote(entry.text, entry.truncatedFrom));
    case 'tool-call':
      return renderCall(entry, by, context);
    case 'tool-result':
      return context.calls.has(entry.toolUseId) ? '' : folded('Result of a tool call', renderResult(entry));
    case 'step':
      return entry.status === 'done'
        ? small(
            `${entry.failed ? 'Setup failed' : stepWords(entry.step)}${entry.detail ? `: ${entry.detail}` : ''}`,
            entry.at,
          )
        : '';
    case 'output':
      return folded(
        `Output of ${entry.source === 'setup' ? 'cyrus-setup.sh' : 'Claude Code'}`,
        block(entry.text, entry.truncatedFrom),
      );
    case 'turn-started':
    case 'result':
      return '';
    case 'claude-started':
      return small(`Claude Code ${entry.version} with ${entry.model}`, entry.at);
    case 'retry':
      return small(
        `Claude's API: ${entry.error}${entry.httpStatus === null ? '' : ` (${entry.httpStatus})`}; attempt ${entry.attempt} of ${entry.maxAttempts} in ${seconds(entry.delayMs)}`,
        entry.at,
      );
    case 'rate-limit':
      return small(
        `Claude's ${limitName(entry.limit)}: ${entry.status}${entry.utilization === null ? '' : `, ${Math.round(entry.utilization * 100)} % used`}${entry.resetsAt === null ? '' : `, resets ${utc(entry.resetsAt)}`}`,
        entry.at,
      );
    case 'model-changed':
      return small(`Model changed from ${entry.from} to ${entry.to} (${entry.reason})`, entry.at);
    case 'permission-denied':
      return small(`${entry.name} was not allowed: ${entry.message}`, entry.at);
    case 'compaction':
      return small(
        `Conversation compacted (${entry.trigger}): ${entry.tokensBefore ?? '?'} tokens became ${entry.tokensAfter ?? '?'}`,
        entry.at,
      );
    case 'task':
      return small(`Task ${entry.status}: ${entry.description}`, entry.at);
    case 'question':
      return entry.status === 'asked'
        ? folded(`Claude asks${entry.permission ? ' to use' : ''}: ${entry.name}`, fence(json(entry.input), 'json'))
        : small(`Claude withdrew its question (${entry.name})`, entry.at);
    case 'notice':
      return entry.text.length <= 300 && !entry.text.includes('\n')
        ? small(`${entry.level === 'info' ? '' : `${entry.level}: `}${entry.text}`, entry.at)
        : folded(`Notice (${entry.level})`, quote(entry.text, entry.truncatedFrom));
    case 'effect-failed':
      return small(`Failed after ${entry.attempts} attempts: ${entry.effect}: ${entry.error}`, entry.at);
    case 'unknown':
      return folded(`Line of an unknown type: ${entry.type}`, block(entry.raw, entry.truncatedFrom));
    case 'saved':
      return renderSaved(entry);
    case 'pull-request':
      return small(pullRequestWords(entry), entry.at);
    case 'branch-link':
      return small(`Branch: ${entry.url}`, entry.at);
    case 'turn-ended':
      return renderEnd(entry);
  }
}

function renderCall(entry: Body<'tool-call'>, by: string, context: Context): string {
  const { action, parameter } = toolWords(entry.name, entry.input, context.cwd);
  const result = context.resultOf(entry.toolUseId);
  const state = result === undefined ? ' (no result)' : result.isError ? ' (failed)' : '';
  const who = by === 'Claude' ? '' : `${by}: `;
  const input = `Input of ${inlineCode(entry.name)}${cutNote(entry.truncatedFrom)}:\n\n${fence(json(entry.input), 'json')}`;
  const shown = result === undefined ? '' : `\n\n${renderResult(result, context.cwd)}`;
  return folded(`${who}${action} ${parameter}${state}`, `${input}${shown}`);
}

function renderResult(entry: Body<'tool-result'>, cwd: string | null = null): string {
  const parts: string[] = [];
  if (entry.edit) {
    const hunks = entry.edit.hunks.map(
      (hunk) => `@@ -${hunk.oldStart},${hunk.oldLines} +${hunk.newStart},${hunk.newLines} @@\n${hunk.lines.join('\n')}`,
    );
    parts.push(`${entry.edit.created ? 'Created' : 'Edited'} ${inlineCode(relativePath(entry.edit.path, cwd))}:`);
    if (hunks.length > 0) parts.push(fence(hunks.join('\n'), 'diff'));
  } else {
    parts.push(`${entry.isError ? 'Error' : 'Result'}${cutNote(entry.truncatedFrom)}:`, fence(plainOutput(entry.text)));
  }
  return parts.join('\n\n');
}

function renderSaved(entry: Body<'saved'>): string {
  const commits = entry.commits.map((commit) => `- ${inlineCode(commit.sha.slice(0, 10))} ${line(commit.subject)}`);
  const files = entry.files.map(
    (file) =>
      `- ${inlineCode(file.path)} ${file.additions === null ? 'binary' : `+${file.additions} -${file.deletions ?? 0}`}`,
  );
  const state = entry.pushed ? 'pushed' : 'not pushed';
  return [
    `## Saved\n\nBranch ${inlineCode(entry.branch)} at ${inlineCode(entry.head.slice(0, 10))}, ${entry.newCommits} new commits, ${state}.`,
    entry.problem === undefined ? '' : `Problem: ${line(entry.problem)}`,
    commits.join('\n'),
    files.length > 0 ? `Files changed:\n\n${files.join('\n')}` : '',
    entry.shared
      ? `Files shared:\n\n${entry.shared.map(({ name, type }) => `- ${inlineCode(name)} ${type}`).join('\n')}`
      : '',
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

function pullRequestWords({ state, number, url, draft, problem }: Body<'pull-request'>): string {
  switch (state) {
    case 'opened':
    case 'updated':
      return `Pull request #${number} ${state}${draft ? ' (draft)' : ''}: ${url}`;
    case 'pending':
      return 'The pull request was not open yet when the turn ended';
    case 'failed':
      return number === null
        ? `No pull request was opened: ${problem ?? 'no reason is known'}`
        : `Pull request #${number} could not be updated: ${problem ?? 'no reason is known'}`;
  }
}

function renderEnd(entry: Body<'turn-ended'> & { at: number }): string {
  const outcome = { completed: 'Completed', stopped: 'Stopped', failed: 'Failed' }[entry.outcome];
  const facts = [
    `took ${seconds(entry.durationMs)}`,
    entry.numTurns === null ? '' : `${entry.numTurns} steps`,
    entry.usage === null ? '' : usageWords(entry.usage),
    entry.costUsd === null ? '' : `about $${entry.costUsd.toFixed(4)} at list prices`,
  ];
  const text = entry.text.trim() === '' ? '' : `\n\n${quote(entry.text, entry.truncatedFrom)}`;
  return `## ${outcome} (${line(entry.reason)}, ${clock(entry.at)})${text}\n\n${facts.filter((fact) => fact !== '').join(', ')}`;
}

function usageWords(usage: Usage): string {
  const read = usage.inputTokens + usage.cacheReadTokens + usage.cacheCreationTokens;
  return `${read} tokens read (${usage.cacheReadTokens} from cache), ${usage.outputTokens} written`;
}

function stepWords(step: Body<'step'>['step']): string {
  switch (step) {
    case 'mirror':
      return 'Repository fetched';
    case 'worktree':
      return 'Branch checked out';
    case 'restore':
      return 'Work restored';
    case 'setup':
      return 'cyrus-setup.sh done';
    case 'claude':
      return 'Claude Code started';
    case 'save':
      return 'Work saved';
  }
}

/** Folded content. The blank lines make it Markdown again inside of the HTML. */
function folded(summary: string, content: string): string {
  return `<details>\n<summary>${html(summary)}</summary>\n\n${content}\n\n</details>`;
}

function small(text: string, at: number): string {
  return `- ${clock(at)} ${line(text)}`;
}

function block(text: string, truncatedFrom: number | undefined): string {
  return `${fence(plainOutput(text))}${truncatedFrom === undefined ? '' : `\n\nCut; ${truncatedFrom} characters in all.`}`;
}

function cutNote(truncatedFrom: number | undefined): string {
  return truncatedFrom === undefined ? '' : ` (cut; ${truncatedFrom} characters in all)`;
}

/** U+2060, a character without width that keeps its neighbours apart. */
const JOINER = '\u2060';

/**
 * Markdown from outside as a quotation: whatever it opens ends with the quotation. It can neither start HTML (a comment
 * would swallow the rest of the document) nor load pictures.
 */
function quote(text: string, truncatedFrom?: number): string {
  const safe = text
    .replace(/\r\n?/g, '\n')
    .trim()
    .replace(/<(?=[A-Za-z/!?])/g, `<${JOINER}`)
    .replace(/!(?=\[)/g, `!${JOINER}`);
  const lines = safe.split('\n').map((part) => (part === '' ? '>' : `> ${part}`));
  return `${lines.join('\n')}${truncatedFrom === undefined ? '' : `\n\nCut; ${truncatedFrom} characters in all.`}`;
}

/** Text from outside within a line of Markdown, as plain text. */
function line(text: string): string {
  return text
    .replace(/\s+/g, ' ')
    .trim()
    .replace(/[\\`*_[\]<>#|~!]/g, '\\$&');
}

/** Text from outside within HTML; characters of Markdown are written as entities, too. */
function html(text: string): string {
  return text
    .replace(/\s+/g, ' ')
    .trim()
    .replace(/[&<>"'\\`*_[\]~!]/g, (character) => `&#${character.charCodeAt(0)};`);
}

function json(value: unknown): string {
  return JSON.stringify(value, null, 2) ?? 'null';
}

function utc(at: number): string {
  return `${new Date(at).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

function clock(at: number): string {
  return new Date(at).toISOString().slice(11, 19);
}

function seconds(ms: number): string {
  const total = Math.round(ms / 1000);
  return total < 60 ? `${(ms / 1000).toFixed(1)} s` : `${Math.floor(total / 60)} min ${total % 60} s`;
}
