/**
 * Linear's OAuth endpoints (https://linear.app/developers/oauth-2-0-authentication): tokens for a code, for a refresh token
 * or for the application itself, and their end. Nothing here is stored or logged.
 */
import * as z from 'zod';
import type { LinearApp } from '../../config/config.ts';
import { toBase64Url } from '../../lib/base64url.ts';
import { messageOf } from '../../lib/error.ts';
import { withTimeout } from '../../lib/timeout.ts';
import { cutWhole } from '../../protocol/text/sendable-text.ts';
import type { Tokens } from '../../store/workspaces/installations.ts';

/** What Cyrus needs: to read, to write, to be given issues, to be mentioned. */
export const SCOPES = ['read', 'write', 'app:assignable', 'app:mentionable'] as const;
const TIMEOUT_MS = 10_000;
const MAX_DESCRIPTION = 200;

/** Id and secret of the application: both are there. */
export type Credentials = LinearApp & { clientId: string; clientSecret: string };

/** Tokens just granted, with the scopes they have; null: Linear did not return the issue. */
export interface Grant extends Tokens {
  scopes: string[] | null;
}

/**
 * What the token endpoint made of a request.
 * - `refused`: Linear will not, however often it is asked; `invalid_grant` means that the code or refresh token is no good
 * - `client-refused`: id or secret of the application are wrong
 * - `unreachable`: no answer, or one that says nothing; the same request may be repeated
 */
export type GrantOutcome =
  | { kind: 'granted'; grant: Grant }
  | { kind: 'refused'; error: string; message: string }
  | { kind: 'client-refused' | 'unreachable'; message: string };

const grantSchema = z.looseObject({
  access_token: z.string().min(1),
  expires_in: z.number().positive().nullish(),
  // A text separated by spaces; for very old applications a list.
  scope: z.union([z.string(), z.array(z.string())]).nullish(),
  refresh_token: z.string().min(1).nullish(),
});
const refusalSchema = z.looseObject({ error: z.string(), error_description: z.string().nullish() });

/** The application's credentials, or null if id or secret is not configured. */
export function credentialsOf(app: LinearApp): Credentials | null {
  const { clientId, clientSecret } = app;
  return clientId === null || clientSecret === null ? null : { ...app, clientId, clientSecret };
}

/** Exchanges the code of a callback. @param verifier of PKCE */
export function exchangeCode(
  app: Credentials,
  { code, redirectUri, verifier }: { code: string; redirectUri: string; verifier: string },
): Promise<GrantOutcome> {
  return ask(app, {
    grant_type: 'authorization_code',
    code,
    redirect_uri: redirectUri,
    code_verifier: verifier,
  });
}

/** Exchanges a refresh token for a new pair. An answer that got lost can be had again for 30 minutes. */
export function refreshTokens(app: Credentials, refreshToken: string): Promise<GrantOutcome> {
  return ask(app, { grant_type: 'refresh_token', refresh_token: refreshToken });
}

/** A token for the workspace that owns the application; has to be switched on in Linear. */
export function clientCredentials(app: Credentials): Promise<GrantOutcome> {
  return ask(app, { grant_type: 'client_credentials', scope: SCOPES.join(',') });
}

/**
 * Ends a token at Linear (RFC 7009).
 * @returns null when it is over, also when it was before; otherwise why it is not known to be
 */
export async function revokeToken(
  app: LinearApp,
  token: string,
  hint: 'access_token' | 'refresh_token',
): Promise<string | null> {
  const answer = await post(app.revokeUrl, app, { token, token_type_hint: hint });
  if ('problem' in answer) return answer.problem;
  if (answer.status === 200 || answer.status === 400) return null;
  return `Linear answered HTTP ${answer.status}`;
}

/**
 * Tries id and secret at the token endpoint with a code that cannot exist: if only the code is refused, Linear knows the app.
 * Nothing is granted and nothing stored. `unknown`: the answer, in words, settles neither.
 */
export async function checkCredentials(
  app: Credentials,
  redirectUri: string,
): Promise<'accepted' | 'refused' | { unknown: string }> {
  const outcome = await exchangeCode(app, { code: 'cyrus-check', redirectUri, verifier: newVerifier() });
  if (outcome.kind === 'refused' && outcome.error === 'invalid_grant') return 'accepted';
  if (outcome.kind === 'client-refused') return 'refused';
  return { unknown: outcome.kind === 'granted' ? 'Linear accepted a code that cannot exist' : outcome.message };
}

/** A PKCE code verifier: 256 random bits (RFC 7636). */
export function newVerifier(): string {
  return toBase64Url(crypto.getRandomValues(new Uint8Array(32)));
}

/** The S256 challenge of a verifier. */
export async function challengeOf(verifier: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier));
  return toBase64Url(new Uint8Array(digest));
}

async function ask(app: Credentials, form: Record<string, string>): Promise<GrantOutcome> {
  const askedAt = Date.now();
  const answer = await post(app.tokenUrl, app, form);
  if ('problem' in answer) return { kind: 'unreachable', message: answer.problem };
  const { status, json } = answer;
  const granted = grantSchema.safeParse(json);
  if (status === 200 && granted.success) return { kind: 'granted', grant: toGrant(granted.data, askedAt) };
  const refusal = refusalSchema.safeParse(json);
  const said = refusal.success ? wordsOf(refusal.data) : `HTTP ${status}`;
  const error = refusal.success ? refusal.data.error : '';
  if (['invalid_client', 'unauthorized_client'].includes(error) || status === 401) {
    return {
      kind: 'client-refused',
      message: `Linear does not accept LINEAR_CLIENT_ID and LINEAR_CLIENT_SECRET (${said})`,
    };
  }
  if (refusal.success && status >= 400 && status < 500 && status !== 429)
    return { kind: 'refused', error, message: said };
  return { kind: 'unreachable', message: `Linear's token endpoint answered ${said}` };
}

function toGrant(data: z.infer<typeof grantSchema>, askedAt: number): Grant {
  const { access_token: accessToken, refresh_token: refreshToken, expires_in: seconds, scope } = data;
  return {
    accessToken,
    refreshToken: refreshToken ?? null,
    // Counted from the question, so that it is never believed to last longer than it does.
    expiresAt: seconds ? askedAt + seconds * 1000 : null,
    scopes: typeof scope === 'string' ? scope.split(/[\s,]+/).filter((name) => name !== '') : (scope ?? null),
  };
}

function wordsOf({ error, error_description: description }: z.infer<typeof refusalSchema>): string {
  return cutWhole(description ? `${error}: ${description}` : error, MAX_DESCRIPTION);
}

async function post(
  url: string,
  { clientId, clientSecret }: LinearApp,
  form: Record<string, string>,
): Promise<{ status: number; json: unknown } | { problem: string }> {
  try {
    return await withTimeout(TIMEOUT_MS, async (signal) => {
      const response = await fetch(url, {
        method: 'POST',
        headers: { accept: 'application/json' },
        body: new URLSearchParams({
          ...form,
          ...(clientId !== null && { client_id: clientId }),
          ...(clientSecret !== null && { client_secret: clientSecret }),
        }),
        redirect: 'manual',
        signal,
      });
      const json: unknown = await response.json().catch(() => null);
      return { status: response.status, json };
    });
  } catch (cause) {
    const why = messageOf(cause);
    return { problem: `${new URL(url).host} cannot be reached: ${why}` };
  }
}
