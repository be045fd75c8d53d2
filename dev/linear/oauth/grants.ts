/**
 * Codes and tokens: handed out, exchanged, replayed, expired, revoked. Times are on the simulator's clock.
 * Source: linear.app/developers/oauth-2-0-authentication.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import type { SimulatorClock } from '../clock.ts';
import type { AccessToken, Authorization, OauthData, RefreshToken, Scope } from './model.ts';
import type { Challenge } from './pkce.ts';

const ACCESS_TOKEN_LIFE_MS = 24 * 3_600_000;
const CLIENT_CREDENTIALS_LIFE_MS = 30 * 24 * 3_600_000;
/** An exchanged refresh token can be used again for this long, should the answer have been lost. */
const REPLAY_GRACE_MS = 30 * 60_000;
/** RFC 6749, 4.1.2 recommends this as the longest. */
const CODE_LIFE_MS = 10 * 60_000;
/** Valid tokens an application can have by client credentials. */
const MOST_CLIENT_CREDENTIALS_TOKENS = 1_000;

export interface Code {
  clientId: string;
  redirectUri: string;
  workspaceId: string;
  actor: 'user' | 'app';
  /** Whom it acts for; null: the application, or the person at the page. */
  userId: string | null;
  scopes: Scope[];
  challenge: Challenge | null;
  expiresAt: number;
}

/** What the token endpoint answers when all is well. */
export interface TokenAnswer {
  access_token: string;
  token_type: 'Bearer';
  /** Seconds. */
  expires_in: number;
  /** Separated by spaces. */
  scope: string;
  refresh_token?: string;
}

/** Who calls with a token. */
export type Bearer = Pick<Authorization, 'clientId' | 'workspaceId' | 'actor' | 'scopes'> & { userId?: string | null };

export class Grants {
  readonly #clock: SimulatorClock;
  readonly #onChange: () => void;
  readonly #codes = new Map<string, Code>();
  readonly #authorizations = new Map<string, Authorization>();
  readonly #accessTokens = new Map<string, AccessToken>();
  readonly #refreshTokens = new Map<string, RefreshToken>();
  readonly #fixed = new Map<string, Bearer>();

  /** @param onChange called after each change to a token */
  constructor(clock: SimulatorClock, saved: OauthData | null, onChange: () => void) {
    this.#clock = clock;
    this.#onChange = onChange;
    for (const authorization of saved?.authorizations ?? []) this.#authorizations.set(authorization.id, authorization);
    for (const access of saved?.accessTokens ?? []) this.#accessTokens.set(access.token, access);
    for (const refresh of saved?.refreshTokens ?? []) this.#refreshTokens.set(refresh.token, refresh);
  }

