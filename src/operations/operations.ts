/** What the operator needs to know and no other object can tell: one Durable Object for a deployment, named `deployment`. */
import { DurableObject } from 'cloudflare:workers';
import * as z from 'zod';
import { type DeliveriesLook, deliveriesLookSchema } from '../github/webhooks/deliveries.ts';
import { asError } from '../lib/error.ts';
import { log } from '../observability/log.ts';
import { firstValues, migrateValues } from '../store/object-schema.ts';
import { type Row, settledConfig } from '../store/settings.ts';
import { type Alert, alertsSchema, happened, type KnownAlerts, looked, type Step } from './alerts/alert.ts';
import { type Channel, channelsOf } from './alerts/channels.ts';
import { Deliveries } from './alerts/deliveries.ts';
import { noted, noWebhooks, type WebhookRecord, type WebhookReport, webhookRecordSchema } from './webhook-record.ts';

const WEBHOOKS = 'webhooks';
const ALERTS = 'alerts';
/** When the last archive of a turn was stored whose trace was sent. */
const TRACED = 'traced';
/** Copy of the stored settings. */
const SETTINGS = 'settings';
/** The walk through all sessions after the settings of retention have changed. */
const CLEANING = 'cleaning-walk';
const cleaningWalkSchema = z.object({ settings: z.string(), after: z.string().nullable() });
/** When rows of the database were first found that are to be removed. */
const ROWS_DUE = 'rows-due';
type CleaningWalk = z.infer<typeof cleaningWalkSchema>;
/** How far GitHub's list of deliveries was looked through. */
const DELIVERIES = 'github-deliveries';
/** When the deployment was last looked at. */
const WATCHED = 'watched';
/** When the first webhook came after that. */
const UNWATCHED = 'unwatched-since';
/** It is noted after a webhook only, and once an hour at most: an idle deployment writes nothing. */
const NOTE_WATCH_MS = 3_600_000;
/** It is looked at every five minutes. */
const SILENT_MS = 2 * NOTE_WATCH_MS;
/** A test is sent to people: not more often than this. */
const TEST_EVERY_MS = 60_000;

/** What is open, what waits to be told, and when the deployment was last looked at, for admins. Times in ms. */
export interface AlertsView {
  channels: Channel[];
  open: KnownAlerts[string][];
  waiting: { channel: Channel; words: string; since: number; tries: number; problem: string | null }[];
  watchedAt: number | null;
  /** When a webhook came that nothing has looked at the deployment after, as far as is noted: once an hour. */
  unwatchedSince: number | null;
}

