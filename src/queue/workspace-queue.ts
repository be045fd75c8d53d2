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
import type { ReachedLimit, SlotAnswer, StartLimits } from '../protocol/settings/start-limits.ts';
import { openDatabase } from '../store/database.ts';
import { firstValues, migrateValues } from '../store/object-schema.ts';
import { settledConfig } from '../store/settings.ts';
import { readWorkspaceSettings } from '../store/workspaces/workspace-settings.ts';
import {
  admit,
  emptyLine,
  join,
  type Line,
  type LineEntry,
  leave,
  limitOf,
  lineSchema,
  nextStartAt,
  orderOf,
  positionsOf,
} from './fair-queue.ts';
import { usedNow } from './sandbox-minutes.ts';
import { begunWithin } from './start-limits.ts';

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

/** While a limit holds somebody up the queue wakes no more often than this. */
const LEAST_PAUSE_MS = 5_000;

/** The queue as admins see it. */
export interface LineView extends Pick<Line, 'working' | 'waiting'> {
  /** The concurrency limit, as it is set now. */
  sessionsAtOnce: number;
  /** The limits on starts as they are set now, by their variables; 0: no limit. */
  limits: StartLimits;
  /** The limit that the first in the queue waits for; null: nobody waits, or for a slot alone. */
  reached: ReachedLimit | null;
  /** New sessions of the last hour and of the last day. */
  begun: { hour: number; day: number };
  /** How long sandboxes worked on this day and in this month (UTC), in minutes. */
  sandboxMinutes: { day: number; month: number };
}

/** A session that asks for a slot. */
export interface Asking extends Omit<LineEntry, 'since'> {
  /** Something runs for it already: it cannot be held up. */
  isUnderWay: boolean;
}

/** What is set of the workspace. */
interface Limits {
  cap: number;
  starts: StartLimits;
}

