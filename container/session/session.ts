/** A session of this server: its record on disk and its current life. Starts are taken one after the other. */
import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rm } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { Mutex } from '../../src/lib/concurrency.ts';
import type { GivenFile } from '../../src/protocol/files.ts';
import type { SandboxCommand } from '../../src/protocol/sandbox/commands.ts';
import type { SandboxStatus, StartSession } from '../../src/protocol/sandbox/start.ts';
import { SANDBOX_PROTOCOL } from '../../src/protocol/version.ts';
import type { SandboxConfig } from '../config.ts';
import { listGivenFiles, takeGivenFile } from '../files/incoming-files.ts';
import { Refusal } from '../http.ts';
import { log } from '../log.ts';
import { mirrorPath, type SessionPaths, sessionPaths } from '../paths.ts';
import { killSessionProcesses } from '../process/process-group.ts';
import type { SessionWall } from '../walls/session-wall.ts';
import { Incarnation } from './incarnation.ts';
import { readRecord, type SessionRecord, writeRecord } from './session-record.ts';

/** The wall of a session, by its id. @throws Refusal if there is no user left for it */
export type WallOf = (id: string) => SessionWall;

export class Session {
  readonly id: string;
  readonly #config: SandboxConfig;
  readonly #bootId: string;
  readonly #paths: SessionPaths;
  readonly #wall: SessionWall;
  readonly #starts = new Mutex();
  /** Starts that wait for their turn or are under way. */
  #starting = 0;
  readonly #writes = new Mutex();
  #record: SessionRecord;
  #incarnation: Incarnation | null = null;
  /** The end of the life before the current one. */
  #ending: Promise<void> = Promise.resolve();

  private constructor(config: SandboxConfig, bootId: string, id: string, record: SessionRecord, wall: SessionWall) {
    this.id = id;
    this.#config = config;
    this.#bootId = bootId;
    this.#paths = sessionPaths(config.root, id);
    this.#record = record;
    this.#wall = wall;
  }

  /** Begins a session that this disk does not know. */
  static async create(
    config: SandboxConfig,
    bootId: string,
    id: string,
    start: StartSession,
    wallOf: WallOf,
  ): Promise<Session> {
    checkRepository(config, start);
    checkCredential(config, start);
    await mkdir(sessionPaths(config.root, id).dir, { recursive: true, mode: 0o700 });
    const session = new Session(config, bootId, id, newRecord(start, null), wallOf(id));
    await session.#beginLife(true);
    return session;
  }

  /** Takes a session up again after a restart. @returns null when the disk holds none of this id */
  static async reopen(config: SandboxConfig, bootId: string, id: string, wallOf: WallOf): Promise<Session | null> {
    const record = await readRecord(sessionPaths(config.root, id), config.secret);
    if (!record) return null;
    const session = new Session(config, bootId, id, record, wallOf(id));
    if (!record.closed) await session.#beginLife(false);
    return session;
  }