export class Operations extends DurableObject<Env> {
  readonly #deliveries: Deliveries;
  #testedAt = Number.NEGATIVE_INFINITY;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    migrateValues(ctx.storage, 'operations', [firstValues]);
    this.#deliveries = new Deliveries(ctx.storage.kv);
  }

  /** Takes in what an isolate has seen of webhooks. */
  async noteWebhooks(report: WebhookReport): Promise<void> {
    const now = Date.now();
    this.ctx.storage.kv.put(WEBHOOKS, noted(this.webhooks(), report, now));
    const since = this.#unwatchedSince();
    if (since === null) {
      this.ctx.storage.kv.put(UNWATCHED, now);
      return;
    }
    if (now - since < SILENT_MS) return;
    await this.raise({
      key: 'operations.watch_silent',
      severity: 'error',
      words: silenceWords(since),
      remedy: 'Look at the cron trigger of the Worker in the Cloudflare dashboard; a deploy sets it again.',
    });
  }

  /** What is known of Linear's webhooks. */
  webhooks(): WebhookRecord {
    const kept = webhookRecordSchema.safeParse(this.ctx.storage.kv.get(WEBHOOKS));
    return kept.success ? kept.data : noWebhooks;
  }

  /** Something happened that somebody has to know. */
  async raise(alert: Alert): Promise<void> {
    await this.#take((known) => happened(known, alert, Date.now()));
  }

  /**
   * The deployment was looked at.
   * @param found every condition that holds now; what held before and is not among them is over
   * @param unseen beginnings of the keys of what could not be looked at
   */
  async watched(found: readonly Alert[], unseen: readonly string[]): Promise<void> {
    const now = Date.now();
    const before = this.#watchedAt();
    const isNews = this.#unwatchedSince() !== null && (before === null || Math.abs(now - before) >= NOTE_WATCH_MS);
    if (before === null || isNews) this.ctx.storage.kv.put(WATCHED, now);
    await this.#take((known) => looked(known, found, unseen, now));
  }

  /** Sends a test to every channel. @returns the channels; null: one was sent within the last minute */
  async tryChannels(by: string): Promise<Channel[] | null> {
    const now = Date.now();
    if (now - this.#testedAt < TEST_EVERY_MS) return null;
    this.#testedAt = now;
    const { alerts } = await settledConfig(this.env, null);
    const words = `This is a test of alerts, asked for by ${by}`;
    const notice = { key: `test:${now}`, severity: 'warning', words, remedy: null, since: now } as const;
    // PagerDuty would keep it open.
    this.#deliveries.add(
      alerts,
      [
        { what: 'raised', ...notice },
        { what: 'resolved', ...notice },
      ],
      now,
    );
    await this.#arm();
    return channelsOf(alerts);
  }

  async alerts(): Promise<AlertsView> {
    const { alerts } = await settledConfig(this.env, null);
    return {
      channels: channelsOf(alerts),
      open: Object.values(this.#known()),
      waiting: this.#deliveries.all().map(({ channel, notice, at, tries, problem }) => {
        return { channel, words: notice.words, since: at, tries, problem };
      }),
      watchedAt: this.#watchedAt(),
      unwatchedSince: this.#unwatchedSince(),
    };
  }

  /** Sends what is due. Never throws. */
  override async alarm(): Promise<void> {
    try {
      const { alerts, publicUrl } = await settledConfig(this.env, null);
      await this.#deliveries.send(alerts, publicUrl ?? '', Date.now());
    } catch (error) {
      log('operations.alarm.failed', { error: asError(error) });
    }
    await this.#arm();
  }

  /**
   * Up to when traces of turns were sent; the first time, from now on.
   * @param now ms @param most what is older than that is given up, ms
   */
  tracedUntil(now: number, most: number): number {
    const known = z.number().safeParse(this.ctx.storage.kv.get(TRACED)).data;
    if (known !== undefined) return Math.max(known, now - most);
    this.ctx.storage.kv.put(TRACED, now);
    return now;
  }

  /** A trace was sent. @param uploadedAt when its archive was stored, ms */
  noteTraced(uploadedAt: number): void {
    this.ctx.storage.kv.put(TRACED, uploadedAt);
  }

  /** How far the walk through all sessions is, and for which settings; `after`: the last session that was woken, null: it is over. */
  cleaningWalk(): CleaningWalk {
    const kept = cleaningWalkSchema.safeParse(this.ctx.storage.kv.get(CLEANING));
    return kept.success ? kept.data : { settings: '', after: null };
  }

  noteCleaningWalk(walk: CleaningWalk): void {
    this.ctx.storage.kv.put(CLEANING, walk);
  }

  /** When rows of the database were first found that are to be removed, in ms since the epoch; null: none were. */
  rowsDueAt(): number | null {
    return z.number().safeParse(this.ctx.storage.kv.get(ROWS_DUE)).data ?? null;
  }

  noteRowsDue(at: number): void {
    this.ctx.storage.kv.put(ROWS_DUE, at);
  }

  /** How far GitHub's list of deliveries was looked through; null: it never was. */
  gitHubDeliveries(): DeliveriesLook | null {
    return deliveriesLookSchema.safeParse(this.ctx.storage.kv.get(DELIVERIES)).data ?? null;
  }

  noteGitHubDeliveries(look: DeliveriesLook): void {
    this.ctx.storage.kv.put(DELIVERIES, look);
  }

  /** Forgets what is known of workspaces or sessions that are deleted. @param ids theirs */
  forget(ids: readonly string[]): void {
    const { kv } = this.ctx.storage;
    const isOfThem = (name: string) => ids.some((id) => name.endsWith(` ${id}`) || name.endsWith(`:${id}`));
    const keep = <T>(record: Record<string, T>) =>
      Object.fromEntries(Object.entries(record).filter(([name]) => !isOfThem(name)));
    const record = this.webhooks();
    const hours = record.hours.map((hour) => ({ ...hour, counts: keep(hour.counts) }));
    if (JSON.stringify(hours) !== JSON.stringify(record.hours)) kv.put(WEBHOOKS, { ...record, hours });
    const known = this.#known();
    if (Object.keys(known).some(isOfThem)) kv.put(ALERTS, keep(known));
  }

  /** Keeps a copy of the stored settings, for isolates that begin while the database is away. */
  keepSettings(rows: readonly Row[]): void {
    const { kv } = this.ctx.storage;
    if (JSON.stringify(kv.get(SETTINGS) ?? []) !== JSON.stringify(rows)) kv.put(SETTINGS, rows);
  }

  /** The copy; null: there is none. */
  keptSettings(): unknown {
    return this.ctx.storage.kv.get(SETTINGS) ?? null;
  }

  async #take(step: (known: KnownAlerts) => Step): Promise<void> {
    const { alerts } = await settledConfig(this.env, null);
    // Nothing is waited for from here on: what is noted as told is stored together with what tells it.
    const before = this.#known();
    const { known, notices } = step(before);
    // An idle deployment is looked at every five minutes, and nothing is written.
    if (known !== before) this.ctx.storage.kv.put(ALERTS, known);
    if (notices.length === 0) return;
    for (const { what, key, words } of notices) log('operations.alert.told', { what, key, words });
    this.#deliveries.add(alerts, notices, Date.now());
    await this.#arm();
  }

  async #arm(): Promise<void> {
    const at = this.#deliveries.nextAt();
    if (at === null) return;
    const set = await this.ctx.storage.getAlarm();
    if (set === null || set > at) await this.ctx.storage.setAlarm(at);
  }

  #known(): KnownAlerts {
    const kept = alertsSchema.safeParse(this.ctx.storage.kv.get(ALERTS));
    return kept.success ? kept.data : {};
  }

  /** When the first webhook came after the last look that was noted; null: none has. */
  #unwatchedSince(): number | null {
    const since = z.number().safeParse(this.ctx.storage.kv.get(UNWATCHED)).data;
    return since === undefined || since <= (this.#watchedAt() ?? 0) ? null : since;
  }

  #watchedAt(): number | null {
    return z.number().safeParse(this.ctx.storage.kv.get(WATCHED)).data ?? null;
  }
}

/** That nothing looks at a deployment. @param since when a webhook came, ms */
export function silenceWords(since: number): string {
  return `Nothing has looked at this deployment since ${new Date(since).toISOString()}, when a webhook came`;
}

/** The object of this deployment. */
export function operationsOf(env: Env): DurableObjectStub<Operations> {
  return env.OPERATIONS.getByName('deployment');
}
