/**
 * Keeps a workspace's tokens usable: read once and held in memory, renewed before they end and once when Linear refuses
 * them. Part of the workspace's object, which is their one writer; changes run one after the other.
 */

import * as z from 'zod';
import type { LinearApp } from '../../config/config.ts';
import { asError } from '../../lib/error.ts';
import { parseJson } from '../../lib/parse-json.ts';
import { settledWithin } from '../../lib/timeout.ts';
import { log } from '../../observability/log.ts';
import { audit } from '../../store/audit.ts';
import { type Database, DatabaseError } from '../../store/database.ts';
import { decryptText, encryptText } from '../../store/encryption.ts';
import {
  markTokens,
  readTokens,
  replaceTokens,
  type StoredTokens,
  sealAccessToken,
  type Tokens,
} from '../../store/workspaces/installations.ts';
import { type CallFailure, failure } from '../api/call.ts';
import { clientCredentials, credentialsOf, type GrantOutcome, refreshTokens, SCOPES } from './oauth.ts';

/** How long before its end a token is renewed, in ms. */
export const RENEW_BEFORE_MS = 5 * 60_000;
/** So long the database may take to give or take the tokens, in ms: there is a copy. */
const DATABASE_WAIT_MS = 500;
/** After a renewal that failed, a token that still lasts is used without another try for so long, in ms. */
const RENEW_PAUSE_MS = 30_000;
/** What nobody waits for may take the database so long, in ms. */
const DATABASE_LIMIT_MS = 3_000;
/** Wait before the next try to store what the database did not take, in ms. */
const STORE_AGAIN_MS = 60_000;

/** The copy, as it was written here. */
const copySchema = z.object({
  accessToken: z.string(),
  refreshToken: z.string().nullable(),
  expiresAt: z.number().nullable(),
  status: z.enum(['active', 'reinstall-needed']),
  installedBy: z.enum(['oauth', 'client-credentials', 'admin']).nullable(),
  sealed: z.string(),
  /** `sealed` of what the database still has in their place, because it was away when they were renewed. */
  replaces: z.string().optional(),
});
type Copy = z.infer<typeof copySchema>;

export interface TokenKeeperOptions {
  workspaceId: string;
  database: Database;
  app: LinearApp;
  /** Where an encrypted copy of the tokens is kept, so that a new life of the object does not depend on the database. */
  copy: { read: () => string | null; write: (sealed: string | null) => void };
  /** Called when the time of the next renewal becomes known or changes, in ms since the epoch; null: not at all. */
  onRenewalTime: (at: number | null) => void;
}

export class TokenKeeper {
  readonly #options: TokenKeeperOptions;
  #held: StoredTokens | null = null;
  /** `sealed` of what the database has in the place of what is held: it was away since these were renewed. */
  #replaces: string | null = null;
  /** Renewed, but the database has no tables: not used before it is stored. */
  #unstored: { replaced: string; tokens: Tokens } | null = null;
  #renewal: Promise<StoredTokens | CallFailure> | null = null;
  #last: Promise<unknown> = Promise.resolve();
  /** When a renewal failed last, in ms since the epoch. */
  #failedAt = 0;
  /** Counts what was stored past this keeper: what was read before is not held. */
  #epoch = 0;

  constructor(options: TokenKeeperOptions) {
    this.#options = options;
  }

