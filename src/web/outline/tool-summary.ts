/** One line that says what a tool call does. Pure; the input is whatever Claude wrote and is never trusted to have a shape. */

import { readMcpToolName } from '../../protocol/settings/mcp.ts';
import { questionLines } from './questions.ts';

export type ToolSummary = {
  /** What kind of thing is done: "Bash", "Read", or "server · tool" for an MCP tool. */
  readonly label: string;
  /** On what: a command, a path, an address. Empty where the input tells nothing. */
  readonly subject: string;
  /** Code is shown in the fixed font, words are not. */
  readonly style: 'code' | 'words';
  /** More about the subject, e.g. the lines of a file that are read. */
  readonly note?: string;
};

/** `input` is the call's input, `cwd` the directory that paths are shown relative to (null if unknown). */
export function toolSummary(name: string, input: unknown, cwd: string | null): ToolSummary {
  const text = (key: string) => stringOf(input, key);
  const path = (key: string) => relativePath(text(key), cwd);
  switch (name) {
    case 'Bash':
      return { label: 'Bash', subject: firstLine(text('command')), style: 'code', note: backgroundNote(input) };
    case 'Read':
      return { label: 'Read', subject: path('file_path'), style: 'code', note: linesNote(input) };
    case 'Edit':
    case 'MultiEdit':
    case 'Write':
      return { label: name === 'Write' ? 'Write' : 'Edit', subject: path('file_path'), style: 'code' };
    case 'NotebookEdit':
      return { label: 'Edit', subject: path('notebook_path'), style: 'code' };
    case 'Grep':
    case 'Glob': {
      const where = path('path');
      return { label: name, subject: text('pattern'), style: 'code', note: where && `in ${where}` };
    }
    case 'LS':
      return { label: 'List', subject: path('path'), style: 'code' };
    case 'Agent':
    case 'Task':
      return { label: 'Subagent', subject: text('description'), style: 'words', note: text('subagent_type') };
    case 'WebFetch':
      return { label: 'Fetch', subject: text('url'), style: 'code' };
    case 'WebSearch':
      return { label: 'Search the web', subject: text('query'), style: 'words' };
    case 'AskUserQuestion':
      return { label: 'Question', subject: questionLines(input).join(' '), style: 'words' };
    case 'Skill':
      return { label: 'Skill', subject: text('skill') || text('command'), style: 'code' };
    case 'TaskCreate':
      return { label: 'Plan', subject: text('subject') || text('description'), style: 'words' };
    case 'TaskUpdate':
      return {
        label: 'Plan',
        subject: [text('taskId') && `#${text('taskId')}`, text('status')].join(' '),
        style: 'words',
      };
    default:
      return { label: toolLabel(name), ...anySubject(input) };
  }
}

/** `mcp__linear__get_issue` → "linear · get_issue"; other names as they are. */
export function toolLabel(name: string): string {
  const mcp = readMcpToolName(name);
  return mcp ? `${mcp.server} · ${mcp.tool}` : name;
}

/** A path below `cwd` without it; any other as it is. */
export function relativePath(path: string, cwd: string | null): string {
  if (cwd === null) return path;
  if (path === cwd) return '.';
  const prefix = cwd.endsWith('/') ? cwd : `${cwd}/`;
  return path.startsWith(prefix) ? path.slice(prefix.length) : path;
}

function backgroundNote(input: unknown): string {
  return fieldOf(input, 'run_in_background') === true ? 'in the background' : '';
}

function linesNote(input: unknown): string {
  const from = fieldOf(input, 'offset');
  const count = fieldOf(input, 'limit');
  if (typeof from === 'number' && typeof count === 'number') return `lines ${from}–${from + count - 1}`;
  if (typeof from === 'number') return `from line ${from}`;
  return typeof count === 'number' ? `first ${count} lines` : '';
}

/** The first text in the input, else the input itself as JSON. */
function anySubject(input: unknown): { subject: string; style: 'code' | 'words' } {
  if (typeof input !== 'object' || input === null)
    return { subject: input === undefined ? '' : String(input), style: 'code' };
  const values = Object.values(input);
  const words = values.find((value) => typeof value === 'string' && value.trim() !== '');
  if (typeof words === 'string') return { subject: firstLine(words).slice(0, 300), style: 'words' };
  return { subject: values.length === 0 ? '' : JSON.stringify(input).slice(0, 300), style: 'code' };
}

function fieldOf(input: unknown, key: string): unknown {
  return typeof input === 'object' && input !== null ? (input as Record<string, unknown>)[key] : undefined;
}

function stringOf(input: unknown, key: string): string {
  const value = fieldOf(input, key);
  return typeof value === 'string' ? value : '';
}

/** The first line that is not blank, with a mark when more follow. */
function firstLine(text: string): string {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const first = lines[0]?.trim() ?? '';
  return lines.length > 1 ? `${first} …` : first;
}
