/**
 * What is removed by the cron trigger: rows of D1 once a day, an hour after they were found due (kernel/second-look.ts), and, after the settings of retention have changed, one walk through all
 * sessions, each of which removes by itself what is its own (session/session-keeper.ts). The walk also wakes sessions that earlier
 * versions left without an alarm for that. While nothing is to be removed nothing is written.
 */
import type { Config } from '../config/config.ts';
import { lookAgain } from '../kernel/second-look.ts';
import { inBatches } from '../lib/concurrency.ts';
import { asError } from '../lib/error.ts';
import { log } from '../observability/log.ts';
import { type Database, openDatabase } from '../store/database.ts';
import { cleanDatabase, deleteSessionRow, hasDueRows, sessionsAfter } from '../store/keeping/old-rows.ts';
import { knownConfig, lastConfig } from '../store/settings.ts';
import { listWorkspaces } from '../store/workspaces/workspaces.ts';
import { operationsOf } from './operations.ts';

/** In this hour of the day (UTC) it is looked whether rows are to be removed; in the next one they are, at each run of the trigger while there are more. */
const HOUR_OF_DAY = 3;
const HOUR_MS = 3_600_000;
/** A run takes no longer for that. */
const MOST_MS = 20_000;
/** Sessions that are woken in a run, and at the same time. */
const MOST_WOKEN = 500;
const TOGETHER = 25;

/** @param at when the run was due, in ms since the epoch. Never rejects. */
export async function clean(env: Env, at: number): Promise<void> {
  try {
    const config = await knownConfig(env, null);
    if (config === null) return;
    const database = openDatabase(env.DB, config.encryptionKey);
    const hour = Math.floor(at / HOUR_MS) % 24;
    if (hour === HOUR_OF_DAY) await lookForRows(env, config, database);
    if (hour === HOUR_OF_DAY + 1) await removeRows(env, config, database);
    await walk(env, config, database);
  } catch (error) {
    log('operations.cleaning.failed', { error: asError(error) });
  }
}

async function lookForRows(env: Env, { retention }: Config, database: Database): Promise<void> {
  const now = Date.now();
  const operations = operationsOf(env);
  if (lookAgain(await operations.rowsDueAt(), now) !== 'first') return;
  if (await hasDueRows(database, retention, now)) await operations.noteRowsDue(now);
}

async function removeRows(env: Env, { retention }: Config, database: Database): Promise<void> {
  const now = Date.now();
  const dueAt = await operationsOf(env).rowsDueAt();
  if (dueAt === null || lookAgain(dueAt, now) !== 'agreed') return;
  const { removed } = await cleanDatabase(database, retention, dueAt, now + MOST_MS);
  if (Object.keys(removed).length > 0) log('operations.rows.removed', removed);
}

/** Goes on with the walk, if the settings are others than those of the last one. */
async function walk(env: Env, config: Config, database: Database): Promise<void> {
  const wanted = await settingsOf(env, config, database);
  const operations = operationsOf(env);
  const { settings, after } = await operations.cleaningWalk();
  if (settings === wanted && after === null) return;
  const from = settings === wanted && after !== null ? after : '';
  const sessions = await sessionsAfter(database, from, MOST_WOKEN);
  await inBatches(sessions, TOGETHER, (session) => wake(env, database, session));
  const last = sessions.length < MOST_WOKEN ? null : (sessions.at(-1)?.id ?? null);
  await operations.noteCleaningWalk({ settings: wanted, after: last });
}

/** What is set of retention anywhere, as one text. */
async function settingsOf(env: Env, config: Config, database: Database): Promise<string> {
  const own = (await listWorkspaces(database)).map(({ id }) => [id, lastConfig(env, id).retention] as const);
  const usual = JSON.stringify(config.retention);
  return JSON.stringify([config.retention, ...own.filter(([, retention]) => JSON.stringify(retention) !== usual)]);
}

/** A row whose session is gone goes too. One that does not answer is met again by the next walk, and by its own alarm. */
async function wake(env: Env, database: Database, { id, version }: { id: string; version: number }): Promise<void> {
  try {
    const outcome = await env.ISSUE_SESSION.get(env.ISSUE_SESSION.idFromString(id)).keep();
    if (outcome === 'none') await deleteSessionRow(database, id, version);
  } catch (error) {
    log('operations.session_wake.failed', { session: id, error: asError(error) });
  }
}
