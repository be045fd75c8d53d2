/** Keeps the workspaces in a JSON file, so that threads survive a restart of `npm start`. */
import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { oauthDataSchema } from '../oauth/model.ts';
import * as model from './model.ts';

const worldSchema = z.object({
  workspace: model.workspaceSchema,
  users: z.array(model.userSchema),
  teams: z.array(model.teamSchema),
  projects: z.array(model.projectSchema).default([]),
  documents: z.array(model.documentSchema).default([]),
  issues: z.array(model.issueSchema),
  relations: z.array(model.relationSchema).default([]),
  comments: z.array(model.commentSchema),
  sessions: z.array(model.agentSessionSchema),
  attachments: z.array(model.attachmentSchema),
  guidance: model.guidanceSchema,
});

const savedSchema = z.object({
  version: z.literal(1),
  /** The clock never goes back: what happened stays in the past. */
  now: z.number(),
  world: worldSchema,
  /** The workspaces beside the first. */
  otherWorlds: z.array(worldSchema).default([]),
  oauth: oauthDataSchema.nullable().default(null),
  /** Webhooks that Linear would still retry. */
  pendingDeliveries: z.array(
    z.object({
      id: z.uuid(),
      event: z.string(),
      action: z.string(),
      body: z.string(),
      timestamp: z.number(),
      failures: z.number(),
      nextAttemptAt: z.number(),
      /** Whose webhook; null: of the simulator's own application. */
      clientId: z.string().nullable().default(null),
      workspaceId: z.string().nullable().default(null),
    }),
  ),
});
/** All that is worth keeping. */
export type Saved = z.infer<typeof savedSchema>;
export type PendingDelivery = Saved['pendingDeliveries'][number];

/** The file is not one of the simulator's, or of another version. */
export class DataFileError extends Error {
  override readonly name = 'DataFileError';
}

/** Least time between two writes. */
const WRITE_PAUSE_MS = 250;

export class DataFile {
  readonly #path: string;
  #collect: (() => Saved) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  #lastWriteTook = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * @returns null when there is no file yet
   * @throws DataFileError when there is one that cannot be read
   */
  async load(): Promise<Saved | null> {
    let text: string;
    try {
      text = await readFile(this.#path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
    try {
      return savedSchema.parse(JSON.parse(text));
    } catch (error) {
      const reason = error instanceof z.ZodError ? z.prettifyError(error) : String(error);
      throw new DataFileError(
        `${this.#path} does not hold a state of the Linear simulator. Delete it to start afresh. ${reason}`,
      );
    }
  }

  /** From now on `changed` leads to a write of what `collect` returns. */
  saveFrom(collect: () => Saved): void {
    this.#collect = collect;
  }

  /** Something changed. Writes are put off a little and never pile up, however large the state. */
  changed(): void {
    const pause = Math.max(WRITE_PAUSE_MS, this.#lastWriteTook * 10);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      // A full disk must not end the simulator; the next change tries again.
      this.#writing = this.#writing
        .then(() => this.#write())
        .catch((error: Error) => console.error(`could not save the Linear simulator: ${error.message}`));
    }, pause);
  }

  /** Writes what is still unwritten. */
  async flush(): Promise<void> {
    if (this.#timer) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      await this.#writing;
      await this.#write();
    }
    await this.#writing;
  }

  /** Written beside and renamed, so that a crash leaves the old file or the new one, never half of one. */
  async #write(): Promise<void> {
    if (!this.#collect) return;
    const started = performance.now();
    const text = JSON.stringify(this.#collect());
    await mkdir(dirname(this.#path), { recursive: true });
    const unfinished = `${this.#path}.${randomUUID()}`;
    await writeFile(unfinished, text);
    await rename(unfinished, this.#path);
    this.#lastWriteTook = performance.now() - started;
  }
}
