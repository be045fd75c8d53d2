/** Programs that act for a person by a token of theirs, `Authorization: Bearer cyrus_pat_…`. How much each may ask is limited. */
import type { MiddlewareHandler } from 'hono';
import { readConfig } from '../../config/read-config.ts';
import { log } from '../../observability/log.ts';
import { callerOf } from '../../people/api-tokens.ts';
import type { ApiError } from '../../protocol/api.ts';
import { openDatabase } from '../../store/database.ts';
import { MINUTE_MS } from '../../store/people/api-tokens.ts';
import { settledConfig } from '../../store/settings.ts';
import type { PeopleEnv } from './needs.ts';
import { isPublicTooOften, tooOften } from './request-limit.ts';

/** Most requests of one token in a minute. */
export const MOST_REQUESTS = 300;

const NO_TOKEN: ApiError = {
  error: 'unauthorized',
  message: 'Send `Authorization: Bearer` with a personal token, which you make at POST /api/me/tokens.',
};
const DEAD_TOKEN: ApiError = {
  error: 'invalid_token',
  message: 'This token is none, has ended or was revoked, or its person is no member any more: make another one.',
};
const UNSURE: ApiError = {
  error: 'linear_unreachable',
  message: 'Linear has not said for four hours what the person of this token may see. Try again in a minute.',
};

/** Lets in who has a token, tells the routes for whom it acts, and says how much is left (RateLimit of the IETF's HTTPAPI group). */
export const tokenAccess: MiddlewareHandler<PeopleEnv> = async (c, next) => {
  const shown = /^Bearer +(\S+)$/i.exec(c.req.header('authorization') ?? '')?.[1];
  if (shown === undefined) return c.json(NO_TOKEN, 401, { 'www-authenticate': 'Bearer realm="Cyrus"' });
  const config = readConfig(c.env);
  const database = openDatabase(c.env.DB, config.encryptionKey, config.oldEncryptionKey);
  const now = Date.now();
  const caller = await callerOf({ env: c.env, config, database }, shown, now);
  if (caller === 'unsure') return c.json(UNSURE, 503, { 'retry-after': '60' });
  if (caller === null) {
    if (await isPublicTooOften(c, config, 'personal-token')) return tooOften(c, 60);
    log('api.token.refused', { path: c.req.path });
    return c.json(DEAD_TOKEN, 401, { 'www-authenticate': 'Bearer realm="Cyrus", error="invalid_token"' });
  }
  const { apiPerMinute } = (await settledConfig(c.env, null)).requestLimits;
  const mostOfPerson = apiPerMinute === 0 ? Number.POSITIVE_INFINITY : apiPerMinute;
  const left = Math.min(MOST_REQUESTS - caller.requests, mostOfPerson - caller.requestsOfPerson);
  const seconds = Math.ceil((MINUTE_MS - (now % MINUTE_MS)) / 1_000);
  const allowance = {
    'ratelimit-policy': `"token";q=${MOST_REQUESTS};w=${MINUTE_MS / 1_000}`,
    ratelimit: `"token";r=${Math.max(0, left)};t=${seconds}`,
  };
  c.set('person', caller.person);
  if (left < 0) {
    const isToken = caller.requests > MOST_REQUESTS;
    const who = isToken ? `This token made ${MOST_REQUESTS}` : `The tokens of this person made ${mostOfPerson}`;
    const message = `${who} requests in this minute. Go on in ${seconds} s.`;
    c.res = c.json({ error: 'too_many_requests', message } satisfies ApiError, 429, { 'retry-after': String(seconds) });
  } else await next();
  // The answer that opens a socket cannot be changed.
  if (c.res.status === 101) return;
  const answer = new Response(c.res.body, c.res);
  for (const [name, value] of Object.entries(allowance)) answer.headers.set(name, value);
  c.res = undefined;
  c.res = answer;
};
