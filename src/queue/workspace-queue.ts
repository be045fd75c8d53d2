/**
 * The workspace queue: one Durable Object for each workspace, named by Linear's organization id. It gives out places among
 * the sessions that may be at work at once. What it knows may be wrong for a while, never for good: sessions ask it again, and it
 * asks them.
 */
import { DurableObject } from 'cloudflare:workers';
import * as z from 'zod';
import { readConfig } from '../config.ts';
import { asError } from '../lib/error.ts';
import { log } from '../observability/log.ts';
import { firstValues, migrateValues } from '../store/object-schema.ts';
import { admit, emptyLine, join, type Line, type LineEntry, leave, lineSchema, placesOf } from './fair-queue.ts';

/** Sessions are asked this often whether they still need what they have. */
const CHECK_EVERY_MS = 5 * 60_000;
const LINE = 'line';
const OWN_CAP = 'own-cap';

/** A session that asks for a place. */
export interface Asking extends Omit<LineEntry, 'since'> {
  /** Something runs for it already: it cannot be held up. */
  isUnderWay: boolean;
  /** How many the workspace's settings allow; null: they do not say; left out: the session does not know. */
  cap?: number | null;
}

export class WorkspaceQueue extends DurableObject<Env> {
  #line: Line;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    migrateValues(ctx.storage, 'workspace-queue', [firstValues]);
    const kept = lineSchema.safeParse(ctx.storage.kv.get(LINE));
    this.#line = kept.success ? kept.data : emptyLine;
  }

  /** Asks for a slot, or for the queue position. @returns 0: the slot is given; 1: next in the queue, and so on */
  async take({ isUnderWay, cap, ...entry }: Asking): Promise<number> {
    if (cap !== undefined) this.ctx.storage.kv.put(OWN_CAP, cap);
    this.#change(join(this.#line, { ...entry, since: Date.now() }, isUnderWay), entry.session);
    if ((await this.ctx.storage.getAlarm()) === null) await this.ctx.storage.setAlarm(Date.now() + CHECK_EVERY_MS);
    return placesOf(this.#line).get(entry.session) ?? 0;
  }

  /** Gives a slot or a queue position back, for this turn and those before it. */
  give(session: string, turn: number): void {
    this.#change(leave(this.#line, session, turn), session);
  }

  /** Who is at work, and who waits. */
  line(): Line {
    return this.#line;
  }

  /** Asks each session whether it still needs its slot, and releases those of sessions that crashed or whose release was lost. Never throws. */
  override async alarm(): Promise<void> {
    const entries = [...this.#line.working, ...this.#line.waiting];
    const gone = await Promise.all(entries.map(async (entry) => ((await this.#needsPlace(entry)) ? null : entry)));
    let line = this.#line;
    for (const entry of gone) if (entry) line = leave(line, entry.session, entry.turn);
    // The cap may have grown meanwhile.
    this.#change(line, null);
    if (this.#line.working.length + this.#line.waiting.length > 0) {
      await this.ctx.storage.setAlarm(Date.now() + CHECK_EVERY_MS);
    }
  }

  async #needsPlace({ session }: LineEntry): Promise<boolean> {
    try {
      return await this.#session(session).needsPlace();
    } catch (error) {
      log('queue.session.silent', { session, error: asError(error) });
      return true;
    }
  }

  /** @param asking who knows the outcome by the answer */
  #change(next: Line, asking: string | null): void {
    const before = placesOf(this.#line);
    const own = z.number().int().min(1).safeParse(this.ctx.storage.kv.get(OWN_CAP));
    const cap = own.success ? own.data : readConfig(this.env).limits.sessionsAtOnce;
    const line = admit(next, cap, Date.now());
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
