/**
 * Removes what of a session has been kept long enough (lifecycle/model/retention.ts), and in the end the session itself: its objects in the
 * bucket, its row, the objects of its containers, and all that its own object stores. It removes at its second look, an hour after the first
 * (kernel/second-look.ts). A step that fails is done again an hour later.
 */
import * as z from 'zod';
import type { Config } from '../config/config.ts';
import { lookAgain, secondLookAt } from '../kernel/second-look.ts';
import { asError } from '../lib/error.ts';
import { CLOSE_NO_SUCH_SESSION } from '../protocol/viewer.ts';
import { forgetContainers } from '../sandbox/container.ts';
import { openDatabase } from '../store/database.ts';
import { deleteSessionRow } from '../store/keeping/old-rows.ts';
import { deleteKind, deleteSessionObjects, OBJECT_KINDS } from '../store/keeping/session-objects.ts';
import { knownConfig } from '../store/settings.ts';
import { isAtRest, type KeptPart, mayHoldUnpushed, type Removed, removalTimes } from './lifecycle/model/retention.ts';
import type { SessionState } from './lifecycle/model/state.ts';
import type { SessionLog } from './session-log.ts';
import type { SessionEngine } from './storage/session-engine.ts';
import type { StoredCheckpoint } from './storage/stored-checkpoint.ts';
import type { TransitionWriter } from './storage/transition-writer.ts';

/** Key of what was removed since the session came to rest. */
const REMOVED = 'removed-parts';
/** Key of when something was first found due. */
const FIRST_LOOK = 'first-look';
const AGAIN_MS = 3_600_000;
const firstLookSchema = z.object({ since: z.number(), at: z.number() });

export interface SessionKeeperOptions {
  ctx: DurableObjectState;
  env: Env;
  engine: () => SessionEngine;
  /** What is known of the session, also of one that is read-only. */
  known: () => SessionState | null;
  journal: TransitionWriter['journal'];
  checkpoint: StoredCheckpoint;
  /** The configuration as it was read last. */
  config: () => Config;
  /** Deletes what a sandbox server keeps of the session. */
  purge: (state: SessionState) => Promise<void>;
  log: SessionLog;
}

export class SessionKeeper {
  readonly #options: SessionKeeperOptions;
  /** When something that failed is tried again, ms. */
  #notBefore = 0;

  constructor(options: SessionKeeperOptions) {
    this.#options = options;
  }