  data(): Pick<OauthData, 'authorizations' | 'accessTokens' | 'refreshTokens'> {
    return {
      authorizations: [...this.#authorizations.values()],
      accessTokens: [...this.#accessTokens.values()],
      refreshTokens: [...this.#refreshTokens.values()],
    };
  }

  /** Oldest first. */
  authorizations(): Authorization[] {
    return [...this.#authorizations.values()];
  }

  /** @returns a code for one exchange, good for ten minutes */
  newCode(code: Omit<Code, 'expiresAt'>): string {
    const text = randomBytes(20).toString('hex');
    this.#codes.set(text, { ...code, expiresAt: this.#clock.now() + CODE_LIFE_MS });
    return text;
  }

  /** What a code stands for. It is used up by this. @returns null when it is unknown, used or too old */
  takeCode(text: string): Code | null {
    const code = this.#codes.get(text);
    this.#codes.delete(text);
    return code && code.expiresAt > this.#clock.now() ? code : null;
  }

  /** Tokens for something newly allowed: with a refresh token, except by client credentials. */
  issue(allowed: Omit<Authorization, 'id' | 'createdAt' | 'userId'> & { userId?: string | null }): TokenAnswer {
    const authorization = { userId: null, ...allowed, id: randomUUID(), createdAt: this.#clock.now() };
    this.#authorizations.set(authorization.id, authorization);
    if (allowed.via === 'client_credentials') this.#limitClientCredentials(authorization);
    const access = this.#newAccessToken(authorization);
    const refresh = allowed.via === 'authorization_code' ? this.#newRefreshToken(authorization) : null;
    this.#onChange();
    return this.#answer(access, refresh);
  }

  /**
   * Exchanges a refresh token for a new pair. For 30 minutes the old one answers with that same pair again, unless the new one was
   * used already; the access token from before stays good until it expires.
   * @returns null when it can be used no more
   */
  rotate(token: string): TokenAnswer | null {
    const refresh = this.#refreshTokens.get(token);
    const authorization = refresh && this.#authorizations.get(refresh.authorizationId);
    if (!refresh || !authorization) return null;
    const now = this.#clock.now();
    if (refresh.rotated) {
      const access = this.#accessTokens.get(refresh.rotated.accessToken);
      const next = this.#refreshTokens.get(refresh.rotated.refreshToken);
      if (!access || !next || next.rotated || now - refresh.rotated.at > REPLAY_GRACE_MS) return null;
      return this.#answer(access, next);
    }
    const access = this.#newAccessToken(authorization);
    const next = this.#newRefreshToken(authorization);
    refresh.rotated = { at: now, accessToken: access.token, refreshToken: next.token };
    this.#onChange();
    return this.#answer(access, next);
  }

  /** Who calls with this token. @returns null when it is unknown, expired or revoked */
  bearer(token: string): Bearer | null {
    const fixed = this.#fixed.get(token);
    if (fixed) return fixed;
    const access = this.#accessTokens.get(token);
    if (!access || access.expiresAt <= this.#clock.now()) return null;
    return this.#authorizations.get(access.authorizationId) ?? null;
  }

  /** Accepts a token that was not got by OAuth and does not expire; it takes the place of the workspace's former one. */
  setFixed(token: string, bearer: Bearer): void {
    this.dropFixed(bearer.workspaceId);
    this.#fixed.set(token, bearer);
  }

  dropFixed(ofWorkspaceId: string): void {
    for (const [token, { workspaceId }] of this.#fixed) if (workspaceId === ofWorkspaceId) this.#fixed.delete(token);
  }

  /** What an access or refresh token belongs to. @returns null when it is unknown or revoked */
  ownerOf(token: string): Authorization | null {
    const known = this.#accessTokens.get(token) ?? this.#refreshTokens.get(token);
    return (known && this.#authorizations.get(known.authorizationId)) ?? null;
  }

  /** Revokes what an access or refresh token belongs to, with all its tokens. */
  revoke(token: string): void {
    const owner = this.ownerOf(token);
    if (owner) this.revokeWhere(({ id }) => id === owner.id);
  }

  /** Revokes all that matches. @returns how many authorizations */
  revokeWhere(matches: (authorization: Authorization) => boolean): number {
    const gone = new Set(this.authorizations().flatMap((one) => (matches(one) ? [one.id] : [])));
    for (const id of gone) this.#authorizations.delete(id);
    for (const tokens of [this.#accessTokens, this.#refreshTokens]) {
      for (const { token, authorizationId } of tokens.values()) if (gone.has(authorizationId)) tokens.delete(token);
    }
    if (gone.size > 0) this.#onChange();
    return gone.size;
  }

  /** Lets access tokens expire now; refresh tokens stay good. @returns how many */
  expireWhere(matches: (authorization: Authorization) => boolean): number {
    const now = this.#clock.now();
    let expired = 0;
    for (const access of this.#accessTokens.values()) {
      const authorization = this.#authorizations.get(access.authorizationId);
      if (!authorization || access.expiresAt <= now || !matches(authorization)) continue;
      access.expiresAt = now;
      expired += 1;
    }
    if (expired > 0) this.#onChange();
    return expired;
  }

  /** Access tokens that are good now, with what they belong to; oldest first. */
  live(): { access: AccessToken; authorization: Authorization }[] {
    const now = this.#clock.now();
    return [...this.#accessTokens.values()].flatMap((access) => {
      const authorization = this.#authorizations.get(access.authorizationId);
      return authorization && access.expiresAt > now ? [{ access, authorization }] : [];
    });
  }

  /** The latest refresh token of an authorization, one that was not yet exchanged. */
  refreshTokenOf(authorizationId: string): string | null {
    const unused = [...this.#refreshTokens.values()].filter(
      (refresh) => refresh.authorizationId === authorizationId && !refresh.rotated,
    );
    return unused.at(-1)?.token ?? null;
  }

  /** Tokens with other scopes are revoked; of those with the same the oldest, when there are too many. */
  #limitClientCredentials(latest: Authorization): void {
    const scopes = latest.scopes.join();
    const others = this.authorizations().filter(
      ({ id, clientId, via }) => id !== latest.id && clientId === latest.clientId && via === 'client_credentials',
    );
    const same = others.filter((other) => other.scopes.join() === scopes);
    const kept = new Set(same.slice(-(MOST_CLIENT_CREDENTIALS_TOKENS - 1)).map(({ id }) => id));
    const gone = new Set(others.map(({ id }) => id).filter((id) => !kept.has(id)));
    this.revokeWhere(({ id }) => gone.has(id));
  }

  #newAccessToken({ id, via }: Authorization): AccessToken {
    this.#forgetLongExpired();
    const life = via === 'client_credentials' ? CLIENT_CREDENTIALS_LIFE_MS : ACCESS_TOKEN_LIFE_MS;
    const token = `lin_oauth_${randomBytes(32).toString('hex')}`;
    const access = { token, authorizationId: id, expiresAt: this.#clock.now() + life };
    this.#accessTokens.set(token, access);
    return access;
  }

  #newRefreshToken({ id }: Authorization): RefreshToken {
    const token = `lin_refresh_${randomBytes(32).toString('hex')}`;
    const refresh = { token, authorizationId: id, rotated: null };
    this.#refreshTokens.set(token, refresh);
    return refresh;
  }

  /** So that a simulator that runs for weeks does not grow: nothing can be done any more with what is released here. */
  #forgetLongExpired(): void {
    const now = this.#clock.now();
    for (const { token, expiresAt } of this.#accessTokens.values()) {
      if (expiresAt + REPLAY_GRACE_MS < now) this.#accessTokens.delete(token);
    }
    for (const { token, rotated } of this.#refreshTokens.values()) {
      if (rotated && now - rotated.at > REPLAY_GRACE_MS) this.#refreshTokens.delete(token);
    }
  }

  #answer(access: AccessToken, refresh: RefreshToken | null): TokenAnswer {
    const scopes = this.#authorizations.get(access.authorizationId)?.scopes ?? [];
    return {
      access_token: access.token,
      token_type: 'Bearer',
      // Whole seconds that are left for sure: 86399 of a day.
      expires_in: Math.max(0, Math.ceil((access.expiresAt - this.#clock.now()) / 1_000) - 1),
      scope: scopes.join(' '),
      ...(refresh && { refresh_token: refresh.token }),
    };
  }
}
