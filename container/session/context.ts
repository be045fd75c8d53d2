/** What the parts of a life share: its files, its settings, and the way to report. */
import { join } from 'node:path';
import type { SandboxEventBody } from '../../src/protocol/sandbox/events.ts';
import type { StartSession } from '../../src/protocol/sandbox/start.ts';
import type { SandboxConfig } from '../config.ts';
import type { CommandLog } from '../events/command-log.ts';
import type { EventJournal } from '../events/journal.ts';
import type { SessionAccess } from '../gateway/session-access.ts';
import { PreparationError } from '../git/preparation-error.ts';
import { remoteOf } from '../git/workspace.ts';
import type { WorkspacePlan } from '../git/workspace-plan.ts';
import { withTrailers } from '../hooks/commit-message.ts';
import { hookRunner } from '../hooks/hook-runner.ts';
import { log } from '../log.ts';
import { mirrorPath, type SessionPaths } from '../paths.ts';
import type { SessionRecord } from './session-record.ts';

export interface IncarnationContextParts {
  config: SandboxConfig;
  sessionId: string;
  paths: SessionPaths;
  record: SessionRecord;
  /** Writes `record` to disk. */
  remember: () => Promise<void>;
  journal: EventJournal;
  commands: CommandLog;
  access: SessionAccess;
}

export class IncarnationContext {
  readonly config: SandboxConfig;
  readonly sessionId: string;
  readonly paths: SessionPaths;
  readonly record: SessionRecord;
  readonly remember: () => Promise<void>;
  readonly journal: EventJournal;
  readonly commands: CommandLog;
  readonly access: SessionAccess;
  readonly #abort = new AbortController();

  constructor(parts: IncarnationContextParts) {
    this.config = parts.config;
    this.sessionId = parts.sessionId;
    this.paths = parts.paths;
    this.record = parts.record;
    this.remember = parts.remember;
    this.journal = parts.journal;
    this.commands = parts.commands;
    this.access = parts.access;
  }

  get start(): StartSession {
    return this.record.start;
  }

  /** Aborted when the life is over. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get isOver(): boolean {
    return this.#abort.signal.aborted;
  }

  /** From now on nothing is reported, and git commands are cut off. */
  close(): void {
    this.#abort.abort();
  }

  /** The session's branch: the wanted one, or what stands in for it. */
  get branch(): string {
    return this.record.branchName ?? this.start.repository.branch;
  }

  /** Reports an event, unless the life is over. */
  emit(body: SandboxEventBody): void {
    if (!this.isOver) this.journal.append(body);
  }

  /** The token is nowhere where Claude could come across it; should it ever, readers of the journal need not see it. */
  withoutToken(text: string): string {
    const { token } = this.start.gateway;
    return text.includes(token) ? text.replaceAll(token, '[session token]') : text;
  }

  /** Something that has no way to fail did. The session continues; the log says what. */
  broken(what: string, error: unknown): void {
    log('session.work.failed', { sessionId: this.sessionId, what, error });
  }

  /**
   * The working copy, with the token as it is now.
   * @throws PreparationError for a repository whose name is none
   */
  get plan(): WorkspacePlan {
    const { repository } = this.start;
    const mirror = mirrorPath(this.config.root, repository);
    if (!mirror) {
      const message = `"${repository.fullName}" is not the name of a repository.`;
      throw new PreparationError('mirror', message, 'Correct it in Cyrus.');
    }
    return {
      mirror,
      worktree: this.paths.worktree,
      fullName: repository.fullName,
      identity: repository.identity ?? null,
      baseBranch: repository.baseBranch,
      branch: this.branch,
      remote: remoteOf(this.paths, this.start, this.access, mirror),
      bundlePath: join(this.paths.dir, 'base.bundle'),
      signal: this.signal,
      waiting: {
        patienceMs: this.config.hostPatienceMs,
        isWanted: () => this.commands.waiting.length > 0,
        tell: (reason, said) => {
          const detail = reason === null ? `Fetching ${repository.fullName}` : `${reason} (${said})`;
          this.emit({ type: 'step', step: 'mirror', status: 'started', detail, ...(reason && { waitsFor: reason }) });
        },
      },
      ...this.#commits,
      lfsLimitBytes: this.config.lfsBytes,
    };
  }

  get #commits(): Pick<WorkspacePlan, 'commitMessage' | 'runHook'> {
    const { commits } = this.start;
    if (!commits) return {};
    const commitMessage = (branch: string) =>
      withTrailers(commits.message.replaceAll('{{branch}}', branch), commits.trailers);
    return {
      commitMessage,
      ...(commits.hooks && { runHook: hookRunner(this.paths, this.start, this.access, this.signal) }),
    };
  }
}
