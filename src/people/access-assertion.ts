/**
 * Who Cloudflare Access says it is: the token in `Cf-Access-Jwt-Assertion`, checked against the team's public keys
 * (developers.cloudflare.com/cloudflare-one/access-controls/applications/http-apps/authorization-cookie/validating-json).
 * What cannot be checked is nobody.
 */

import type { HonoJsonWebKey } from 'hono/utils/jwt/jws';
import { verifyWithJwks } from 'hono/utils/jwt/jwt';
import * as z from 'zod';
import { asError } from '../lib/error.ts';
import { withTimeout } from '../lib/timeout.ts';
import { log } from '../observability/log.ts';

/** The header that Access adds to every request it lets through. */
export const ACCESS_HEADER = 'cf-access-jwt-assertion';
const MAX_TOKEN = 16_384;
const KEYS_LIMIT_MS = 5_000;
/** The keys change every six weeks, and the next ones are listed before they are used. */
const KEYS_FRESH_MS = 3_600_000;
/** An unknown key is looked for again no sooner than this: anybody can name one. */
const KEYS_AGAIN_MS = 60_000;
/** While the keys cannot be fetched, those that are known count for so long. */
const KEYS_KEPT_MS = 24 * 3_600_000;

const keysSchema = z.object({ keys: z.array(z.looseObject({ kty: z.string(), kid: z.string().min(1) })).min(1) });
const claimsSchema = z.looseObject({
  email: z.email(),
  exp: z.number(),
  sub: z.string().nullish(),
});

interface Keys {
  keys: HonoJsonWebKey[];
  at: number;
  triedAt: number;
}
/** Finished keys only, by team: a promise belongs to the request that made it. */
const known = new Map<string, Keys>();

/** `unreachable`: the keys of the team cannot be had, so nobody can be let in. */
export type Assertion = { email: string } | 'none' | 'invalid' | 'unreachable';

/**
 * Checks the token of a request.
 * @param token the header's value
 * @param team origin of the team's domain; it is the issuer. @param audience tag of the Access application
 */
export async function readAssertion(
  token: string | undefined,
  { team, audience }: { team: string; audience: string },
): Promise<Assertion> {
  if (token === undefined || token === '') return 'none';
  if (token.length > MAX_TOKEN) return 'invalid';
  const kid = keyNamed(token);
  if (kid === null) return 'invalid';
  const keys = await keysOf(team, kid);
  if (keys === null) return 'unreachable';
  try {
    const claims = claimsSchema.parse(
      await verifyWithJwks(token, {
        keys,
        allowedAlgorithms: ['RS256'],
        verification: { iss: team, aud: audience, exp: true, nbf: true },
      }),
    );
    return { email: claims.email.toLowerCase() };
  } catch (error) {
    // Its message may hold the token.
    log('access.assertion.refused', { reason: asError(error).name });
    return 'invalid';
  }
}

function keyNamed(token: string): string | null {
  try {
    const header = token.split('.')[0] ?? '';
    const json: unknown = JSON.parse(atob(header.replaceAll('-', '+').replaceAll('_', '/')));
    return z.object({ kid: z.string().min(1).max(200) }).parse(json).kid;
  } catch {
    return null;
  }
}

async function keysOf(team: string, kid: string): Promise<HonoJsonWebKey[] | null> {
  const now = Date.now();
  const before = known.get(team);
  const isKnown = before?.keys.some((key) => key.kid === kid) ?? false;
  const age = before ? now - before.at : Number.POSITIVE_INFINITY;
  if (before && isKnown && age >= 0 && age < KEYS_FRESH_MS) return before.keys;
  const sinceTried = before ? now - before.triedAt : Number.POSITIVE_INFINITY;
  if (before && sinceTried >= 0 && sinceTried < KEYS_AGAIN_MS) return age < KEYS_KEPT_MS ? before.keys : null;
  try {
    const keys = await fetchKeys(team);
    known.set(team, { keys, at: now, triedAt: now });
    return keys;
  } catch (error) {
    log('access.keys.failed', { host: new URL(team).host, error: asError(error) });
    if (before) known.set(team, { ...before, triedAt: now });
    return before && age < KEYS_KEPT_MS ? before.keys : null;
  }
}

async function fetchKeys(team: string): Promise<HonoJsonWebKey[]> {
  return withTimeout(KEYS_LIMIT_MS, async (signal) => {
    const response = await fetch(`${team}/cdn-cgi/access/certs`, { signal, redirect: 'manual' });
    if (!response.ok) throw new Error(`Cloudflare Access answered HTTP ${response.status} for its keys`);
    return keysSchema.parse(await response.json()).keys;
  });
}
