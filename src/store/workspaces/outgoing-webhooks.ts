/** Webhooks of workspaces: where they go, their secrets, encrypted, and whether the services take what is sent. Times in ms since the epoch. */
import { and, asc, count, eq, isNull, sql } from 'drizzle-orm';
import * as z from 'zod';
import {
  type WebhookEvent,
  type WebhookInput,
  type WebhookView,
  webhookEventSchema,
} from '../../protocol/v1/webhooks.ts';
import { type Database, run } from '../database.ts';
import { decryptText, encryptText } from '../encryption.ts';
import { outgoingWebhooks } from '../schema.ts';

/** Which webhook of which workspace. */
export interface WebhookKey {
  workspaceId: string;
  id: string;
}

/** A webhook as it is sent to. `secrets`: the newest first. */
export interface WebhookTarget extends WebhookKey {
  url: string;
  secrets: string[];
}

type Row = typeof outgoingWebhooks.$inferSelect;

/** A name that a later version added is not known here. */
const eventsSchema = z
  .array(z.string())
  .transform((names) => names.flatMap((one) => webhookEventSchema.safeParse(one).data ?? []));

/** A workspace's webhooks, the oldest first, without their secrets. @throws NotMigratedError, DatabaseError */
export async function listWebhooks(db: Database, workspaceId: string): Promise<WebhookView[]> {
  const rows = await run(() =>
    db.orm
      .select()
      .from(outgoingWebhooks)
      .where(eq(outgoingWebhooks.workspaceId, workspaceId))
      .orderBy(asc(outgoingWebhooks.createdAt), asc(outgoingWebhooks.id)),
  );
  return rows.map(viewOf);
}

/** Ids of the webhooks at work that want to hear of an event. @throws NotMigratedError, DatabaseError */
export async function listSubscribers(db: Database, workspaceId: string, event: WebhookEvent): Promise<string[]> {
  const { id, events, disabledAt } = outgoingWebhooks;
  const atWork = and(eq(outgoingWebhooks.workspaceId, workspaceId), isNull(disabledAt));
  const rows = await run(() => db.orm.select({ id, events }).from(outgoingWebhooks).where(atWork).orderBy(asc(id)));
  return rows.filter((row) => eventsOf(row.events).includes(event)).map((row) => row.id);
}

/** How many webhooks a workspace has. @throws NotMigratedError, DatabaseError */
export async function countWebhooks(db: Database, workspaceId: string): Promise<number> {
  const ofWorkspace = eq(outgoingWebhooks.workspaceId, workspaceId);
  const [row] = await run(() => db.orm.select({ webhooks: count() }).from(outgoingWebhooks).where(ofWorkspace));
  return row?.webhooks ?? 0;
}

/** Stores a new webhook. @throws NotMigratedError; DatabaseError, also if there is no such workspace */
export async function addWebhook(
  db: Database,
  key: WebhookKey,
  input: WebhookInput,
  secret: string,
  now: number,
): Promise<WebhookView> {
  const row: Row = {
    ...key,
    ...settingsOf(input, now),
    ...{ secret: await seal(db, key.id, secret), previousSecret: null, previousUntil: null },
    ...{ failingSince: null, problem: null, deliveredAt: null, createdAt: now },
  };
  await run(() => db.orm.insert(outgoingWebhooks).values(row));
  return viewOf(row);
}

/** Changes a webhook; one that is enabled starts without its earlier failures. @returns null: there is none @throws NotMigratedError, DatabaseError */
export async function changeWebhook(
  db: Database,
  key: WebhookKey,
  input: WebhookInput,
  now: number,
): Promise<WebhookView | null> {
  const changed = { ...settingsOf(input, now), failingSince: null, problem: null };
  const [row] = await run(() => db.orm.update(outgoingWebhooks).set(changed).where(ofKey(key)).returning());
  return row ? viewOf(row) : null;
}

/** Forgets a webhook. @returns its address; null: there was none @throws NotMigratedError, DatabaseError */
export async function deleteWebhook(db: Database, key: WebhookKey): Promise<string | null> {
  const url = { url: outgoingWebhooks.url };
  const [row] = await run(() => db.orm.delete(outgoingWebhooks).where(ofKey(key)).returning(url));
  return row?.url ?? null;
}

/**
 * Gives a webhook another secret. The one before signs too for a time.
 * @param previousUntil until when
 * @returns false: there is no such webhook @throws NotMigratedError, DatabaseError
 */
