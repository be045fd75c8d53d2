/**
 * How often somebody may ask. Who is known is counted exactly, by an object of their own; what comes with a wrong token, password or signature
 * is counted by the platform, by address, for it is nobody's. In a local run everything passes.
 */
import type { Context, MiddlewareHandler } from 'hono';
import type { Config } from '../../config/config.ts';
import { asError } from '../../lib/error.ts';
import { settledWithin } from '../../lib/timeout.ts';
import { log } from '../../observability/log.ts';
import { limiterOf } from '../../operations/limits/rate-limiter.ts';
import type { WindowDecision } from '../../operations/limits/request-window.ts';
import type { ApiError } from '../../protocol/api.ts';
import { openDatabase } from '../../store/database.ts';
import { sourceOf } from '../../store/people/sign-in-attempts.ts';
import { settledConfig } from '../../store/settings.ts';
import type { PeopleEnv } from './needs.ts';

const WINDOW_MS = 60_000;
const ANSWER_LIMIT_MS = 1_000;

const TOO_MANY: ApiError = { error: 'too_many_requests', message: 'There were too many requests. Try again later.' };
const AWAY: ApiError = { error: 'limiter_away', message: 'Nobody can sign in for a moment. Try again in a minute.' };

/** What all contexts of this Worker have. */
type AnyContext = Pick<Context<{ Bindings: Env }>, 'env' | 'req' | 'res' | 'json' | 'header'>;

/** Every answer to people on `/api` says what is left of their minute. To be used after it is known who asks. */
export const apiLimit: MiddlewareHandler<PeopleEnv> = async (c, next) => {
  const { person } = c.var;
  const config = await settledConfig(c.env, null);
  return limited(c, next, config, `person:${person.key}`);
};

/** The same for who holds ADMIN_TOKEN. */
export function adminLimit(c: AnyContext, next: () => Promise<void>, config: Config): Promise<Response | undefined> {
  return limited(c, next, config, 'admin');
}

async function limited(
  c: AnyContext,
  next: () => Promise<void>,
  config: Config,
  subject: string,
): Promise<Response | undefined> {
  const limit = config.requestLimits.apiPerMinute;
  if (limit === 0 || config.environment === 'local') return void (await next());
  const decision = await taken(c.env, 'api', subject, limit);
  if (decision === null) return void (await next());
  const headers = headersOf('api', decision);
  if (!decision.allowed) return refusal(c, headers);
  await next();
  // A socket's answer cannot be made again.
  if (c.res.status !== 101) for (const [name, value] of Object.entries(headers)) c.header(name, value);
  return undefined;
}

/** Of one address, that begins to sign in or to install. What comes back is not counted: any page could send the browsers of an office there. If the limiter is away nobody can: what it keeps out are guesses. */
export const oauthLimit: MiddlewareHandler<PeopleEnv> = async (c, next) => {
  const config = await settledConfig(c.env, null);
  const limit = config.requestLimits.oauthPerMinute;
  const source = await addressOf(c, config);
  if (limit === 0 || source === null) return next();
  const decision = await taken(c.env, 'oauth', source, limit);
  if (decision === null) return c.json(AWAY, 503, { 'retry-after': '60' });
  return decision.allowed ? next() : refusal(c, headersOf('oauth', decision));
};

/**
 * Whether too much that is nobody's came from an address, by the platform's own count: of a minute, in one of its locations. Never rejects.
 * @param kind what it is about, e.g. `webhook`
 */
export async function isPublicTooOften(c: AnyContext, config: Config, kind: string): Promise<boolean> {
  try {
    const source = await addressOf(c, config);
    if (source === null) return false;
    const { success } = await c.env.PUBLIC_LIMIT.limit({ key: `${kind}:${source}` });
    return !success;
  } catch (error) {
    log('access.public_limit.failed', { error: asError(error) });
    return false;
  }
}

/** The answer to what came too often. */
export function tooOften(c: AnyContext, seconds: number): Response {
  return c.json(TOO_MANY, 429, { 'retry-after': String(seconds) });
}

/** The name of the address that a request is from; null: a local run has none. */
async function addressOf(c: AnyContext, config: Config): Promise<string | null> {
  const address = c.req.header('cf-connecting-ip');
  if (address === undefined || config.environment === 'local') return null;
  return sourceOf(openDatabase(c.env.DB, config.encryptionKey), address);
}

/** @returns null: the limiter does not answer */
async function taken(env: Env, kind: string, subject: string, limit: number): Promise<WindowDecision | null> {
  try {
    const asked = limiterOf(env, kind, subject).take({ limit, windowMs: WINDOW_MS });
    const decision = await settledWithin(ANSWER_LIMIT_MS, asked);
    if (decision !== 'late') return decision;
    throw new Error(`no answer within ${ANSWER_LIMIT_MS} ms`);
  } catch (error) {
    log('access.limiter.unreachable', { kind, error: asError(error) });
    return null;
  }
}

function refusal(c: AnyContext, headers: Record<string, string>): Response {
  return c.json(TOO_MANY, 429, headers);
}

/** As draft-ietf-httpapi-ratelimit-headers has them, and the older ones. */
function headersOf(name: string, { allowed, limit, remaining, resetMs }: WindowDecision): Record<string, string> {
  const seconds = Math.max(1, Math.ceil(resetMs / 1_000));
  return {
    'ratelimit-policy': `"${name}";q=${limit};w=${WINDOW_MS / 1_000}`,
    ratelimit: `"${name}";r=${remaining};t=${seconds}`,
    'x-ratelimit-limit': String(limit),
    'x-ratelimit-remaining': String(remaining),
    'x-ratelimit-reset': String(Math.ceil((Date.now() + resetMs) / 1_000)),
    ...(!allowed && { 'retry-after': String(seconds) }),
  };
}
