/** The one interface to a sandbox, whatever it runs on. Everything is idempotent: a repeat changes nothing. */
import type { GivenFile } from '../protocol/files.ts';
import type { SandboxCommand } from '../protocol/sandbox/commands.ts';
import type { SandboxStatus, StartSession } from '../protocol/sandbox/start.ts';

export interface Sandbox {
  /** Whether nobody tells when it ends, so that it has to be asked whether it is there. */
  readonly endsUntold: boolean;
  /**
   * Asks, within 2 s, whether the sandbox is there and knows the session.
   * @throws DatabaseError, SandboxError where it cannot be asked, which says nothing of it
   */
  isThere(sessionId: string): Promise<boolean>;
  /** Address under which this kind of sandbox reaches the gateway, and what its start message carries as token. */
  gateway(origin: string, token: string): StartSession['gateway'];
  /**
   * Brings up what the session will need anyway, as far as that is possible before it is known how it works: it saves the next
   * start the wait, and changes nothing else.
   * @throws SandboxError; then the start says why
   */
  warm(sessionId: string): Promise<void>;
  /**
   * Brings up the session, or finds it. Answers before the workspace is ready; progress comes as events.
   * @throws SandboxError; SandboxLostError, as everything below, where what there was of the session is gone
   */
  start(sessionId: string, body: StartSession): Promise<SandboxStatus>;
  command(sessionId: string, command: SandboxCommand): Promise<void>;
  /** Deletes what is kept of the session's lives up to this one. One that has nothing of it has done so. @throws SandboxError */
  purge(sessionId: string, generation: number): Promise<void>;
  /** The files that the session was given. */
  files(sessionId: string): Promise<GivenFile[]>;
  /** Gives the session a file; `name` is a FILE_NAME, the same name again replaces the file. */
  putFile(sessionId: string, name: string, body: ReadableStream<Uint8Array>): Promise<GivenFile>;
}

/**
 * The sandbox could not do what was asked.
 * `retryable`: it may succeed later (unreachable, busy, starting); otherwise it is refused for good.
 * `hint` says what a person can do; `reason`, what is waited for meanwhile, for the page and Linear.
 */
export class SandboxError extends Error {
  override readonly name = 'SandboxError';
  readonly retryable: boolean;
  readonly hint: string;
  readonly reason: string | null;
  constructor(message: string, options: { retryable: boolean; hint: string; reason?: string; cause?: unknown }) {
    super(message, { cause: options.cause });
    this.retryable = options.retryable;
    this.hint = options.hint;
    this.reason = options.reason ?? null;
  }
}

/** The sandbox runs, but has nothing of the session: its disk is not the one of before. Another life has to begin. */
export class SandboxLostError extends SandboxError {
  constructor() {
    super('the sandbox no longer has this session', {
      retryable: false,
      hint: 'Comment to start another sandbox.',
    });
  }
}