  /**
   * A start for a session that is known. A higher generation supersedes. The same generation brings up what is missing
   * (it was closed, or its preparations failed and may succeed now); else it changes nothing but the token, the model and its effort.
   * @throws Refusal 409 for an earlier generation
   */
  start(start: StartSession): Promise<SandboxStatus> {
    this.#starting += 1;
    return this.#starts
      .run(() => this.#start(start))
      .finally(() => {
        this.#starting -= 1;
      });
  }

  async #start(start: StartSession): Promise<SandboxStatus> {
    const { generation } = this.#record.start;
    if (start.generation < generation) {
      const message = `Generation ${generation} of this session has taken over; this was ${start.generation}.`;
      throw new Refusal(409, 'superseded', message);
    }
    checkRepository(this.#config, start);
    checkCredential(this.#config, start);
    if (start.generation > generation) {
      this.#endLife();
      this.#record = newRecord(start, this.#record);
      await this.#beginLife(true);
    } else if (this.#incarnation && this.#incarnation.status.state !== 'failed') {
      this.#record.start.gateway = start.gateway;
      this.#record.start.waitsForHelpers = start.waitsForHelpers;
      this.#record.start.commits = start.commits;
      // An admin may have corrected it.
      this.#record.start.repository.baseBranch = start.repository.baseBranch;
      this.#record.start.repository.pullRequest = start.repository.pullRequest;
      // A conversation that Claude's API does not take any more is followed by another one, in the same place.
      const { model, fallbackModel, effort, conversationId } = start.claude;
      Object.assign(this.#record.start.claude, { model, fallbackModel, effort, conversationId });
      await this.#remember();
      this.#incarnation.renew(start.gateway);
    } else {
      this.#endLife();
      await this.#ending;
      this.#record = { ...this.#record, start, closed: false, failed: false };
      await this.#beginLife(false);
    }
    return this.status;
  }

  /** @throws Refusal 409 for a prompt that cannot be taken; a stop of what has ended is no error */
  command(command: SandboxCommand): void {
    const { state } = this.status;
    if (command.type === 'prompt' && (state === 'closed' || state === 'failed')) {
      const why = state === 'closed' ? 'was closed' : 'could not be prepared';
      throw new Refusal(409, state, `This session ${why}; start it again with PUT.`);
    }
    this.#incarnation?.command(command);
  }

  /** The files this session was given. */
  givenFiles(): Promise<GivenFile[]> {
    return listGivenFiles(this.#paths.files);
  }

  /** Takes a file; the same name again replaces it. @throws Refusal */
  takeFile(name: string, request: IncomingMessage): Promise<GivenFile> {
    return takeGivenFile(this.#paths.files, name, request);
  }

  get status(): SandboxStatus {
    if (this.#incarnation) return this.#incarnation.status;
    const { start, streamId } = this.#record;
    const { generation } = start;
    const identity = { sessionId: this.id, generation, bootId: this.#bootId, streamId };
    return { protocol: SANDBOX_PROTOCOL, ...identity, lastSeq: 0, state: 'closed' };
  }

  /**
   * Ends every process; `purge` also deletes the session's files and its worktree.
   * @param upTo the last generation that is meant
   * @throws Refusal 409 if a later generation is here, or if a start came before this and is not done
   */
  remove({ purge, upTo }: { purge: boolean; upTo: number }): Promise<void> {
    const isStarting = this.#starting > 0;
    return this.#starts.run(async () => {
      const isLater = this.#record.start.generation > upTo;
      if (isLater || (purge && isStarting)) {
        const why = isLater ? 'A later generation of this session is here' : 'This session is being started';
        throw new Refusal(409, 'superseded', `${why}, and stays.`);
      }
      await this.#close();
      if (!purge) return;
      await rm(this.#paths.worktree, { recursive: true, force: true });
      await rm(this.#paths.dir, { recursive: true, force: true });
      this.#wall.forget();
    });
  }

  /** Saves and posts what can be within the time; the files stay for the next server. */
  async shutDown(limitMs: number): Promise<void> {
    await this.#incarnation?.shutDown(limitMs);
  }

  async #close(): Promise<void> {
    this.#record.closed = true;
    this.#endLife();
    await this.#ending;
    await this.#remember();
  }

  #endLife(): void {
    const life = this.#incarnation;
    this.#incarnation = null;
    if (!life) return;
    this.#ending = life.end().catch((error: unknown) => log('session.end.failed', { sessionId: this.id, error }));
  }

  async #beginLife(fresh: boolean): Promise<void> {
    await this.#remember();
    const record = this.#record;
    const predecessor = fresh ? this.#ending.then(() => this.#forgetOthers(record)) : this.#ending;
    const life = await Incarnation.begin({
      config: this.#config,
      sessionId: this.id,
      bootId: this.#bootId,
      paths: this.#paths,
      wall: this.#wall,
      record,
      fresh,
      predecessor,
      remember: async () => {
        if (this.#record === record) await this.#remember();
      },
      onSuperseded: (message, diskIsBehind) => {
        log('session.generation.superseded', { sessionId: this.id, generation: record.start.generation, message });
        // Numbers given from here on would be taken for others: another start must see another numbering.
        if (diskIsBehind) record.streamId = randomUUID();
        if (this.#record === record)
          void this.#starts.run(() => (this.#record === record ? this.#close() : Promise.resolve()));
      },
    });
    this.#incarnation = life;
  }

  /** Events and commands of earlier lives are of no use to anyone. */
  async #forgetOthers(record: SessionRecord): Promise<void> {
    for (const name of await readdir(this.#paths.lives).catch(() => [])) {
      if (name !== record.streamId) await rm(join(this.#paths.lives, name), { recursive: true, force: true });
    }
    await killSessionProcesses(this.#paths.dir);
  }

  #remember(): Promise<void> {
    const record = this.#record;
    return this.#writes.run(() => writeRecord(this.#paths, record, this.#config.secret));
  }
}

function newRecord(start: StartSession, before: SessionRecord | null): SessionRecord {
  return {
    start,
    streamId: randomUUID(),
    closed: false,
    failed: false,
    baseCommit: null,
    savedHead: before?.savedHead ?? null,
    setup: before?.setup ?? null,
    branch: before?.branch,
    branchName: before?.branchName,
    notes: before?.notes,
    told: before?.told,
  };
}

/** No charge by accident: where a subscription pays, an API key must not be there. */
function checkCredential(config: SandboxConfig, start: StartSession): void {
  if (start.claude.credential !== 'subscription' || !config.hasApiKey) return;
  throw new Refusal(
    400,
    'api-key-set',
    "ANTHROPIC_API_KEY is set in the environment of the sandbox server (the container's image, its start, or the machine), but this Cyrus uses a Claude subscription: remove it there, because it could cause charges; or set CLAUDE_CREDENTIAL to api-key.",
  );
}

/** The name becomes a path under `mirrors/`. */
function checkRepository(config: SandboxConfig, start: StartSession): void {
  if (mirrorPath(config.root, start.repository)) return;
  throw new Refusal(
    400,
    'bad-repository',
    `repository.fullName: "${start.repository.fullName}" is not the name of a repository.`,
  );
}
