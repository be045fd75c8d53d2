/**
 * The workspace queue: one Durable Object for each workspace, named by Linear's organization id. It gives out the slots of
 * the sessions that may work at once, as many as the concurrency limit allows. What it knows may be wrong for a while, never for good: sessions ask it again, and it
 * asks them.
 */
import { DurableObject } from 'cloudflare:workers';
import * as z from 'zod';
import { readConfig } from '../config.ts';
import { asError } from '../lib/error.ts';
import { settledWithin } from '../lib/timeout.ts';
import { knowIssue, log } from '../observability/log.ts';
import { openDatabase } from '../store/database.ts';
import { firstValues, migrateValues } from '../store/object-schema.ts';
import { settledConfig } from '../store/settings.ts';
import { readWorkspaceSettings } from '../store/workspace-settings.ts';
import { admit, emptyLine, join, type Line, type LineEntry, leave, lineSchema, placesOf } from './fair-queue.ts';

/** Sessions are asked this often whether they still need what they have. */
const CHECK_EVERY_MS = 5 * 60_000;
/** While sessions wait, the concurrency limit is read this often: it may have been raised. */
const CAP_EVERY_MS = 10_000;
/** Nobody waits longer for the database to say what the limit is. */
const READ_LIMIT_MS = 1_000;
const LINE = 'line';
/** The workspace's own limit, as it was read last; null: it has none. */
const OWN_CAP = 'own-cap';
const WORKSPACE = 'workspace';
const CHECKED_AT = 'checked-at';

/** The queue as admins see it. */
export interface LineView extends Line {
  /** The concurrency limit, as it is set now. */
  sessionsAtOnce: number;
}

/** A session that asks for a place. */
export interface Asking extends Omit<LineEntry, 'since'> {
  /** Something runs for it already: it cannot be held up. */
  isUnderWay: boolean;
}

export class WorkspaceQueue extends DurableObject<Env> {
  #line: Line;
  /** When the workspace's own limit was read last, in ms. */
  #readAt = 0;

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
    return placesOf(this.#line).get(entry.session) ?? 0;
  }

  /** Gives a slot or a queue position back, for this turn and those before it. */
  async give(session: string, turn: number): Promise<void> {
    const cap = await this.#cap();
    this.#change(leave(this.#line, session, turn), cap, session);
  }

  /** Who is at work, who waits, and how many may be at work. */
  async line(): Promise<LineView> {
    const cap = await this.#cap();
    return { sessionsAtOnce: cap, ...this.#line };
  }

  /** An admin changed settings: the limit may be another. */
  async settingsChanged(): Promise<void> {
    const cap = await this.#cap(true);
    this.#change(this.#line, cap, null);
  }

  /**
   * Takes the limit as it is set now, and every few minutes asks each session whether it still needs its slot, to release those of
   * sessions that crashed or whose release was lost. Never throws.
   */
  override async alarm(): Promise<void> {
    const { kv } = this.ctx.storage;
    const checkedAt = z.number().safeParse(kv.get(CHECKED_AT));
    const now = Date.now();
    if (!checkedAt.success || Math.abs(now - checkedAt.data) >= CHECK_EVERY_MS) {
      kv.put(CHECKED_AT, now);
      await this.#releaseLost();
    }
    const cap = await this.#cap(true);
    this.#change(this.#line, cap, null);
    await this.#arm();
  }

  async #releaseLost(): Promise<void> {
    const entries = [...this.#line.working, ...this.#line.waiting];
    const gone = await Promise.all(entries.map(async (entry) => ((await this.#needsPlace(entry)) ? null : entry)));
    const cap = await this.#cap();
    let line = this.#line;
    for (const entry of gone) if (entry) line = leave(line, entry.session, entry.turn);
    this.#change(line, cap, null);
  }

  async #arm(): Promise<void> {
    const { working, waiting } = this.#line;
    if (working.length + waiting.length === 0) return;
    const at = Date.now() + (waiting.length > 0 ? CAP_EVERY_MS : CHECK_EVERY_MS);
    const set = await this.ctx.storage.getAlarm();
    if (set === null || set > at) await this.ctx.storage.setAlarm(at);
  }

  /** The workspace's own limit, else the deployment's. @param isNews it is read again, however lately it was */
  async #cap(isNews = false): Promise<number> {
    const own = await this.#ownCap(isNews);
    return own ?? (await settledConfig(this.env, null, isNews)).limits.sessionsAtOnce;
  }

  /** If the database does not answer, what it said last. Never throws. */
  async #ownCap(isNews: boolean): Promise<number | null> {
    const { kv } = this.ctx.storage;
    const own = z.number().int().min(1).safeParse(kv.get(OWN_CAP));
    const known = own.success ? own.data : null;
    const workspace = kv.get(WORKSPACE);
    const isFresh = Math.abs(Date.now() - this.#readAt) < CAP_EVERY_MS;
    if (typeof workspace !== 'string' || (isFresh && !isNews)) return known;
    this.#readAt = Date.now();
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

  async #needsPlace({ session }: LineEntry): Promise<boolean> {
    try {
      return await this.#session(session).needsPlace();
    } catch (error) {
      log('queue.session.unreachable', { session, error: asError(error) });
      return true;
    }
  }

  /** @param asking who knows the outcome by the answer */
  #change(next: Line, cap: number, asking: string | null): void {
    const before = placesOf(this.#line);
    const line = admit(next, cap, Date.now());
    // If the limit is as it was, looking for it costs no row.
    if (line === this.#line) return;
    this.#line = line;
    this.ctx.storage.kv.put(LINE, line);
    const after = placesOf(line);
    const isAtWork = (session: string) => line.working.some((entry) => entry.session === session);
    for (const [session, place] of before) {
      const now = after.get(session) ?? (isAtWork(session) ? 0 : null);
      if (now !== null && now !== place && session !== asking) this.ctx.waitUntil(this.#tell(session, now));
    }
  }

  /** A word that gets lost is made up for by the session, which asks once a minute. Never rejects. */
  async #tell(session: string, place: number): Promise<void> {
    try {
      await this.#session(session).placeChanged(place);
    } catch (error) {
      log('queue.notify.failed', { session, place, error: asError(error) });
    }
  }

  #session(id: string) {
    return this.env.ISSUE_SESSION.get(this.env.ISSUE_SESSION.idFromString(id));
  }
}