  /** When something is to be removed next, in ms since the epoch; null: nothing is, while the state is this. */
  nextAt(state: SessionState): number | null {
    if (!isAtRest(state)) return null;
    // What the first look found due may be so by settings that were read for it alone.
    const secondAt = secondLookAt(this.#firstLook(state), Date.now());
    if (secondAt !== null) return Math.max(this.#notBefore, secondAt);
    const times = this.#times(state, this.#options.config());
    return times.length === 0 ? null : Math.max(this.#notBefore, Math.min(...times.map(({ at }) => at)));
  }

  /**
   * Removes what is due. Never throws.
   * @param isUnsure the settings may have changed: they are read whatever seems to be due
   * @returns `gone`: nothing is stored any more, and the caller begins as an object that was never used
   */
  async carryOut(isUnsure = false): Promise<'gone' | 'kept'> {
    const { state } = this.#options.engine();
    const next = state && this.nextAt(state);
    if (!state || (!isUnsure && (next === null || next > Date.now()))) return 'kept';
    try {
      // What was meant to be kept for longer cannot be brought back: without the settings nothing is removed.
      const config = await knownConfig(this.#options.env, state.workspaceId);
      if (config === null) throw new Error('the settings could not be read');
      return await this.#removeDue(config);
    } catch (error) {
      this.#notBefore = Date.now() + AGAIN_MS;
      this.#options.log.write('session.removal.failed', { error: asError(error) });
      return 'kept';
    }
  }

  /**
   * Deletes the session with everything that belongs to it, whatever its state.
   * @returns whether it is gone; false: something happened to it meanwhile
   * @throws what R2, D1 and the objects of containers throw; some of it may be deleted then
   */
  async erase(): Promise<boolean> {
    return await this.#erase(() => true);
  }

  /** @param mayGoOn asked before each step that deletes what a turn needs; once it says no, the rest stays */
  async #erase(mayGoOn: () => boolean): Promise<boolean> {
    const { ctx, env, engine, config, log } = this.#options;
    const id = ctx.id.toString();
    // A turn that begins in the middle of this must not begin from what is deleted.
    this.#forgetCheckpoint();
    const { state } = engine();
    await this.#endSandboxes(id);
    for (const kind of OBJECT_KINDS) {
      if (!mayGoOn()) return false;
      await deleteKind(env.LOGS, kind, id);
    }
    if (!mayGoOn()) return false;
    await deleteSessionObjects(env.LOGS, id);
    const database = openDatabase(env.DB, config().encryptionKey);
    await deleteSessionRow(database, id, state?.revision ?? Number.MAX_SAFE_INTEGER);
    // What came in meanwhile has brought the row back, or will.
    if (engine().state !== state) return false;
    log.write('session.object.deleted');
    for (const socket of ctx.getWebSockets()) socket.close(CLOSE_NO_SUCH_SESSION, 'this session was deleted');
    await ctx.storage.deleteAll();
    return true;
  }

  async #endSandboxes(id: string): Promise<void> {
    const { env, known, config, log, purge } = this.#options;
    const state = known();
    if ((state?.arrangement?.placement?.kind ?? config().sandbox.kind) === 'container') {
      await forgetContainers(env, id, state?.sandbox.generation ?? 0);
    } else if (state) {
      // A server that is gone for good must not keep it here for good.
      await purge(state).catch((error: unknown) => {
        log.write('session.sandbox_purge.failed', { error: asError(error) });
      });
    }
  }

  /** From now on nothing begins from the checkpoint. */
  #forgetCheckpoint(): void {
    const { engine, checkpoint } = this.#options;
    if (!engine().state) return;
    engine().commit(() => {
      checkpoint.remove();
      const { state } = engine();
      return state && { state, event: { type: 'checkpoint-removed' } };
    });
  }

  #times(state: SessionState, { retention }: Config): { part: KeptPart; at: number }[] {
    // Asked with each event of a session at work, so nothing is read for it.
    if (!isAtRest(state)) return [];
    const hasUnpushed = mayHoldUnpushed(state, this.#options.journal.lastSaved());
    return removalTimes(state, retention, this.#removed(), hasUnpushed);
  }

  async #removeDue(config: Config): Promise<'gone' | 'kept'> {
    const { env, engine, ctx, log } = this.#options;
    for (;;) {
      const { state } = engine();
      if (!state) return 'kept';
      const [due] = this.#times(state, config)
        .filter(({ at }) => at <= Date.now())
        // All of it goes at once, if it does.
        .toSorted((a, b) => Number(b.part === 'session') - Number(a.part === 'session'));
      if (!due) {
        if (this.#firstLook(state) !== null) ctx.storage.kv.delete(FIRST_LOOK);
        return 'kept';
      }
      if (!this.#isSecondLook(state)) return 'kept';
      if (due.part === 'session') {
        if (!engine().isIdle) throw new Error('something is still on its way');
        // A comment in the middle of it has the session go on: what is left of it is kept.
        if (await this.#erase(() => isSame(engine().state, state))) return 'gone';
        continue;
      }
      await this.#remove(due.part, ctx.id.toString(), env);
      log.write('session.part.removed', { part: due.part });
      if (engine().state?.phase.since === state.phase.since) this.#note(state.phase.since, due.part);
    }
  }

  /** Whether something was found due before, long enough ago; notes that it is now if it was not. */
  #isSecondLook(state: SessionState): boolean {
    const now = Date.now();
    const look = lookAgain(this.#firstLook(state), now);
    if (look === 'first') {
      this.#options.ctx.storage.kv.put(FIRST_LOOK, { since: state.phase.since, at: now });
      this.#options.log.write('session.removal.due');
    }
    return look === 'agreed';
  }

  /** When something was first found due since the session came to rest, in ms since the epoch; null: it was not. */
  #firstLook({ phase }: SessionState): number | null {
    const { data } = firstLookSchema.safeParse(this.#options.ctx.storage.kv.get(FIRST_LOOK));
    return data?.since === phase.since ? data.at : null;
  }

  async #remove(part: Exclude<KeptPart, 'session'>, id: string, env: Env): Promise<void> {
    switch (part) {
      case 'checkpoint': {
        this.#forgetCheckpoint();
        await deleteKind(env.LOGS, 'checkpoints', id);
        break;
      }
      case 'egress':
        this.#options.ctx.storage.sql.exec('DROP TABLE IF EXISTS egress');
        break;
      case 'patches':
        await deleteKind(env.LOGS, 'patches', id);
        await deleteKind(env.LOGS, 'shared', id);
        break;
      case 'logs':
        await deleteKind(env.LOGS, 'logs', id);
        break;
    }
  }

  #removed(): Removed | null {
    // Written by `#note` and nobody else, so its shape is known.
    return this.#options.ctx.storage.kv.get<Removed>(REMOVED) ?? null;
  }

  #note(since: number, part: KeptPart): void {
    const before = this.#removed();
    const parts = before?.since === since ? before.parts : [];
    this.#options.ctx.storage.kv.put(REMOVED, { since, parts: [...parts, part] } satisfies Removed);
  }
}

/** Whether a session is in the phase that it was in, with nothing that waits. */
function isSame(now: SessionState | null, before: SessionState): boolean {
  return now !== null && isAtRest(now) && now.phase.since === before.phase.since;
}
