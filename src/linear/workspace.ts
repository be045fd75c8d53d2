/**
 * The Linear workspace: one Durable Object for each, named by Linear's organization id. All calls of Cyrus to the workspace
 * go through it. It is the one writer of the workspace's tokens, which it keeps in D1, encrypted, in a copy of its own, and in memory; and it
 * governs how much of the workspace's allowance is spent on what.
 */
import { DurableObject } from 'cloudflare:workers';
import * as z from 'zod';
import type { Config } from '../config/config.ts';
import { readConfig } from '../config/read-config.ts';
import { asError } from '../lib/error.ts';
import { settledWithin } from '../lib/timeout.ts';
import { log } from '../observability/log.ts';
import { audit } from '../store/audit.ts';
import { type Database, DatabaseError, openDatabase } from '../store/database.ts';
import { DecryptionError } from '../store/encryption.ts';
import { firstValues, migrateValues } from '../store/object-schema.ts';
import { type Reencrypted, reencryptTokens } from '../store/reencrypt.ts';
import { readTokens, type StoredTokens, wipeTokens } from '../store/workspaces/installations.ts';
import { findAppUserId, findWorkspace, type Installation, upsertWorkspace } from '../store/workspaces/workspaces.ts';
import { type Call, type CallFailure, type CallResult, failure } from './api/call.ts';
import { type Download, download } from './api/download.ts';
import { Governor } from './api/governor.ts';
import { callOf } from './api/operation.ts';
import { IDENTITY } from './api/operations.ts';
import { type Allowance, allowanceSchema, unknownAllowance } from './api/rate-limit.ts';
import { request } from './api/request.ts';
import { askLinearMcp, type McpRequest } from './mcp.ts';
import { revokeToken } from './tokens/oauth.ts';
import { RENEW_BEFORE_MS, TokenKeeper } from './tokens/token-keeper.ts';
import { countIgnored, type IgnoredWebhooks, readIgnored } from './webhooks/ignored-webhooks.ts';

/** Longest wait for a turn among the workspace's calls, in ms. */
const QUEUE_MS = 15_000;
/** The allowance is noted this often at most, so that it can still be shown after the object was evicted. */
const NOTE_EVERY_MS = 5_000;
/** Wait before the next try to renew tokens that could not be renewed in time, in ms. */
const RENEW_AGAIN_MS = 60_000;

/** Key of the encrypted copy of the tokens: calls go out also while the database does not answer. */
const TOKENS = 'tokens';
/** Linear wants its webhooks answered within 5 s. */
const APP_USER_LIMIT_MS = 2_000;
/** Key of the app's user in the workspace: by it Cyrus knows what it did itself, also while the database does not answer. */
const APP_USER = 'app-user';
/** Keys of the sessions that wait for the workspace to be installed again begin with this; their ids follow. */
const WAITING = 'waits:';
/** Most sessions that are noted; those beyond find out by themselves, within an hour. */
const MOST_WAITING = 1_000;

/** A workspace's allowance as the admin API shows it. */
export interface AllowanceView extends Omit<Allowance, 'nextThoughtAt'> {
  /** Calls under way, and calls waiting for their turn. */
  underway: number;
  waiting: number;
  /** Since the object came to life: ephemeral activities left out, and calls put off. */
  dropped: number;
  delayed: number;
}

/** Clocks that nobody sets right may differ by so much, in ms. */
const CLOCKS_DIFFER_MS = 2 * 3_600_000;

/** What became of an uninstallation. `installed-since`: the app was installed again after what it is about. */
export type Uninstalled = 'revoked' | 'unknown' | 'installed-since';