  /** Tokens that can be used now, renewed if they end soon. Costs nothing while they are held. */
  async usable(): Promise<StoredTokens | CallFailure> {
    const tokens = this.#held ?? (await this.#load());
    if ('ok' in tokens || !isNearEnd(tokens) || !this.#canRenew(tokens)) return tokens;
    const lasts = tokens.expiresAt !== null && tokens.expiresAt > Date.now();
    if (lasts && Date.now() - this.#failedAt < RENEW_PAUSE_MS) return tokens;
    const renewed = await this.renew(tokens);
    // What cannot be renewed right now, and was not given up, is used as long as it lasts.
    return lasts && 'ok' in renewed && this.#held?.sealed === tokens.sealed ? tokens : renewed;
  }

  /**
   * Renews tokens that end soon or that Linear refused. A caller that asks meanwhile gets the same answer.
   * @param used those to be replaced: if others are there by now, those are the answer
   */
  async renew(used: StoredTokens): Promise<StoredTokens | CallFailure> {
    if (this.#held && this.#held.sealed !== used.sealed) return this.#held;
    this.#renewal ??= this.alone(() => this.#renew(used)).finally(() => {
      this.#renewal = null;
    });
    return this.#renewal;
  }

  /** Linear refuses these tokens. If there is nothing to renew them with, the workspace has to be installed again. */
  async refused(tokens: StoredTokens, why: CallFailure): Promise<CallFailure> {
    return this.#canRenew(tokens) ? why : this.#giveUp(tokens, why.message);
  }

  async #giveUp({ sealed }: StoredTokens, why: string): Promise<CallFailure> {
    const { database, workspaceId } = this.#options;
    const now = Date.now();
    try {
      // What the database is behind with is brought up first: the status is of these tokens.
      await this.#flush();
      // Told once: by the call that changes the status.
      if (await this.#inTime(markTokens(database, workspaceId, sealed, 'reinstall-needed', now))) {
        log('alert.linear.reinstall_needed', { workspace: workspaceId, reason: why });
        const action = 'workspace.reinstall-needed';
        await audit(database, { at: now, actor: 'linear', action, workspaceId, details: { reason: why } });
      }
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error;
      // The next call finds the same, and notes it then.
      log('linear.token_mark.failed', { workspace: workspaceId, error });
      return reinstallNeeded();
    }
    this.#drop();
    return reinstallNeeded();
  }

