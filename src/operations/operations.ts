/** What the operator needs to know and no other object can tell: one Durable Object for a deployment, named `deployment`. */
import { DurableObject } from 'cloudflare:workers';
import * as z from 'zod';
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
/** When the deployment was last looked at. */
const WATCHED = 'watched';
/** Written once an hour at most, so that an idle deployment writes next to nothing; so it is late by an hour at most. */
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
    this.ctx.storage.kv.put(WEBHOOKS, noted(this.webhooks(), report, Date.now()));
    const watchedAt = this.#watchedAt();
    if (watchedAt === null || Date.now() - watchedAt < SILENT_MS) return;
    await this.raise({
      key: 'operations.watch_silent',
      severity: 'error',
      words: `Nothing has looked at this deployment since ${new Date(watchedAt).toISOString()}`,
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
    if (before === null || now < before || now - before >= NOTE_WATCH_MS) this.ctx.storage.kv.put(WATCHED, now);
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

  #watchedAt(): number | null {
    return z.number().safeParse(this.ctx.storage.kv.get(WATCHED)).data ?? null;
  }
}

/** The object of this deployment. */
export function operationsOf(env: Env): DurableObjectStub<Operations> {
  return env.OPERATIONS.getByName('deployment');
}
