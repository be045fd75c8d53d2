/**
 * Settings that admins change while the Worker runs: rows of D1 that take the place of variables. The workspace's row counts before
 * the deployment's, that before the variable, and the variable before its default. Each isolate keeps what it read for ten
 * seconds. Where D1 does not answer, what was read last counts, else a copy in the object of the deployment, else the variables.
 */
import { and, eq, inArray } from 'drizzle-orm';
import * as z from 'zod';
import { type Config, ConfigError } from '../config/config.ts';
import { configWith, readConfig } from '../config/read-config.ts';
import { asError } from '../lib/error.ts';
import { settledWithin } from '../lib/timeout.ts';
import { log } from '../observability/log.ts';
import { isSettingName, SETTINGS, type SettingName, type SettingView } from '../protocol/settings/deployment.ts';
import { retentionVariables } from '../protocol/settings/retention.ts';
import { type Database, openDatabase, run } from './database.ts';
import { settings } from './schema.ts';

/** How long a value that was read counts. */
const FRESH_MS = 10_000;
/** Nobody waits longer for D1. */
const READ_LIMIT_MS = 1_000;
const DEPLOYMENT = 'deployment';

const rowSchema = z.object({
  scope: z.string(),
  key: z.string(),
  value: z.string(),
  updatedBy: z.string(),
  updatedAt: z.number(),
});

/** A stored setting, as the table has it. */
export interface Row {
  scope: string;
  key: string;
  value: string;
  updatedBy: string;
  updatedAt: number;
}

/** What an isolate knows for one set of bindings. */
interface Known {
  rows: readonly Row[];
  /** When they were read, or are being read; ms. */
  at: number;
  isRead: boolean;
  /** They come from the database, or from the copy of what somebody else read there. */
  isKnown: boolean;
  /** When the database gave them last, ms. */
  givenAt: number;
  /** By workspace; the empty name: of no workspace. Forgotten with the rows they were made of. */
  configs: Map<string, Config>;
}

const known = new WeakMap<object, Known>();

/**
 * The configuration as it is set now, for the beginning of an event.
 * @param workspaceId whose settings count too; null: those of the deployment alone
 * @param isNews something is known to have changed: the database is read whatever is known
 * @throws ConfigError where the variables themselves are wrong
 */
export async function settledConfig(env: Env, workspaceId: string | null, isNews = false): Promise<Config> {
  const cache = cacheOf(env);
  const age = Date.now() - cache.at;
  if (isNews || age < 0 || age >= FRESH_MS) {
    // Others go on with what is known meanwhile. They cannot wait for this read: it belongs to the request at hand.
    if (cache.isRead) cache.at = Date.now();
    const outcome = await settledWithin(READ_LIMIT_MS, read(env, cache));
    if (outcome === 'late') log('settings.read.failed', { reason: `no answer within ${READ_LIMIT_MS / 1_000} s` });
    // This isolate has read none yet: what others read counts before the variables.
    if (!cache.isKnown) await settledWithin(READ_LIMIT_MS, readCopy(env, cache));
  }
  return lastConfig(env, workspaceId);
}

/**
 * As `settledConfig`, for what cannot be taken back.
 * @returns null: it is not known what is set of retention now: the database does not say, or what it says fits no setting of this version
 * @throws ConfigError as `settledConfig`
 */
export async function knownConfig(env: Env, workspaceId: string | null): Promise<Config | null> {
  const isNew = () => Math.abs(Date.now() - cacheOf(env).givenAt) < FRESH_MS;
  const config = await settledConfig(env, workspaceId, !isNew());
  if (!isNew()) return null;
  const { misfits } = fitting(env, inOrder(cacheOf(env).rows, workspaceId));
  return misfits.some(({ key }) => key in retentionVariables) ? null : config;
}

/** The configuration as it was read last, without waiting. @throws ConfigError as `settledConfig` */
export function lastConfig(env: Env, workspaceId: string | null): Config {
  const { rows, configs } = cacheOf(env);
  if (rows.length === 0) return readConfig(env);
  const name = workspaceId ?? '';
  const config = configs.get(name) ?? merged(env, rows, workspaceId);
  configs.set(name, config);
  return config;
}

function cacheOf(env: Env): Known {
  const cache = known.get(env) ?? {
    rows: [],
    at: Number.NEGATIVE_INFINITY,
    isRead: false,
    isKnown: false,
    givenAt: Number.NEGATIVE_INFINITY,
    configs: new Map(),
  };
  known.set(env, cache);
  return cache;
}

/** Never rejects. What cannot be read is asked for again after as long. */
async function read(env: Env, cache: Known): Promise<void> {
  try {
    const config = readConfig(env);
    const database = openDatabase(env.DB, config.encryptionKey);
    const rows = await run(() => database.orm.select().from(settings));
    take(cache, rows);
    cache.givenAt = Date.now();
  } catch (error) {
    log('settings.read.failed', { error: asError(error) });
  }
  cache.at = Date.now();
  cache.isRead = true;
}

