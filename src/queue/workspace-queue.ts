/**
 * The workspace queue: one Durable Object for each workspace, named by Linear's organization id. It gives out the slots of
 * the sessions that may work at once, as many as the concurrency limit allows. What it knows may be wrong for a while, never for good: sessions ask it again, and it
 * asks them.
 */
import { DurableObject } from 'cloudflare:workers';
import * as z from 'zod';
import { readConfig } from '../config/read-config.ts';
import { inBatches } from '../lib/concurrency.ts';
import { asError } from '../lib/error.ts';
import { settledWithin } from '../lib/timeout.ts';
import { knowIssue, log } from '../observability/log.ts';
import { openDatabase } from '../store/database.ts';
import { firstValues, migrateValues } from '../store/object-schema.ts';
import { settledConfig } from '../store/settings.ts';
import { readWorkspaceSettings } from '../store/workspaces/workspace-settings.ts';
import { admit, emptyLine, join, type Line, type LineEntry, leave, lineSchema, positionsOf } from './fair-queue.ts';

/** Sessions are asked this often whether they still need what they have. */
const CHECK_EVERY_MS = 5 * 60_000;
/** What was read of the concurrency limit counts for so long, unless an admin is known to have changed it. Nobody reads it while nobody asks. */
const CAP_EVERY_MS = 60_000;
/** Sessions that are asked, or told, at the same time. */
const TOGETHER = 50;
/** Nobody waits longer for the database to say what the limit is. */
const READ_LIMIT_MS = 1_000;
const LINE = 'line';
/** The workspace's own limit, as it was read last; null: it has none. */
const OWN_CAP = 'own-cap';
const WORKSPACE = 'workspace';

/** The queue as admins see it. */
export interface LineView extends Line {
  /** The concurrency limit, as it is set now. */
  sessionsAtOnce: number;
}

/** A session that asks for a slot. */
export interface Asking extends Omit<LineEntry, 'since'> {
  /** Something runs for it already: it cannot be held up. */
  isUnderWay: boolean;
}