export class WorkspaceQueue extends DurableObject<Env> {
  #line: Line;
  /** The limit as it was read last, and when, in ms. */
  #known: (Limits & { at: number }) | null = null;
  /** The next alarm comes early, for somebody whom a limit holds up. */
  #wakesForLimit = false;
  /** When sessions were asked last whether they still need what they have, in ms. */
  #checkedAt = Number.NEGATIVE_INFINITY;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    migrateValues(ctx.storage, 'workspace-queue', [firstValues]);
    const kept = lineSchema.safeParse(ctx.storage.kv.get(LINE));
    this.#line = kept.success ? kept.data : emptyLine;
    for (const { session, issue } of [...this.#line.working, ...this.#line.waiting]) knowIssue(session, issue);
  }

  /** As `ask`, for sessions of the version before. @returns the position alone */
  async take(asking: Asking): Promise<number> {
    return (await this.ask(asking)).position;
  }

  /** Asks for a slot, or for the queue position. */
  async ask({ isUnderWay, ...entry }: Asking): Promise<SlotAnswer> {
    knowIssue(entry.session, entry.issue);
    const { name } = this.ctx.id;
    if (name !== undefined && this.ctx.storage.kv.get(WORKSPACE) !== name) this.ctx.storage.kv.put(WORKSPACE, name);
    const limits = await this.#limits();
    this.#change(join(this.#line, { ...entry, since: Date.now() }, isUnderWay), limits, entry.session);
    await this.#arm(limits);
    const position = positionsOf(this.#line).get(entry.session) ?? 0;
    return { position, limit: position === 0 ? null : this.#limitOf(entry.session, limits) };
  }

  /** Gives a slot or a queue position back, for this turn and those before it. */
  async give(session: string, turn: number): Promise<void> {
    const limits = await this.#limits();
    this.#change(leave(this.#line, session, turn, Date.now()), limits, session);
    await this.#arm(limits);
  }

  /** Who is at work, who waits, how many may be at work, and what is used of the limits. */
  async line(): Promise<LineView> {
    const limits = await this.#limits(true);
    const now = Date.now();
    const { working, waiting, used } = this.#line;
    const [first] = orderOf(this.#line);
    const { dayMs, monthMs } = usedNow(
      used,
      working.map(({ since }) => since),
      now,
    );
    return {
      sessionsAtOnce: limits.cap,
      limits: limits.starts,
      reached: first === undefined ? null : this.#limitOf(first.session, limits),
      begun: begunWithin(this.#line, now),
      sandboxMinutes: { day: Math.floor(dayMs / 60_000), month: Math.floor(monthMs / 60_000) },
      working,
      waiting,
    };
  }

  /** Forgets all that is stored: the workspace is deleted. */
  async erase(): Promise<void> {
    this.#line = emptyLine;
    this.#known = null;
    await this.ctx.storage.deleteAll();
  }

  /** An admin changed settings: the limit may be another. */
  async settingsChanged(): Promise<void> {
    const limits = await this.#limits(true);
    this.#change(this.#line, limits, null);
    await this.#arm(limits);
  }

  /**
   * Takes the limit as it is set now, and asks each session whether it still needs its slot, to release those of sessions that crashed
   * or whose release was lost. Never throws.
   */
  override async alarm(): Promise<void> {
    // It may be awake because a limit lets somebody start: the others need not be asked each time.
    const isCheck = Math.abs(Date.now() - this.#checkedAt) >= CHECK_EVERY_MS || !this.#wakesForLimit;
    const lost = isCheck ? await this.#lostEntries() : [];
    if (isCheck) this.#checkedAt = Date.now();
    this.#wakesForLimit = false;
    const limits = await this.#limits(isCheck);
    let line = this.#line;
    for (const { session, turn } of lost) line = leave(line, session, turn, Date.now());
    this.#change(line, limits, null);
    await this.#arm(limits);
  }

  async #lostEntries(): Promise<LineEntry[]> {
    const entries = [...this.#line.working, ...this.#line.waiting];
    const needed = await inBatches(entries, TOGETHER, (entry) => this.#needsSlot(entry));
    return entries.filter((_, index) => needed[index] === false);
  }

  async #arm({ cap, starts }: Limits): Promise<void> {
    const { working, waiting } = this.#line;
    if (working.length + waiting.length === 0) return;
    const now = Date.now();
    const check = now + CHECK_EVERY_MS;
    const start = nextStartAt(this.#line, cap, starts, now);
    const at = start === null ? check : Math.min(check, Math.max(start, now + LEAST_PAUSE_MS));
    const set = await this.ctx.storage.getAlarm();
    // One that is set already is moved only if it would come late by more than nobody minds.
    if (set !== null && set <= at + LEAST_PAUSE_MS) return;
    this.#wakesForLimit = at < check;
    await this.ctx.storage.setAlarm(at);
  }

  #limitOf(session: string, { cap, starts }: Limits): ReachedLimit | null {
    return limitOf(this.#line, session, { cap, limits: starts, now: Date.now() });
  }

  /** What is set of the workspace, else of the deployment. @param isNews it is read again, however lately it was */
  async #limits(isNews = false): Promise<Limits> {
    const now = Date.now();
    if (!isNews && this.#known !== null && Math.abs(now - this.#known.at) < CAP_EVERY_MS) return this.#known;
    const own = await this.#ownCap();
    const { limits, startLimits } = await settledConfig(this.env, this.#workspace(), isNews);
    this.#known = { cap: own ?? limits.sessionsAtOnce, starts: startLimits, at: now };
    return this.#known;
  }

  /** Whose queue it is; null: not known yet. An alarm may wake the object without its name. */
  #workspace(): string | null {
    const workspace = this.ctx.id.name ?? this.ctx.storage.kv.get(WORKSPACE);
    return typeof workspace === 'string' ? workspace : null;
  }

  /** If the database does not answer, what it said last. Never throws. */
  async #ownCap(): Promise<number | null> {
    const { kv } = this.ctx.storage;
    const own = z.number().int().min(1).safeParse(kv.get(OWN_CAP));
    const known = own.success ? own.data : null;
    const workspace = this.#workspace();
    if (workspace === null) return known;
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
  #change(next: Line, { cap, starts }: Limits, asking: string | null): void {
    const before = this.#line;
    const line = admit(next, cap, Date.now(), starts);
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
