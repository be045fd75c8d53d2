/** One running Claude CLI: lines in, lines out, and an end that leaves nothing behind. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { settledWithin } from '../../src/lib/timeout.ts';
import { steadyNow } from '../clock.ts';
import type { SessionAccess } from '../gateway/session-access.ts';
import { innermost, killSessionProcesses, signalProcess } from '../process/process-group.ts';
import { LineSplitter } from './line-splitter.ts';

/** Time for a CLI whose input was closed to end by itself; measured: 38 ms when idle. */
const END_PATIENCE_MS = 250;
const TERM_PATIENCE_MS = 150;
/** Output still in the pipe after the exit; a leftover child may hold the pipe open forever. */
const DRAIN_MS = 300;
/** A push may take its time, and people to allow it; past this the CLI ends the turn without the answer. */
const STOP_HOOK_SECONDS = 1_200;

export interface ClaudeExit {
  code: number | null;
  signal: string | null;
}

export interface ClaudeStart {
  bin: string;
  args: string[];
  env: Record<string, string>;
  cwd: string;
  /** Written to file descriptor 3. */
  key: string;
  access: Pick<SessionAccess, 'peers' | 'wall'>;
  /** Session directory: marks the processes that belong to the session. */
  sessionDir: string;
  onLine: (line: string) => void;
  onStderr: (text: string) => void;
}

/** The executable cannot be run. */
export class ClaudeStartError extends Error {
  override readonly name = 'ClaudeStartError';
}

export class ClaudeProcess {
  readonly pid: number;
  /** Resolves when the CLI has ended and its output is read. */
  readonly exited: Promise<ClaudeExit>;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #sessionDir: string;
  #alive = true;
  /** When the last output or prompt was, by `steadyNow`. */
  lastOutputAt = steadyNow();

  private constructor(child: ChildProcessWithoutNullStreams, pid: number, start: ClaudeStart) {
    this.#child = child;
    this.pid = pid;
    this.#sessionDir = start.sessionDir;
    const lines = new LineSplitter(start.onLine, (bytes) =>
      start.onStderr(`A line of ${bytes} bytes of Claude's output was too long and was omitted.\n`),
    );
    child.stdout.on('data', (chunk: Buffer) => {
      this.lastOutputAt = steadyNow();
      lines.push(chunk);
    });
    child.stderr.on('data', (chunk: Buffer) => start.onStderr(chunk.toString('utf8')));
    // A CLI that has died closes its input; its exit is what is reported.
    child.stdin.on('error', () => {});
    this.exited = new Promise((resolve) => {
      child.on('exit', (code, signal) => {
        this.#alive = false;
        const drained = new Promise<void>((done) => {
          if (child.stdout.closed) done();
          else child.stdout.once('close', done);
        });
        const patience = new Promise<void>((done) => setTimeout(done, DRAIN_MS));
        void Promise.race([drained, patience]).then(() => {
          child.stdout.destroy();
          child.stderr.destroy();
          lines.end();
          resolve({ code, signal });
        });
      });
    });
  }

