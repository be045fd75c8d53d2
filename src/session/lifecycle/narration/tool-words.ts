/** Tool calls as text for people: what was done, and to what. Pure. */

import { cutText, inlineCode } from '../../../lib/markdown.ts';
import { readMcpToolName } from '../../../protocol/settings/mcp.ts';

/** Longest parameter shown for a tool call. */
const MAX_PARAMETER = 300;

/** An action as Linear shows it: "Ran" and "npm test". None is ever empty. */
export interface ToolWords {
  /** What was done, once the result is known. */
  action: string;
  /** What is being done: a call without a result may still wait for permission, and never run. */
  doing: string;
  parameter: string;
}

/** What each tool did, and which part of its input says to what. Names measured with CLI 2.1.330. */
const KNOWN: ReadonlyMap<string, { action: string; doing: string; about: readonly string[]; path?: true }> = new Map(
  Object.entries({
    Bash: { action: 'Ran', doing: 'Running', about: ['command'] },
    Read: { action: 'Read', doing: 'Reading', about: ['file_path'], path: true },
    Write: { action: 'Wrote', doing: 'Writing', about: ['file_path'], path: true },
    Edit: { action: 'Edited', doing: 'Editing', about: ['file_path'], path: true },
    MultiEdit: { action: 'Edited', doing: 'Editing', about: ['file_path'], path: true },
    NotebookEdit: { action: 'Edited', doing: 'Editing', about: ['notebook_path'], path: true },
    Grep: { action: 'Searched', doing: 'Searching', about: ['pattern'] },
    Glob: { action: 'Searched', doing: 'Searching', about: ['pattern'] },
    Task: { action: 'Delegated', doing: 'Delegating', about: ['description', 'prompt'] },
    Agent: { action: 'Delegated', doing: 'Delegating', about: ['description', 'prompt'] },
    WebFetch: { action: 'Fetched', doing: 'Fetching', about: ['url'] },
    WebSearch: { action: 'Searched the web', doing: 'Searching the web', about: ['query'] },
    Skill: { action: 'Used the skill', doing: 'Using the skill', about: ['skill', 'command'] },
    ToolSearch: { action: 'Looked for tools', doing: 'Looking for tools', about: ['query'] },
    TaskStop: {
      action: 'Stopped a background task',
      doing: 'Stopping a background task',
      about: ['task_id', 'shell_id'],
    },
    AskUserQuestion: { action: 'Asked', doing: 'Asking', about: ['question'] },
  } as const),
);

/**
 * Words for a tool call.
 * @param input the tool's input as Claude gave it; any shape is accepted
 * @param cwd directory Claude works in: paths below it are shown relative to it
 */
export function toolWords(name: string, input: unknown, cwd: string | null): ToolWords {
  const fields: object = typeof input === 'object' && input !== null ? input : {};
  const known = KNOWN.get(name);
  if (known === undefined) {
    // What Claude makes up may be a tool that does not exist; an MCP server's input is what it is asked for.
    const words = name.startsWith('mcp__') ? shortJson(input) : inputWords(fields);
    const action = toolName(name);
    return { action, doing: action, parameter: oneLine(words) || '(no input)' };
  }
  const { action, doing } = known;
  for (const key of known.about) {
    const value: unknown = Object.hasOwn(fields, key) ? fields[key as keyof typeof fields] : undefined;
    if (typeof value !== 'string' || value.trim() === '') continue;
    return { action, doing, parameter: oneLine(known.path ? relativePath(value, cwd) : value) };
  }
  return { action, doing, parameter: oneLine(inputWords(fields)) || '(no input)' };
}

/** A path relative to the directory Claude works in, where it lies below it. */
export function relativePath(path: string, cwd: string | null): string {
  if (cwd === null || cwd === '' || !path.startsWith(cwd)) return path;
  const rest = path.slice(cwd.length);
  return rest.startsWith('/') && rest.length > 1 ? rest.slice(1) : path;
}

/** `mcp__tracker__create_issue` is "create_issue (tracker)"; other tools keep their name. */
function toolName(name: string): string {
  const mcp = readMcpToolName(name);
  return oneLine(mcp ? `${mcp.tool} (${mcp.server})` : name) || 'Used a tool';
}

function shortJson(input: unknown): string {
  if (input === undefined || input === null) return '';
  if (typeof input === 'object' && Object.keys(input).length === 0) return '';
  return inlineCode(cutText(JSON.stringify(input), MAX_PARAMETER));
}

/** An input as people read it: `title: Sums · labels: bug, cart`. What is nested deeper is left out. */
function inputWords(fields: object): string {
  const words = Object.entries(fields).map(([key, value]) => `${key}: ${valueWords(value)}`);
  return words.length === 0 ? '' : inlineCode(cutText(words.join(' · '), MAX_PARAMETER));
}

function valueWords(value: unknown): string {
  if (Array.isArray(value)) {
    const isFlat = value.every((one) => typeof one !== 'object' || one === null);
    return isFlat ? value.slice(0, 10).map(String).join(', ') : `${value.length} of them`;
  }
  if (typeof value !== 'object' || value === null) return cutText(String(value), MAX_PARAMETER);
  return '…';
}

function oneLine(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length <= MAX_PARAMETER ? line : `${cutText(line, MAX_PARAMETER)}…`;
}
