/**
 * What works in the CLI beside Claude: helpers (subagents) and commands in the background, read from the CLI's lines. Measured with
 * CLI 2.1.330: `background_tasks_changed` lists them all; a helper inside a helper is part of its parent or is listed too; when one
 * ends, `task_notification` comes first, and Claude is told in a request of its own, which begins with another `init`, or along with
 * the results of the tools it is using.
 */
import type { z } from 'zod';
import { systemLineSchemas } from '../../src/protocol/claude-line.ts';
import { steadyNow } from '../clock.ts';

export interface BackgroundTask {
  id: string;
  /** A helper reports back; a command may run as long as it likes. */
  kind: 'helper' | 'command';
  /** For people: what Claude called it, and the command. */
  name: string;
  /** Milliseconds of a monotonic clock. */
  since: number;
}

const { background_tasks_changed: listSchema, ...schemas } = systemLineSchemas;
/** Of a task the driver needs less than the journal does. */
const startedSchema = schemas.task_started.partial({ description: true });
const notificationSchema = schemas.task_notification.pick({ task_id: true });
type Task = z.infer<typeof listSchema>['tasks'][number];

/** Longest name told to people, in UTF-16 code units. */
const MAX_NAME = 160;
/** Most commands whose text is remembered, in case they turn out to run in the background. */
const MAX_COMMANDS = 200;

export class BackgroundTasks {
  readonly #tasks = new Map<string, BackgroundTask>();
  /** Commands by the id of the tool call. */
  readonly #commands = new Map<string, string>();
  #unreported: { since: number; whileRunning: boolean } | null = null;

  get helpers(): BackgroundTask[] {
    return this.#of('helper');
  }

  get commands(): BackgroundTask[] {
    return this.#of('command');
  }

  /**
   * When the CLI last said that one of them is done, without having begun a request to tell Claude; null: nothing is to be told.
   * `whileRunning`: Claude was at work then, and may have been told along with the results of its tools.
   */
  get unreported(): { since: number; whileRunning: boolean } | null {
    return this.#unreported;
  }

  /** Claude is being told: a request of the main conversation has begun. */
  told(): void {
    this.#unreported = null;
  }

  /** The CLI is gone, and everything with it. */
  clear(): void {
    this.#tasks.clear();
    this.#commands.clear();
    this.#unreported = null;
  }

  /** A tool was called with a shell command. */
  called(toolUseId: string, command: string): void {
    if (this.#commands.size >= MAX_COMMANDS) {
      const [oldest] = this.#commands.keys();
      if (oldest !== undefined) this.#commands.delete(oldest);
    }
    this.#commands.set(toolUseId, command);
  }

  /**
   * Reads a `system` line; those that are about something else change nothing.
   * @param running whether Claude itself is at work
   */
  read(subtype: string | undefined, line: unknown, running: boolean): void {
    if (subtype === 'background_tasks_changed') {
      const list = listSchema.safeParse(line);
      if (list.success) this.#setAll(list.data.tasks);
    } else if (subtype === 'task_started') {
      const started = startedSchema.safeParse(line);
      if (!started.success || started.data.is_backgrounded !== true) return;
      this.#add(started.data);
      this.#nameByCommand(started.data);
    } else if (subtype === 'task_notification') {
      const ended = notificationSchema.safeParse(line);
      // What ends in the foreground is told by the result of its tool.
      if (!ended.success || !this.#tasks.delete(ended.data.task_id)) return;
      this.#unreported = { since: steadyNow(), whileRunning: running };
    }
  }

  #of(kind: BackgroundTask['kind']): BackgroundTask[] {
    return [...this.#tasks.values()].filter((task) => task.kind === kind);
  }

  #setAll(listed: Task[]): void {
    const ids = new Set(listed.map((task) => task.task_id));
    for (const id of [...this.#tasks.keys()]) if (!ids.has(id)) this.#tasks.delete(id);
    for (const task of listed) this.#add(task);
  }

  #add({ task_id: id, task_type: type, description = '' }: Task): void {
    if (this.#tasks.has(id)) return;
    // Of an unknown kind it may report back like a helper; it is waited for only as long as one.
    const kind = type === 'local_bash' || type?.startsWith('monitor') ? 'command' : 'helper';
    this.#tasks.set(id, { id, kind, name: shorten(description) || id, since: steadyNow() });
  }

  #nameByCommand({ task_id: id, tool_use_id: toolUseId, description = '' }: z.infer<typeof startedSchema>): void {
    const task = this.#tasks.get(id);
    const command = toolUseId === undefined ? undefined : this.#commands.get(toolUseId);
    if (task?.kind !== 'command' || command === undefined) return;
    const what = shorten(description);
    task.name = what === '' || what === shorten(command) ? shorten(command) : `${what} (${shorten(command)})`;
  }
}

function shorten(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > MAX_NAME ? `${line.slice(0, MAX_NAME).toWellFormed()}…` : line;
}