  /**
   * Starts the CLI in a process group of its own.
   * @throws ClaudeStartError when the executable cannot be run
   */
  static start(start: ClaudeStart): Promise<ClaudeProcess> {
    return new Promise((resolve, reject) => {
      const { program, args } = start.access.wall.command(start.bin, start.args);
      const child = spawn(program, args, {
        cwd: start.cwd,
        env: start.env,
        detached: true,
        stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
      });
      start.access.peers.add(child);
      const tokenPipe = child.stdio[3];
      if (tokenPipe && 'end' in tokenPipe) {
        // A CLI that ends before it has read it reports that by its exit.
        tokenPipe.on('error', () => {});
        tokenPipe.end(start.key);
      }
      child.once('error', (error) => reject(new ClaudeStartError(`${start.bin} cannot be run: ${error.message}`)));
      // 'spawn' comes before any output can be read, so no line is missed.
      child.once('spawn', () => resolve(new ClaudeProcess(child, child.pid ?? 0, start)));
    });
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** Stops or resumes reading its output, so that a CLI faster than the disk waits. */
  pauseOutput(paused: boolean): void {
    if (paused) this.#child.stdout.pause();
    else this.#child.stdout.resume();
  }

  /**
   * Has the CLI ask before each use of these tools, by `callback`; it waits for `goOn`, at most a minute.
   * @param tools as in the matcher of a hook (docs: code.claude.com/docs/en/hooks)
   * @param beforeEnd the callback by which it asks whether its turn may end; answered by `goOn` or `notYet`
   */
  askBefore(tools: string, callback: string, beforeEnd: string): void {
    const hooks = {
      PreToolUse: [{ matcher: tools, hookCallbackIds: [callback] }],
      Stop: [{ hookCallbackIds: [beforeEnd], timeout: STOP_HOOK_SECONDS }],
    };
    this.#write({ type: 'control_request', request_id: randomUUID(), request: { subtype: 'initialize', hooks } });
  }

  /** Answers a hook without a decision: the CLI continues as if there were no hook. */
  goOn(requestId: string): void {
    this.#write({ type: 'control_response', response: { subtype: 'success', request_id: requestId, response: {} } });
  }

  /** Answers the Stop hook with `block`: the turn does not end yet, and Claude is told why. */
  notYet(requestId: string, reason: string): void {
    const response = { decision: 'block', reason };
    this.#write({ type: 'control_response', response: { subtype: 'success', request_id: requestId, response } });
  }

  /** A user message; the CLI takes it at once, also during a turn. */
  prompt(id: string, text: string): void {
    this.lastOutputAt = steadyNow();
    this.#write({
      type: 'user',
      message: { role: 'user', content: text },
      parent_tool_use_id: null,
      session_id: '',
      uuid: id,
    });
  }

  /** Ends the running turn and drops what is queued; the CLI answers with a result and stays alive. */
  interrupt(): void {
    const request = { subtype: 'interrupt', cancel_queued: true };
    this.#write({ type: 'control_request', request_id: randomUUID(), request });
  }

  /** Ends a helper or a command in the background; Claude is told that it was stopped (measured with CLI 2.1.330). */
  stopTask(taskId: string): void {
    this.#write({
      type: 'control_request',
      request_id: randomUUID(),
      request: { subtype: 'stop_task', task_id: taskId },
    });
  }

  /** Answers a tool that waits for people, with its input completed. */
  answer(requestId: string, input: Record<string, unknown>): void {
    const response = { behavior: 'allow', updatedInput: input };
    this.#write({ type: 'control_response', response: { subtype: 'success', request_id: requestId, response } });
  }

  /** Tells a tool that asks to be let run that it may not, and why. */
  deny(requestId: string, message: string): void {
    const response = { behavior: 'deny', message };
    this.#write({ type: 'control_response', response: { subtype: 'success', request_id: requestId, response } });
  }

  /** Refuses a question the CLI asks its host; unanswered it would wait forever. */
  refuse(requestId: string, error: string): void {
    this.#write({ type: 'control_response', response: { subtype: 'error', request_id: requestId, error } });
  }

  /**
   * Ends the CLI and everything that was started in it: asks, then tells, then kills.
   * @param politely false skips asking: the CLI hangs, or there is no time
   */
  async end(politely: boolean): Promise<ClaudeExit> {
    if (this.#alive && politely) {
      this.#child.stdin.end();
      await settledWithin(END_PATIENCE_MS, this.exited);
    }
    if (this.#alive) {
      // The CLI ends its tools before itself when it is given the time.
      signalProcess(innermost(this.pid), 'SIGTERM');
      await settledWithin(TERM_PATIENCE_MS, this.exited);
    }
    signalProcess(-this.pid, 'SIGKILL');
    await killSessionProcesses(this.#sessionDir);
    return await this.exited;
  }

  #write(message: unknown): void {
    this.#child.stdin.write(`${JSON.stringify(message)}\n`);
  }
}