export async function rotateSecret(
  db: Database,
  key: WebhookKey,
  secret: string,
  { previousUntil, now }: { previousUntil: number; now: number },
): Promise<boolean> {
  const sealed = await seal(db, key.id, secret);
  const changed = { previousSecret: sql`${outgoingWebhooks.secret}`, previousUntil, secret: sealed, updatedAt: now };
  const id = { id: outgoingWebhooks.id };
  const rows = await run(() => db.orm.update(outgoingWebhooks).set(changed).where(ofKey(key)).returning(id));
  return rows.length > 0;
}

/**
 * A webhook as it is sent to.
 * @param which `isTest`: also one that is disabled
 * @returns null: there is none, or it is disabled @throws NotMigratedError, DatabaseError, DecryptionError
 */
export async function findTarget(
  db: Database,
  key: WebhookKey,
  { now, isTest }: { now: number; isTest: boolean },
): Promise<WebhookTarget | null> {
  const [row] = await run(() => db.orm.select().from(outgoingWebhooks).where(ofKey(key)).limit(1));
  if (!row || (row.disabledAt !== null && !isTest)) return null;
  const { url, secret, previousSecret, previousUntil } = row;
  const isBoth = previousSecret !== null && (previousUntil ?? 0) > now;
  const sealed = isBoth ? [secret, previousSecret] : [secret];
  const secrets = await Promise.all(sealed.map((one) => decryptText(db.readKeys, 'webhook-secret', [key.id], one)));
  return { ...key, url, secrets };
}

/** The secrets of a workspace's webhooks. @throws NotMigratedError, DatabaseError, DecryptionError */
export async function readWebhookSecrets(db: Database, workspaceId: string): Promise<string[]> {
  const { id, secret } = outgoingWebhooks;
  const ofWorkspace = eq(outgoingWebhooks.workspaceId, workspaceId);
  const rows = await run(() => db.orm.select({ id, secret }).from(outgoingWebhooks).where(ofWorkspace));
  return Promise.all(rows.map((row) => decryptText(db.readKeys, 'webhook-secret', [row.id], row.secret)));
}

/** The service took what was sent. @throws NotMigratedError, DatabaseError */
export async function noteDelivered(db: Database, key: WebhookKey, now: number): Promise<void> {
  const changed = { deliveredAt: now, failingSince: null, problem: null };
  await run(() => db.orm.update(outgoingWebhooks).set(changed).where(ofKey(key)));
}

/** An attempt failed. @returns since when each has failed; null: there is no such webhook @throws NotMigratedError, DatabaseError */
export async function noteFailed(db: Database, key: WebhookKey, problem: string, now: number): Promise<number | null> {
  const failingSince = sql<number>`coalesce(${outgoingWebhooks.failingSince}, ${now})`;
  const since = { since: outgoingWebhooks.failingSince };
  const changed = { failingSince, problem };
  const [row] = await run(() => db.orm.update(outgoingWebhooks).set(changed).where(ofKey(key)).returning(since));
  return row?.since ?? null;
}

/** Takes a webhook out of work. @returns whether it was at work @throws NotMigratedError, DatabaseError */
export async function disableWebhook(db: Database, key: WebhookKey, why: string, now: number): Promise<boolean> {
  const isAtWork = and(ofKey(key), isNull(outgoingWebhooks.disabledAt));
  const changed = { disabledAt: now, disabledBecause: why, updatedAt: now };
  const id = { id: outgoingWebhooks.id };
  const rows = await run(() => db.orm.update(outgoingWebhooks).set(changed).where(isAtWork).returning(id));
  return rows.length > 0;
}

function settingsOf({ url, events, enabled }: WebhookInput, now: number) {
  return {
    url,
    events: JSON.stringify([...new Set(events)]),
    ...{ disabledAt: enabled ? null : now, disabledBecause: null, updatedAt: now },
  };
}

function viewOf(row: Row): WebhookView {
  const { id, url, events, disabledAt, disabledBecause, failingSince, problem, deliveredAt, createdAt } = row;
  const state = { enabled: disabledAt === null, disabledBecause, failingSince, problem, deliveredAt, createdAt };
  return { id, url, events: eventsOf(events), ...state };
}

function eventsOf(json: string): WebhookEvent[] {
  return eventsSchema.parse(JSON.parse(json));
}

function seal(db: Database, id: string, secret: string): Promise<string> {
  return encryptText(db.encryptionKey, 'webhook-secret', [id], secret);
}

function ofKey({ workspaceId, id }: WebhookKey) {
  return and(eq(outgoingWebhooks.workspaceId, workspaceId), eq(outgoingWebhooks.id, id));
}