export class LinearWorkspace extends DurableObject<Env> {
  readonly #id: string;
  readonly #config: Config;
  readonly #database: Database;
  readonly #keeper: TokenKeeper;
  readonly #governor: Governor;
  #notedAt = 0;
  #noted: Allowance;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    migrateValues(ctx.storage, 'linear-workspace', [firstValues]);
    this.#id = ownName(ctx);
    this.#config = readConfig(env);
    this.#database = openDatabase(env.DB, this.#config.encryptionKey, this.#config.oldEncryptionKey);
    this.#keeper = new TokenKeeper({
      workspaceId: this.#id,
      database: this.#database,
      app: this.#config.linear.app,
      onRenewalTime: (at) => this.ctx.waitUntil(this.#arm(at)),
      copy: {
        read: () => z.string().safeParse(ctx.storage.kv.get(TOKENS)).data ?? null,
        write: (sealed) => (sealed === null ? ctx.storage.kv.delete(TOKENS) : ctx.storage.kv.put(TOKENS, sealed)),
      },
    });
    const noted = allowanceSchema.safeParse(ctx.storage.kv.get('allowance'));
    this.#noted = noted.success ? noted.data : unknownAllowance;
    this.#governor = new Governor(this.#noted);
  }

  /** Carries out a call, when it is its turn. Never throws: what goes wrong is a failure that says what to do. */
  async call(call: Call): Promise<CallResult> {
    try {
      const passage = await this.#governor.pass(call.priority, Date.now() + QUEUE_MS, () => this.#send(call));
      switch (passage.kind) {
        case 'done':
          if (!passage.value.ok && passage.value.kind === 'unauthorized') this.#noteWaiting(call);
          return passage.value;
        case 'drop':
          return { ok: true, json: 'null' };
        case 'wait':
          return failure('rate-limited', "the workspace's rate limit at Linear is nearly exhausted", passage.until);
        case 'busy':
          return failure('unreachable', 'too many calls to Linear are waiting in this workspace');
      }
    } catch (error) {
      log('linear.call.failed', { workspace: this.#id, error: asError(error) });
      const message = asError(error).message;
      return failure(error instanceof DecryptionError ? 'unauthorized' : 'unreachable', message);
    }
  }

  /**
   * Gets a file of the workspace from Linear's host for uploads, with the token; see linear/api/download.ts. Never throws. Files cost
   * nothing of the allowance. A token that this host refuses is not renewed for it: some workspaces' hosts take none.
   */
  async download(address: string): Promise<Download | CallFailure> {
    try {
      const tokens = await this.#keeper.usable();
      if ('ok' in tokens) return tokens;
      return await download(this.#config.linear.uploadsUrl, address, tokens.accessToken);
    } catch (error) {
      log('linear.download.failed', { workspace: this.#id, error: asError(error) });
      return failure(error instanceof DecryptionError ? 'unauthorized' : 'unreachable', asError(error).message);
    }
  }

  /**
   * Sends a request to Linear's MCP server, with the token; see mcp.ts. A token that this server refuses is not renewed for it:
   * what the API says of the token counts. Never throws: what goes wrong is an answer 502 or 503 in words.
   */
  async mcp(asked: McpRequest): Promise<Response> {
    try {
      const tokens = await this.#keeper.usable();
      if ('ok' in tokens) return new Response(tokens.message, { status: 503 });
      const answer = await askLinearMcp(this.#config.linear.mcpUrl, tokens.accessToken, asked);
      if (answer.status !== 401 && answer.status !== 403) return answer;
      await answer.body?.cancel();
      log('linear.mcp.refused', { workspace: this.#id, status: answer.status });
      const words = `Linear's MCP server does not accept the app's token (HTTP ${answer.status})`;
      return new Response(words, { status: 502 });
    } catch (error) {
      log('linear.mcp.failed', { workspace: this.#id, error: asError(error) });
      return new Response("Linear's MCP server cannot be reached", { status: 502 });
    }
  }

  /**
   * Id of the app's user in the workspace; null if Cyrus is not installed there. It is asked of the database once.
   * @throws NotMigratedError, DatabaseError
   */
  async appUserId(): Promise<string | null> {
    const { kv } = this.ctx.storage;
    const known = z.string().safeParse(kv.get(APP_USER));
    if (known.success) return known.data;
    const found = await settledWithin(APP_USER_LIMIT_MS, findAppUserId(this.#database, this.#id));
    if (found === 'late') throw new DatabaseError('The database does not answer');
    if (found !== null && kv.get(APP_USER) === undefined) kv.put(APP_USER, found);
    return found;
  }

  /** Counts a webhook that Cyrus does not act on. @param kind `type.action`, or a word for why; from outside */
  countIgnored(kind: string): void {
    countIgnored(this.ctx.storage.kv, kind, Date.now());
  }

  /** Webhooks that Cyrus did not act on, counted by kind. */
  ignoredWebhooks(): IgnoredWebhooks {
    return readIgnored(this.ctx.storage.kv, Date.now());
  }

  /** What is left of the workspace's allowance, as Linear said last. */
  allowance(): AllowanceView {
    const { nextThoughtAt: _, ...allowance } = this.#governor.allowance;
    const { underway, waiting, counts } = this.#governor;
    return { ...allowance, underway, waiting, ...counts };
  }

  /** Stores what an installation gave, in the place of what was there; repositories and sessions stay. @throws DatabaseError */
  async install(installation: Installation): Promise<void> {
    await this.#keeper.alone(async () => {
      this.#keeper.doubt();
      await upsertWorkspace(this.#database, this.#id, installation, Date.now());
      this.ctx.storage.kv.put(APP_USER, installation.appUserId);
      this.#keeper.forget();
    });
    await this.#keeper.usable();
    this.ctx.waitUntil(this.#wakeWaiting());
  }

  #noteWaiting({ session }: Call): void {
    const { kv } = this.ctx.storage;
    if (session === undefined || kv.get(WAITING + session) !== undefined) return;
    if ([...kv.list({ prefix: WAITING, limit: MOST_WAITING })].length < MOST_WAITING) kv.put(WAITING + session, true);
  }

  /** Tells the sessions that were refused that Linear takes a token again. Never rejects: they also ask by themselves. */
  async #wakeWaiting(): Promise<void> {
    for (const [key] of [...this.ctx.storage.kv.list({ prefix: WAITING })]) {
      this.ctx.storage.kv.delete(key);
      try {
        const id = this.env.ISSUE_SESSION.idFromString(key.slice(WAITING.length));
        await this.env.ISSUE_SESSION.get(id).linearIsBack();
      } catch (error) {
        log('linear.session_wake.failed', { workspace: this.#id, error: asError(error) });
      }
    }
  }

  /**
   * Wipes the tokens, because the app was removed in Linear.
   * @param at when that was, in ms since the epoch: a late message does not undo an installation that followed
   * @throws DatabaseError
   */
  uninstall(at: number): Promise<Uninstalled> {
    return this.#keeper.alone(async () => {
      const workspace = await findWorkspace(this.#database, this.#id);
      if (!workspace) return 'unknown';
      if (workspace.installedAt !== null && workspace.installedAt > at) {
        // The clock here may be ahead of Linear's: then Linear says whether the app is still there.
        const isClear = workspace.installedAt - at > CLOCKS_DIFFER_MS;
        if (isClear || !(await this.#isTokenRefused())) return 'installed-since';
      }
      if (workspace.status !== 'revoked') await this.#wipe('linear', 'workspace.uninstalled');
      return 'revoked';
    });
  }

  /** Asks Linear with the token as it is stored. False if there is none, or Linear does not say. */
  async #isTokenRefused(): Promise<boolean> {
    const tokens = await readTokens(this.#database, this.#id);
    if (tokens === null || tokens === 'revoked') return false;
    const { result } = await request(this.#config.linear.apiUrl, tokens.accessToken, callOf(IDENTITY, {}));
    return !result.ok && result.kind === 'unauthorized';
  }

  /**
   * Ends the tokens at Linear, then wipes them.
   * @returns null when done; otherwise why Linear did not confirm it, and nothing was wiped
   * @throws DatabaseError, DecryptionError
   */
  revoke(): Promise<string | null> {
    return this.#keeper.alone(async () => {
      const tokens = await readTokens(this.#database, this.#id);
      if (tokens === null || tokens === 'revoked') return null;
      const { app } = this.#config.linear;
      const problem =
        (tokens.refreshToken && (await revokeToken(app, tokens.refreshToken, 'refresh_token'))) ||
        (await revokeToken(app, tokens.accessToken, 'access_token'));
      if (problem) return problem;
      await this.#wipe('admin', 'workspace.revoked');
      return null;
    });
  }

  /** Re-encrypts the tokens with the present key. @throws DatabaseError */
  async reencrypt(): Promise<Reencrypted> {
    await this.#keeper.flush();
    return this.#keeper.alone(async () => {
      this.#keeper.doubt();
      const done = await reencryptTokens(this.#database, this.#id);
      this.#keeper.forget();
      return done;
    });
  }

  /** Forgets all that is stored: the workspace is deleted. */
  async erase(): Promise<void> {
    this.#keeper.forget();
    await this.ctx.storage.deleteAll();
  }

  /** Renews the tokens before they end, so that no call has to wait for it. Never throws. */
  override async alarm(): Promise<void> {
    try {
      await this.#keeper.flush().catch((error: unknown) => {
        log('linear.token_store.failed', { workspace: this.#id, error: asError(error) });
      });
      const tokens = await this.#keeper.usable();
      const isFinal = 'ok' in tokens && tokens.kind !== 'unreachable';
      const isDue = 'ok' in tokens || (tokens.expiresAt !== null && tokens.expiresAt - RENEW_BEFORE_MS <= Date.now());
      if (!isFinal && isDue) await this.#arm(Date.now() + RENEW_AGAIN_MS);
    } catch (error) {
      log('linear.token_renewal.failed', { workspace: this.#id, error: asError(error) });
      await this.#arm(Date.now() + RENEW_AGAIN_MS);
    }
  }

  async #send(call: Call): Promise<CallResult> {
    const tokens = await this.#keeper.usable();
    if ('ok' in tokens) return tokens;
    // Asked for before it is needed.
    if (this.ctx.storage.kv.get(APP_USER) === undefined) this.ctx.waitUntil(this.appUserId().catch(() => {}));
    const first = await this.#request(call, tokens);
    if (first.ok || first.kind !== 'unauthorized') return first;
    const renewed = await this.#keeper.renew(tokens);
    if ('ok' in renewed) return renewed;
    const second = await this.#request(call, renewed);
    return second.ok || second.kind !== 'unauthorized' ? second : this.#keeper.refused(renewed, second);
  }

  async #request(call: Call, tokens: StoredTokens): Promise<CallResult> {
    const { result, headers } = await request(this.#config.linear.apiUrl, tokens.accessToken, call);
    this.#governor.hear(result, headers);
    this.#note();
    if (result.ok) await this.#keeper.confirm(tokens);
    return result.ok || result.kind !== 'rate-limited' ? result : this.#limited(result);
  }

  /** The caller that met the limit waits as long as every other one. */
  #limited(result: CallFailure): CallFailure {
    return { ...result, retryAt: this.#governor.allowance.blockedUntil };
  }

  /** Keeps the allowance for the next life of the object. Nothing waits for it. */
  #note(): void {
    const { allowance } = this.#governor;
    const now = Date.now();
    if (allowance.blockedUntil === this.#noted.blockedUntil && now - this.#notedAt < NOTE_EVERY_MS) return;
    this.#notedAt = now;
    this.#noted = allowance;
    this.ctx.waitUntil(this.ctx.storage.put('allowance', allowance, { allowUnconfirmed: true }));
  }

  /** Sets the alarm for the renewal of the tokens. @param at null: none is needed */
  async #arm(at: number | null): Promise<void> {
    const armed = await this.ctx.storage.getAlarm();
    if (at === null) return armed === null ? undefined : this.ctx.storage.deleteAlarm();
    if (armed !== at) await this.ctx.storage.setAlarm(at);
  }

  async #wipe(actor: string, action: `${string}.${string}`): Promise<void> {
    const at = Date.now();
    this.#keeper.forget();
    await wipeTokens(this.#database, this.#id, at);
    this.#keeper.forget();
    await this.ctx.storage.deleteAlarm();
    await audit(this.#database, { at, actor, action, workspaceId: this.#id, details: {} });
    log('linear.workspace.wiped', { workspace: this.#id, reason: action });
  }
}

/**
 * Takes in that the app was removed from a workspace: its tokens are wiped, Linear is called no more. Its runs are stopped
 * by anyone who calls this.
 * @param at when it was removed, in ms since the epoch
 */
export function uninstall(env: Env, workspaceId: string, at: number): Promise<Uninstalled> {
  return env.LINEAR_WORKSPACE.getByName(workspaceId).uninstall(at);
}

/** Linear's organization id. It is kept, in case an alarm wakes the object without its name. */
function ownName({ id, storage }: DurableObjectState): string {
  const kept = z.string().safeParse(storage.kv.get('name'));
  if (kept.success) return kept.data;
  if (id.name === undefined) throw new Error('a workspace object is addressed by its name, the id of the organization');
  storage.kv.put('name', id.name);
  return id.name;
}