  /** These tokens work: a workspace that was given up is not any more. */
  async confirm(tokens: StoredTokens): Promise<void> {
    if (tokens.status === 'active') return;
    this.#held = { ...tokens, status: 'active' };
    try {
      const { database, workspaceId } = this.#options;
      await this.#inTime(markTokens(database, workspaceId, tokens.sealed, 'active', Date.now()));
    } catch (error) {
      // What Linear has done is not undone by it; the next life of this object notes it.
      log('linear.token_mark.failed', { workspace: this.#options.workspaceId, error: asError(error) });
    }
  }

  /**
   * Stores in the database what was renewed while that was away.
   * @returns whether it has what is held
   * @throws NotMigratedError, DatabaseError, DecryptionError
   */
  flush(): Promise<boolean> {
    return this.alone(() => this.#flush());
  }

  async #flush(): Promise<boolean> {
    const { database, workspaceId } = this.#options;
    const [held, replaces, epoch] = [this.#held, this.#replaces, this.#epoch];
    if (!held || replaces === null) return true;
    const stored = await this.#inTime(readTokens(database, workspaceId));
    const isBehind = stored !== null && stored !== 'revoked' && stored.sealed === replaces;
    const done =
      isBehind && (await this.#inTime(replaceTokens(database, workspaceId, replaces, held, Date.now(), held.sealed)));
    if (epoch !== this.#epoch || this.#held?.sealed !== held.sealed) return true;
    if (done || (stored !== null && stored !== 'revoked' && stored.sealed === held.sealed)) {
      this.#replaces = null;
      await this.#hold(held);
    } else this.#drop();
    return true;
  }

  /** Runs a change of the tokens when no other one runs. What is held is read again afterwards. */
  alone<T>(change: () => Promise<T>): Promise<T> {
    const run = this.#last.then(change, change);
    this.#last = run.catch(() => {});
    return run;
  }

  /** Something else is about to be stored: what is being read now is not held. */
  doubt(): void {
    this.#epoch += 1;
    this.#held = null;
    this.#replaces = null;
  }

  /** Forgets what is held, because something else was stored. */
  forget(): void {
    this.doubt();
    this.#unstored = null;
    this.#options.copy.write(null);
  }

  #drop(): void {
    this.#held = null;
    this.#replaces = null;
    this.#options.copy.write(null);
  }

  /**
   * What the database has of them. Where it does not answer soon, the copy does: a first activity has to be in Linear within
   * 10 s, and a copy that is no longer right is refused by Linear. Where the database was away when they were renewed, the copy
   * is newer.
   * @throws NotMigratedError, DatabaseError, DecryptionError
   */
  async #read(): Promise<Copy | 'revoked' | null> {
    const { database, workspaceId } = this.#options;
    const reading = readTokens(database, workspaceId);
    if (this.#options.copy.read() === null) return reading;
    const stored = await settledWithin(DATABASE_WAIT_MS, reading).catch((error: unknown) => {
      if (error instanceof DatabaseError) return 'late' as const;
      throw error;
    });
    if (stored === null || stored === 'revoked') return stored;
    const copy = await this.#readCopy();
    if (stored !== 'late') return copy && copy.replaces === stored.sealed ? copy : stored;
    // Nobody waits for it any more.
    reading.catch(() => {});
    log('linear.token_copy.used', { workspace: workspaceId });
    return copy ?? readTokens(database, workspaceId);
  }

  /** The tokens that were last stored or used; null if the key was replaced. */
  async #readCopy(): Promise<Copy | null> {
    const { database, workspaceId, copy } = this.#options;
    const sealed = copy.read();
    if (sealed === null) return null;
    const epoch = this.#epoch;
    const text = await decryptText(database.readKeys, 'workspace-tokens', [workspaceId], sealed).catch(() => null);
    const tokens = text === null ? null : copySchema.safeParse(parseJson(text)).data;
    return tokens && epoch === this.#epoch ? tokens : null;
  }

  async #writeCopy(tokens: StoredTokens): Promise<void> {
    const epoch = this.#epoch;
    const replaces = this.#replaces;
    const sealed = await this.#seal({ ...tokens, ...(replaces !== null && { replaces }) });
    const isSame = this.#held?.sealed === tokens.sealed && this.#replaces === replaces;
    if (epoch === this.#epoch && isSame) this.#options.copy.write(sealed);
  }

  #seal(copy: Copy): Promise<string> {
    const { database, workspaceId } = this.#options;
    return encryptText(database.encryptionKey, 'workspace-tokens', [workspaceId], JSON.stringify(copy));
  }

  /** @throws DatabaseError also where the database does not answer in time */
  async #inTime<T>(work: Promise<T>): Promise<T> {
    const done = await settledWithin(DATABASE_LIMIT_MS, work);
    if (done !== 'late') return done;
    work.catch(() => {});
    throw new DatabaseError('The database does not answer');
  }

  async #load(): Promise<StoredTokens | CallFailure> {
    const { workspaceId } = this.#options;
    const epoch = this.#epoch;
    const stored = await this.#read();
    if (epoch !== this.#epoch) return this.#load();
    if (stored === null) {
      return failure(
        'unauthorized',
        `the workspace ${workspaceId} is not known here: install Cyrus there, see the page /install`,
      );
    }
    if (stored === 'revoked') {
      return failure('unauthorized', 'Cyrus was removed from this workspace: install it again, see the page /install');
    }
    // Without a refresh token there is no telling but by trying.
    if (stored.status === 'reinstall-needed' && stored.refreshToken !== null) return reinstallNeeded();
    const { replaces = null, ...tokens } = stored as Copy;
    this.#replaces = replaces;
    await this.#hold(tokens);
    return tokens;
  }

  async #hold(tokens: StoredTokens): Promise<void> {
    this.#held = tokens;
    await this.#writeCopy(tokens);
    const renewal = this.#canRenew(tokens) && tokens.expiresAt !== null ? tokens.expiresAt - RENEW_BEFORE_MS : null;
    const storing = this.#replaces === null ? null : Date.now() + STORE_AGAIN_MS;
    const times = [renewal, storing].filter((at) => at !== null);
    this.#options.onRenewalTime(times.length === 0 ? null : Math.min(...times));
  }

  /** A token stored by hand is never exchanged for one of the application's own workspace: that may be another one. */
  #canRenew({ refreshToken, installedBy }: StoredTokens): boolean {
    return refreshToken !== null || (this.#options.app.clientCredentials && installedBy === 'client-credentials');
  }

