/** A session as the sandbox's machine knows it: its files and its processes. */
import { type SessionPaths, sessionPaths } from '../../container/paths.ts';
import { until } from './run.ts';
import type { SandboxMachine } from './sandbox-machine.ts';
import type { Secret } from './secrets.ts';

export class SandboxSession {
  readonly paths: SessionPaths;
  readonly #machine: SandboxMachine;
  readonly #id: string;

  /** @param id of the session */
  constructor(machine: SandboxMachine, id: string) {
    this.paths = sessionPaths(machine.root, id);
    this.#machine = machine;
    this.#id = id;
  }

  /** Every living process of the session. */
  processes(): Promise<number[]> {
    return this.#machine.ask('processes', this.#id);
  }

  /** Waits for the processes that `[script: long-tool]` started: a shell, a program, and a child of it. */
  longTool(): Promise<number[]> {
    return until('the long tool to run', () => this.#machine.ask('longTool', this.#id));
  }

  /**
   * Watches these processes, for at most 10 s. Resolves when the watch is kept.
   * @returns when none of them lived any more, and which are left
   */
  async watch(pids: number[]): Promise<{ gone: Promise<{ at: number; left: number[] }> }> {
    const looking = Promise.withResolvers<void>();
    const gone = this.#machine.ask('gone', this.#id, { pids }, looking.resolve);
    await Promise.race([looking.promise, gone]);
    return { gone };
  }

  /** Ids of the conversations that Claude keeps on this disk. */
  conversations(): Promise<string[]> {
    return this.#machine.ask('conversations', this.#id);
  }

  /** The files that the session was given, in base64. */
  files(): Promise<{ name: string; base64: string }[]> {
    return this.#machine.ask('files', this.#id);
  }

  /** Names of the files that `[script: steps]` made. */
  steps(): Promise<string[]> {
    return this.#machine.ask('steps', this.#id);
  }

  /** The session's token, which the server keeps sealed. @param secret of the server */
  token(secret: string): Promise<string> {
    const secrets = [{ name: 'the server’s secret', text: secret }];
    return until('the session on the sandbox’s disk', () => this.#machine.ask('token', this.#id, { secrets }));
  }

  /** Where these secrets are in the session's files. */
  inFiles(secrets: Secret[]): Promise<string[]> {
    return this.#machine.ask('inSession', this.#id, { secrets });
  }

  /** Where these secrets are in the environment and the command line of processes. */
  inProcesses(pids: number[], secrets: Secret[]): Promise<string[]> {
    return this.#machine.ask('inProcesses', this.#id, { pids, secrets });
  }
}
