/**
 * Which token a request to Claude's API goes out with. The account decides; what it said is remembered for a while in this
 * instance of the Worker, so that most requests wait for nothing.
 */

import { hasBudget } from '../../claude-quota/budget.ts';
import type { ClaudeToken } from '../../claude-quota/claude-settings.ts';
import { roomAt, usedUpHeaders, type Windows } from '../../claude-quota/windows.ts';
import type { Config } from '../../config/config.ts';
import { asError } from '../../lib/error.ts';
import { log } from '../../observability/log.ts';
import type { Answered, Grant, RequestSize } from './account.ts';
import { refusal, refusedTokenWords } from './refusal.ts';
import type { Asker } from './spending.ts';

export type ClaudeConfig = Pick<Config, 'claude' | 'limits'>;

/** What the gateway asks of the Claude account. */
export interface AccountPort {
  choose: (asker: Asker, size: RequestSize | null) => Promise<Grant>;
  record: (answered: Answered) => Promise<void>;
  tokenRefused: (token: string, message: string) => Promise<boolean>;
  beyondPlan: (token: string, windows: Windows) => Promise<boolean>;
}

/** What a session has of the pool is asked for again after this long, in ms. */
const REMEMBER_MS = 30_000;
const MAX_REMEMBERED = 500;
const remembered = new Map<string, { token: string; at: number }>();

function remember(session: string, token: string): void {
  if (remembered.size >= MAX_REMEMBERED) remembered.clear();
  remembered.set(session, { token, at: Date.now() });
}

/** The account is asked for the session's next request. */
export function forgetToken(session: string): void {
  remembered.delete(session);
}

/**
 * The token answers beyond its plan: the account is asked for every next request.
 * @param isPaidFor that is allowed, up to a sum
 */
export function noteBeyondPlan(token: ClaudeToken, windows: Windows, isPaidFor: boolean): void {
  remembered.clear();
  const now = Date.now();
  beyond.set(token.secret, { windows, until: Math.max(roomAt(windows, now), now + 1_000), isPaidFor });
}

/**
 * The token of a request, or its refusal. One token without budgets needs nobody's word, so that most requests wait for nothing.
 * @param size of the request, where it is paid for
 */
export async function tokenFor(
  size: RequestSize | null,
  path: string,
  { claude, limits }: ClaudeConfig,
  { asker, account }: { asker: Asker; account: AccountPort },
): Promise<{ token: ClaudeToken; reservation: string | null } | Response> {
  const { tokens } = limits;
  const [first] = tokens;
  if (!first) throw new Error('there is no token');
  const isCounted = claude.access.mode === 'api-key' && hasBudget(limits.budgets);
  const isAlone = tokens.length === 1 && !isCounted;
  if (isAlone) {
    if (claude.access.mode === 'api-key') return { token: first, reservation: null };
    const stop = beyond.get(first.secret);
    if (stop && !stop.isPaidFor && stop.until > Date.now()) return usedUp(stop.windows, stop.until);
    // Whether the plan is used up is heard in every answer; what other instances of the Worker heard is asked for now and then.
    if (!stop?.isPaidFor && Date.now() - askedAt < REMEMBER_MS) return { token: first, reservation: null };
  }
  const known = remembered.get(asker.session);
  const isFresh = known !== undefined && Date.now() - known.at < REMEMBER_MS;
  const before = isFresh && !isCounted ? tokens.find(({ name }) => name === known.token) : undefined;
  if (before) return { token: before, reservation: null };
  // What only counts or lists costs nothing.
  if (isCounted && path !== '/v1/messages') return { token: first, reservation: null };
  let grant: Grant;
  try {
    grant = await account.choose(asker, size);
  } catch (error) {
    log('claude.account.unreachable', { session: asker.session, error: asError(error) });
    if (isAlone) return { token: first, reservation: null };
    return refusal(503, 'api_error', 'Cyrus could not look up its Claude account; trying again may help');
  }
  askedAt = Date.now();
  switch (grant.kind) {
    case 'beyond-plan':
      if (isAlone) beyond.set(first.secret, { ...grant, isPaidFor: false });
      return usedUp(grant.windows, grant.until);
    case 'token': {
      const { name, reservation } = grant;
      // What is paid for is a sum: each request is asked about.
      if (reservation === null) remember(asker.session, name);
      return { token: tokens.find((token) => token.name === name) ?? first, reservation };
    }
    case 'full': {
      // The API itself says how long that is, in the headers that the CLI understands.
      const { name } = grant;
      return { token: tokens.find((token) => token.name === name) ?? first, reservation: null };
    }
    case 'over-budget':
      return refusal(402, 'billing_error', grant.words);
    case 'out':
      return refusal(401, 'authentication_error', refusedTokenWords(claude.access.mode, null));
  }
}

/** By the token: plans that are used up while Claude's API would go on for money, as this instance of the Worker knows. `isPaidFor`:
 * that is allowed, up to a sum. */
const beyond = new Map<string, { windows: Windows; until: number; isPaidFor: boolean }>();
/** When the account was last asked for a deployment's only token, in ms since the epoch. */
let askedAt = 0;

/** What Claude's API answers where a plan is used up, for a request that would be paid for. The CLI ends the turn by it. */
function usedUp(windows: Windows, until: number): Response {
  const message =
    "This Cyrus does not pay beyond the plan: the plan's limit is used up, and further requests would be charged as usage credits (CLAUDE_OVERAGE_USD allows an amount)";
  const headers = {
    ...usedUpHeaders(windows, until),
    'retry-after': String(Math.max(1, Math.ceil((until - Date.now()) / 1000))),
  };
  return Response.json({ type: 'error', error: { type: 'rate_limit_error', message } }, { status: 429, headers });
}