  async #renew(used: StoredTokens): Promise<StoredTokens | CallFailure> {
    if (this.#unstored?.replaced === used.sealed) return this.#store(used, this.#unstored.tokens);
    // Another life of this object, or an installation, may have stored others meanwhile.
    this.#held = null;
    const stored = await this.#load();
    if ('ok' in stored || stored.sealed !== used.sealed) return stored;
    if (!this.#canRenew(stored)) return stored;
    const outcome = await this.#ask(stored);
    switch (outcome.kind) {
      case 'granted': {
        const { accessToken, refreshToken, expiresAt, scopes } = outcome.grant;
        const tokens = { accessToken, refreshToken: refreshToken ?? stored.refreshToken, expiresAt };
        const renewed = await this.#store(stored, tokens);
        // What was granted at the installation can be taken back since; half of the calls would fail in words of Linear's.
        const missing = SCOPES.filter((scope) => scopes !== null && !scopes.includes(scope));
        if ('ok' in renewed || missing.length === 0) return renewed;
        return this.#giveUp(renewed, `Linear renewed the token without the scopes ${missing.join(', ')}`);
      }
      case 'refused':
        if (outcome.error === 'invalid_grant') return this.#giveUp(stored, outcome.message);
        return this.#failed(failure('unauthorized', `Linear does not renew the workspace's token: ${outcome.message}`));
      case 'client-refused':
        return this.#failed(failure('unauthorized', `${outcome.message}: correct them on the page /install`));
      case 'unreachable':
        return this.#failed(failure('unreachable', `the workspace's token cannot be renewed: ${outcome.message}`));
    }
  }

  async #ask({ refreshToken }: StoredTokens): Promise<GrantOutcome> {
    const app = credentialsOf(this.#options.app);
    if (!app) {
      const message = 'LINEAR_CLIENT_ID or LINEAR_CLIENT_SECRET is not set';
      return { kind: 'client-refused', message };
    }
    const ask = () => (refreshToken === null ? clientCredentials(app) : refreshTokens(app, refreshToken));
    const outcome = await ask();
    // The answer may have been lost, and the token be exchanged: shown again it gives the same answer for 30 minutes.
    return outcome.kind === 'unreachable' ? ask() : outcome;
  }

  /** New tokens are stored before anything uses them: in this object, and in the database as soon as that takes them. */
  async #store(replaced: StoredTokens, tokens: Tokens): Promise<StoredTokens | CallFailure> {
    const { database, workspaceId } = this.#options;
    const inDatabase = this.#replaces ?? replaced.sealed;
    const sealed = await sealAccessToken(database, workspaceId, tokens.accessToken);
    const renewed: StoredTokens = { ...tokens, status: 'active', installedBy: replaced.installedBy, sealed };
    const epoch = this.#epoch;
    const copy = await this.#seal({ ...renewed, replaces: inDatabase });
    if (epoch !== this.#epoch) return this.#load();
    this.#options.copy.write(copy);
    this.#held = renewed;
    this.#replaces = inDatabase;
    const storing = replaceTokens(database, workspaceId, inDatabase, tokens, Date.now(), sealed);
    const stored = await settledWithin(DATABASE_WAIT_MS, storing).catch(asError);
    if (epoch !== this.#epoch) return this.#load();
    if (stored === 'late' || stored instanceof DatabaseError) {
      // It may have it all the same; `flush` looks.
      storing.catch(() => {});
      log('linear.token_store.failed', { workspace: workspaceId, error: stored === 'late' ? null : stored });
      await this.#hold(renewed);
      return renewed;
    }
    this.#drop();
    if (stored instanceof Error) {
      this.#unstored = { replaced: replaced.sealed, tokens };
      log('linear.token_store.failed', { workspace: workspaceId, error: stored });
      return failure('unreachable', "the workspace's new token cannot be stored: the database does not answer");
    }
    this.#unstored = null;
    log('linear.token_renewal.done', { workspace: workspaceId, overtaken: stored === null });
    if (!stored) return this.#load();
    await this.#hold(stored);
    return stored;
  }

  #failed(why: CallFailure): CallFailure {
    this.#failedAt = Date.now();
    log('linear.token_renewal.failed', { workspace: this.#options.workspaceId, kind: why.kind, reason: why.message });
    return why;
  }
}

function isNearEnd({ expiresAt }: Tokens): boolean {
  return expiresAt !== null && expiresAt - RENEW_BEFORE_MS <= Date.now();
}

function reinstallNeeded(): CallFailure {
  return failure(
    'unauthorized',
    'Linear has rejected the tokens of this workspace: an admin has to install Cyrus again, on the page /install',
  );
}
