/** The real Claude CLI over stream-json stdin and stdout, as the sandbox drives it, for tests of the scripted model. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

const eventSchema = z.looseObject({
  type: z.string(),
  subtype: z.string().optional(),
  is_error: z.boolean().optional(),
  result: z.string().optional(),
  terminal_reason: z.string().optional(),
  api_error: z.string().nullish(),
  message: z.looseObject({ content: z.union([z.string(), z.array(z.looseObject({ type: z.string() }))]) }).optional(),
});
export type CliEvent = z.infer<typeof eventSchema>;

export interface CliConversation {
  pid: number;
  events: CliEvent[];
  stderr(): string;
  /** Sends a user message, also in the middle of a turn. */
  say(text: string): void;
  /** Resolves with the first event from `from` (index, 0 where left out) on that fits; rejects when the CLI ends without one. */
  until(fits: (event: CliEvent) => boolean, from?: number): Promise<CliEvent>;
  /** Says it and waits for the turn's result. */
  ask(text: string): Promise<CliEvent>;
  /** Interrupts the turn by the control protocol. */
  interrupt(): void;
  /** Closes stdin and waits for the end. Resolves with the exit code. */
  end(): Promise<number | null>;
  /** Kills the CLI's whole process group. */
  kill(signal: NodeJS.Signals): void;
}

export interface CliOptions {
  baseUrl: string;
  directory: string;
  home: string;
  /** Environment that carries the credential. */
  credential: Record<string, string>;
  environment?: Record<string, string>;
  arguments?: string[];
}

/** Starts the CLI in the directory. Node is on its PATH, nothing of this process's environment otherwise. */
export async function startCli(options: CliOptions): Promise<CliConversation> {
  await mkdir(options.home, { recursive: true });
  const bin = join(import.meta.dirname, '../../node_modules/.bin');
  const child: ChildProcess = spawn(
    join(bin, 'claude'),
    [
      ...['-p', '--input-format', 'stream-json', '--output-format', 'stream-json', '--verbose'],
      ...['--include-partial-messages', '--dangerously-skip-permissions', '--setting-sources', 'user'],
      ...['--strict-mcp-config', '--model', 'sonnet', ...(options.arguments ?? [])],
    ],
    {
      cwd: options.directory,
      detached: true,
      stdio: 'pipe',
      env: {
        PATH: `${bin}:${process.env.PATH}`,
        HOME: options.home,
        IS_SANDBOX: '1',
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
        ANTHROPIC_BASE_URL: options.baseUrl,
        GIT_AUTHOR_NAME: 'Cyrus',
        GIT_AUTHOR_EMAIL: 'cyrus@example',
        GIT_COMMITTER_NAME: 'Cyrus',
        GIT_COMMITTER_EMAIL: 'cyrus@example',
        ...options.credential,
        ...options.environment,
      },
    },
  );
  const events: CliEvent[] = [];
  const listeners = new Set<() => void>();
  let rest = '';
  let errors = '';
  let exit: { code: number | null } | null = null;
  const notify = () => {
    for (const listener of [...listeners]) listener();
  };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) events.push(eventSchema.parse(JSON.parse(line)));
    notify();
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  child.on('close', (code) => {
    exit = { code };
    notify();
  });
  const waitFor = <T>(look: () => T | null, what: string): Promise<T> =>
    new Promise((resolve, reject) => {
      const check = () => {
        const found = look();
        if (found === null && exit === null) return;
        listeners.delete(check);
        if (found !== null) resolve(found);
        else reject(new Error(`the CLI ended with ${exit?.code} before ${what}: ${errors}`));
      };
      listeners.add(check);
      check();
    });
  const conversation: CliConversation = {
    pid: child.pid ?? -1,
    events,
    stderr: () => errors,
    say: (text) => {
      const message = { role: 'user', content: text };
      child.stdin?.write(
        `${JSON.stringify({ type: 'user', message, parent_tool_use_id: null, uuid: randomUUID() })}\n`,
      );
    },
    until: (fits, from = 0) => waitFor(() => events.slice(from).find(fits) ?? null, 'the awaited event'),
    ask: (text) => {
      const from = events.length;
      conversation.say(text);
      return conversation.until((event) => event.type === 'result', from);
    },
    interrupt: () => {
      const request = { subtype: 'interrupt', cancel_queued: true };
      child.stdin?.write(`${JSON.stringify({ type: 'control_request', request_id: randomUUID(), request })}\n`);
    },
    end: async () => {
      child.stdin?.end();
      return (await waitFor(() => exit, 'its end')).code;
    },
    kill: (signal) => {
      try {
        process.kill(-conversation.pid, signal);
      } catch (error) {
        // It has ended already.
        if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
      }
    },
  };
  return conversation;
}