export class WorkspaceQueue extends DurableObject<Env> {
  #line: Line;
  /** The limit as it was read last, and when, in ms. */
  #known: { cap: number; at: number } | null = null;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    migrateValues(ctx.storage, 'workspace-queue', [firstValues]);
    const kept = lineSchema.safeParse(ctx.storage.kv.get(LINE));
    this.#line = kept.success ? kept.data : emptyLine;
    for (const { session, issue } of [...this.#line.working, ...this.#line.waiting]) knowIssue(session, issue);
  }

  /** Asks for a slot, or for the queue position. @returns 0: the slot is given; 1: next in the queue, and so on */
  async take({ isUnderWay, ...entry }: Asking): Promise<number> {
    knowIssue(entry.session, entry.issue);
    const { name } = this.ctx.id;
    if (name !== undefined && this.ctx.storage.kv.get(WORKSPACE) !== name) this.ctx.storage.kv.put(WORKSPACE, name);
    const cap = await this.#cap();
    this.#change(join(this.#line, { ...entry, since: Date.now() }, isUnderWay), cap, entry.session);
    await this.#arm();
    return positionsOf(this.#line).get(entry.session) ?? 0;
  }

  /** Gives a slot or a queue position back, for this turn and those before it. */
  async give(session: string, turn: number): Promise<void> {
    const cap = await this.#cap();
    this.#change(leave(this.#line, session, turn), cap, session);
  }

  /** Who is at work, who waits, and how many may be at work. */
  async line(): Promise<LineView> {
    const cap = await this.#cap(true);
    return { sessionsAtOnce: cap, ...this.#line };
  }

  /** Forgets all that is stored: the workspace is deleted. */
  async erase(): Promise<void> {
    this.#line = emptyLine;
    this.#known = null;
    await this.ctx.storage.deleteAll();
  }

  /** An admin changed settings: the limit may be another. */
  async settingsChanged(): Promise<void> {
    const cap = await this.#cap(true);
    this.#change(this.#line, cap, null);
  }

  /**
   * Takes the limit as it is set now, and asks each session whether it still needs its slot, to release those of sessions that crashed
   * or whose release was lost. Never throws.
   */
  override async alarm(): Promise<void> {
    const lost = await this.#lostEntries();
    const cap = await this.#cap(true);
    let line = this.#line;
    for (const { session, turn } of lost) line = leave(line, session, turn);
    this.#change(line, cap, null);
    await this.#arm();
  }

  async #lostEntries(): Promise<LineEntry[]> {
    const entries = [...this.#line.working, ...this.#line.waiting];
    const needed = await inBatches(entries, TOGETHER, (entry) => this.#needsSlot(entry));
    return entries.filter((_, index) => needed[index] === false);
  }

  async #arm(): Promise<void> {
    const { working, waiting } = this.#line;
    if (working.length + waiting.length === 0) return;
    if ((await this.ctx.storage.getAlarm()) === null) await this.ctx.storage.setAlarm(Date.now() + CHECK_EVERY_MS);
  }

  /** The workspace's own limit, else the deployment's. @param isNews it is read again, however lately it was */
  async #cap(isNews = false): Promise<number> {
    const now = Date.now();
    if (!isNews && this.#known !== null && Math.abs(now - this.#known.at) < CAP_EVERY_MS) return this.#known.cap;
    const own = await this.#ownCap();
    const cap = own ?? (await settledConfig(this.env, null, isNews)).limits.sessionsAtOnce;
    this.#known = { cap, at: now };
    return cap;
  }

  /** If the database does not answer, what it said last. Never throws. */
  async #ownCap(): Promise<number | null> {
    const { kv } = this.ctx.storage;
    const own = z.number().int().min(1).safeParse(kv.get(OWN_CAP));
    const known = own.success ? own.data : null;
    // An alarm may wake the object without its name.
    const workspace = this.ctx.id.name ?? kv.get(WORKSPACE);
    if (typeof workspace !== 'string') return known;
    try {
      const reading = readWorkspaceSettings(openDatabase(this.env.DB, readConfig(this.env).encryptionKey), workspace);
      const settings = await settledWithin(READ_LIMIT_MS, reading);
      if (settings === 'late') return known;
      const now = settings.sessionsAtOnce ?? null;
      if (now !== known) kv.put(OWN_CAP, now);
      return now;
    } catch (error) {
      log('queue.limit.unknown', { workspace, error: asError(error) });
      return known;
    }
  }

  async #needsSlot({ session }: LineEntry): Promise<boolean> {
    try {
      return await this.#session(session).needsSlot();
    } catch (error) {
      log('queue.session.unreachable', { session, error: asError(error) });
      return true;
    }
  }

  /** @param asking who knows the outcome by the answer */
  #change(next: Line, cap: number, asking: string | null): void {
    const before = this.#line;
    const line = admit(next, cap, Date.now());
    // If the limit is as it was, looking for it costs no row.
    if (line === before) return;
    this.#line = line;
    this.ctx.storage.kv.put(LINE, line);
    // Those who go on waiting ask once a minute: told at every change, a thousand of them would be a thousand calls for each turn that ends.
    const waited = new Set(before.waiting.map(({ session }) => session));
    const admitted = line.working.filter(({ session }) => waited.has(session) && session !== asking);
    if (admitted.length > 0) this.ctx.waitUntil(inBatches(admitted, TOGETHER, ({ session }) => this.#tell(session)));
  }

  /** If a notification gets lost, or the session's version does not know it yet, it asks again within a minute. Never rejects. */
  async #tell(session: string): Promise<void> {
    try {
      await this.#session(session).queueMoved(0);
    } catch (error) {
      log('queue.notify.failed', { session, error: asError(error) });
    }
  }

  #session(id: string) {
    return this.env.ISSUE_SESSION.get(this.env.ISSUE_SESSION.idFromString(id));
  }
}