function take(cache: Known, rows: readonly Row[]): void {
  if (JSON.stringify(rows) !== JSON.stringify(cache.rows)) cache.configs.clear();
  cache.rows = rows;
  cache.isKnown = true;
}

/** The copy that the object of the deployment keeps. Never rejects. */
async function readCopy(env: Env, cache: Known): Promise<void> {
  try {
    const copy = z.array(rowSchema).safeParse(await env.OPERATIONS.getByName('deployment').keptSettings());
    if (copy.success && !cache.isKnown) take(cache, copy.data);
  } catch (error) {
    log('settings.copy.failed', { error: asError(error) });
  }
}

/** The stored settings as they are now, for the copy. @throws NotMigratedError, DatabaseError */
export async function settingRows(db: Database): Promise<Row[]> {
  return run(() => db.orm.select().from(settings));
}

/** One setting that does not fit, e.g. a budget after a change to a subscription, takes none of the others along. */
function merged(env: Env, rows: readonly Row[], workspaceId: string | null): Config {
  const { values, misfits } = fitting(env, inOrder(rows, workspaceId));
  for (const { key, why } of misfits) log('alert.settings.misfit', { setting: key, why });
  return configWith(env, values);
}

/** The rows that fit, each together with those before it, and their values; of those that do not, why. */
function fitting(env: Env, rows: readonly Row[]) {
  const values: Record<string, string> = {};
  const fits: Row[] = [];
  const misfits: { key: string; why: string }[] = [];
  for (const row of rows) {
    const { key, value } = row;
    const why = problemOf(env, { ...values, [key]: value });
    if (why !== null) {
      misfits.push({ key, why });
      continue;
    }
    values[key] = value;
    fits.push(row);
  }
  return { values, fits, misfits };
}

/** The rows that count, the narrower scope last. */
function inOrder(rows: readonly Row[], workspaceId: string | null): Row[] {
  const of = (scope: string) => rows.filter((row) => row.scope === scope && isSettingName(row.key));
  return [...of(DEPLOYMENT), ...(workspaceId === null ? [] : of(scopeOf(workspaceId)))];
}

function scopeOf(workspaceId: string | null): string {
  return workspaceId === null ? DEPLOYMENT : `workspace:${workspaceId}`;
}

/**
 * Every setting with the value that counts, and where it is from.
 * @param workspaceId as for `settledConfig`
 * @throws NotMigratedError, DatabaseError
 */
export async function listSettings(db: Database, env: Env, workspaceId: string | null): Promise<SettingView[]> {
  const scopes = workspaceId === null ? [DEPLOYMENT] : [DEPLOYMENT, scopeOf(workspaceId)];
  const rows = await run(() => db.orm.select().from(settings).where(inArray(settings.scope, scopes)));
  const { fits } = fitting(env, inOrder(rows, workspaceId));
  const variables = env as unknown as Record<string, unknown>;
  return Object.keys(SETTINGS)
    .filter(isSettingName)
    .map((name) => {
      const row = fits.findLast(({ key }) => key === name);
      if (row) {
        const { value, updatedBy, updatedAt, scope } = row;
        return { name, value, from: scope === DEPLOYMENT ? 'deployment' : 'workspace', updatedBy, updatedAt };
      }
      const variable = variables[name];
      const isSet = typeof variable === 'string';
      const value = isSet ? variable : '';
      return { name, value, from: isSet ? 'variable' : 'default', updatedBy: null, updatedAt: null };
    });
}

/**
 * Stores a setting.
 * @param about `by`: who; `now`: ms
 * @returns what is wrong with the value, as text for people; null: it is stored
 * @throws NotMigratedError, DatabaseError
 */
export async function putSetting(
  db: Database,
  env: Env,
  { workspaceId, name, value }: { workspaceId: string | null; name: SettingName; value: string },
  about: { by: string; now: number },
): Promise<string | null> {
  const rows = await run(() => db.orm.select().from(settings));
  // One that does not fit any more keeps nobody from putting this one right.
  const { values } = fitting(
    env,
    inOrder(rows, workspaceId).filter(({ key }) => key !== name),
  );
  const problem = problemOf(env, { ...values, [name]: value });
  if (problem !== null) return problem;
  const row = { scope: scopeOf(workspaceId), key: name, value, updatedBy: about.by, updatedAt: about.now };
  await run(() =>
    db.orm
      .insert(settings)
      .values(row)
      .onConflictDoUpdate({ target: [settings.scope, settings.key], set: row }),
  );
  return null;
}

function problemOf(env: Env, values: Record<string, string>): string | null {
  try {
    configWith(env, values);
    return null;
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.join('; ');
    throw error;
  }
}

/** @returns whether it was stored @throws NotMigratedError, DatabaseError */
export async function deleteSetting(db: Database, workspaceId: string | null, name: SettingName): Promise<boolean> {
  const gone = await run(() =>
    db.orm
      .delete(settings)
      .where(and(eq(settings.scope, scopeOf(workspaceId)), eq(settings.key, name)))
      .returning({ key: settings.key }),
  );
  return gone.length > 0;
}
