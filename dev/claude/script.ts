/** The language scripts are written in: steps with tool calls, and a final answer. See scripts.ts for how to write one. */

interface ToolCall {
  /** A tool of the Claude CLI: `Bash`, `Read`, `Edit`, `Write`, `Agent`. */
  name: string;
  input: Record<string, unknown>;
}

export interface ToolResult {
  text: string;
  isError: boolean;
}

interface Speech {
  thinking?: string;
  /** Markdown. */
  text?: string;
  /** Milliseconds between two pieces of the stream, instead of the model's own pace. */
  paceMs?: number;
  /** Words in one piece of the stream; 4 where it is left out. */
  wordsPerDelta?: number;
}

/**
 * A message that calls one or several tools and waits for their results. Without calls it ends the request with its words, and continues
 * when the CLI tells that a helper or a command in the background is done: that is its result.
 */
export interface Step extends Speech {
  calls: ToolCall[];
  /** Milliseconds of silence in the stream before the calls. */
  pauseMs?: number;
}

/** The message that ends a turn. */
export interface Answer extends Speech {
  text: string;
}

/** What a script is given. */
export interface Task {
  /** What was asked for in this turn, or in the message that came while it was running. */
  prompt: string;
  /** The whole of what the CLI was given for it, with what is said around it. */
  whole: string;
  /** What the script's marker says after its name, e.g. `['20', '100']` for `[script: steps 20 100]`. */
  args: string[];
  /** Absolute path where the tools run. */
  directory: string;
}

/** Yields steps, is given the results of each, returns the answer. No clock, no chance, no state outside: it is replayed. */
export type Script = (task: Task) => Generator<Step, Answer, ToolResult[]>;

/** A part of a script that comes to `T`. Use it with `yield*`. */
export type Part<T> = Generator<Step, T, ToolResult[]>;

/** Calls one tool. */
export function* use(name: string, input: Record<string, unknown>, speech: Omit<Step, 'calls'> = {}): Part<ToolResult> {
  const [result] = yield { ...speech, calls: [{ name, input }] };
  return result ?? { text: '', isError: true };
}

/** Runs a shell command. A command that ends with another code than 0 is an error result. */
export function bash(command: string, description: string, speech?: Omit<Step, 'calls'>): Part<ToolResult> {
  return use('Bash', { command, description }, speech);
}

/** Reads a file; the result has line numbers. */
export function read(path: string, speech?: Omit<Step, 'calls'>): Part<ToolResult> {
  return use('Read', { file_path: path }, speech);
}

/** Replaces the one place where `before` is; the file must have been read in this conversation. */
export function edit(path: string, before: string, after: string, speech?: Omit<Step, 'calls'>): Part<ToolResult> {
  return use('Edit', { file_path: path, old_string: before, new_string: after }, speech);
}

/** Writes a new file. */
export function write(path: string, content: string, speech?: Omit<Step, 'calls'>): Part<ToolResult> {
  return use('Write', { file_path: path, content }, speech);
}

/** The first words of what somebody wrote, on one line and without markup, addresses or quotation marks. */
export function firstWords(text: string, count = 12): string {
  const words = text
    .replace(/<[^<>]*>/g, ' ')
    .replace(/\[script:[^\]]*\]/gi, ' ')
    .replace(/https?:\/\/\S+/g, ' ')
    .replace(/[`"“”*_#>]/g, '')
    .trim()
    .split(/\s+/);
  return words.slice(0, count).join(' ').slice(0, 160) + (words.length > count ? ' …' : '');
}

/** Text safe inside double quotes in a shell: letters, digits, spaces and a few marks. */
export function forShell(text: string): string {
  return text
    .replace(/[^\p{L}\p{N} ,.:-]/gu, ' ')
    .replace(/\s+/g, ' ')
    .trim();
}
