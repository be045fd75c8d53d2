/** Settings about what Claude may be used for, and how much: variables of the Worker, turned into plain values. */
import * as z from 'zod';
import { ownValue } from '../lib/own-value.ts';
import { type Price, priceListSchema } from './prices.ts';

/** What is paid for: a subscription, or the API by use. */
export type Plan = 'pro' | 'max' | 'ultra' | 'api';
/** Names that plans had before October 2026: Max 5x is Max since, Max 20x is Ultra. */
const FORMER_NAMES: Readonly<Record<string, Plan>> = { '5x': 'max', '20x': 'ultra' };

/** A subscription's token. Its name is shown to admins and stored in the database; the token itself never is. */
export interface ClaudeToken {
  name: string;
  secret: string;
}

/** Dollars that may be spent; null: no limit. Months are calendar months in UTC. */
export interface Budgets {
  session: number | null;
  repositoryPerMonth: number | null;
  month: number | null;
}

export interface ClaudeLimits {
  plan: Plan;
  /** Tokens or keys that may be used, in the order in which they are listed; at least one. */
  tokens: readonly ClaudeToken[];
  /** Share of a window, 0 to 1, at or below which the cheaper model is taken; 0: never. */
  fallBackAt: number;
  /** Cheaper models by family, taken where little is left of a window. */
  limitFallbacks: Readonly<Record<string, string>>;
  /** Models by family, taken by the CLI where Claude's API is overloaded (529). */
  overloadFallbacks: Readonly<Record<string, string>>;
  /** A request that has no answer after this long is given up, and repeated by the CLI. In ms. */
  answerMs: number;
  /** A streamed answer that pauses this long is broken off, and asked for again by the CLI. In ms. */
  stallMs: number;
  budgets: Budgets;
  /** Dollars a calendar month (UTC) that a subscription may cost beyond the plan, as usage credits; 0: nothing. */
  overageUsd: number;
  /** Dollars by model, before those known to prices.ts. */
  prices: readonly Price[];
  /** Sessions of a workspace that may be at work at once. */
  sessionsAtOnce: number;
}

/** When the cheaper model is taken, unless CLAUDE_FALLBACK_AT says otherwise. */
const FALL_BACK_AT: Record<Plan, number> = { pro: 0.2, max: 0.2, ultra: 0.5, api: 0 };

const seconds = (usual: number) => z.coerce.number().int().min(1).max(3_600).default(usual);

/**
 * A plain amount: `1e3`, `0x10` or `$5` is more likely a slip than money that somebody means to spend. Empty is null. A number in
 * wrangler.toml comes as one.
 */
function amount(problem: string) {
  return z.coerce
    .string()
    .default('')
    .transform((text) => text.trim())
    .pipe(z.string().regex(/^(?:\d{1,9}(?:\.\d{1,4})?)?$/, `${problem}, such as 20 or 12.50, without a sign or unit`))
    .transform((text) => (text === '' ? null : Number(text)));
}
const dollars = amount('must be an amount of dollars above 0').pipe(
  z.number().positive('must be an amount of dollars above 0; leave it out for no limit').nullable(),
);

const pairPattern = /^[\w.-]+=[\w.-]+$/;
const models = (usual: string) =>
  z
    .string()
    .default(usual)
    .transform((value) => value.split(/[\s,]+/).filter((entry) => entry !== ''))
    .refine((entries) => entries.every((entry) => pairPattern.test(entry)), {
      error: 'must be pairs of models separated by commas, e.g. "opus=sonnet, sonnet=haiku"; or empty for none',
    })
    .transform((entries) => Object.fromEntries(entries.map((entry) => entry.split('=') as [string, string])));

const tokenList = z
  .string()
  .default('')
  .transform((value) => value.split(/[\s,]+/).filter((entry) => entry !== ''))
  .transform((entries, context): ClaudeToken[] => {
    const tokens = entries.map((entry) => {
      const [, name, secret] = /^([\w.-]{1,40})=(.+)$/.exec(entry) ?? [];
      if (name && secret) return { name, secret };
      context.addIssue(
        'must be name=token, several of them separated by commas: work=sk-ant-oat01-…, home=sk-ant-oat01-…',
      );
      return null;
    });
    return tokens.filter((token) => token !== null);
  });

/** Variables that src/config reads along with its own. */
export const claudeLimitVariables = {
  CLAUDE_PLAN: z
    .string()
    .trim()
    .toLowerCase()
    .transform((name) => ownValue(FORMER_NAMES, name) ?? name)
    .pipe(
      z.enum(
        ['', 'pro', 'max', 'ultra', 'api'],
        'must be pro, max, ultra or api (5x and 20x are read as max and ultra)',
      ),
    )
    .default(''),
  CLAUDE_OVERAGE_USD: amount('must be an amount of dollars, 0 for none').transform((usd) => usd ?? 0),
  CLAUDE_FALLBACK_AT: amount('must be a percentage from 0 to 100').pipe(
    z.number().max(100, 'must be a percentage from 0 to 100').nullable(),
  ),
  CLAUDE_LIMIT_FALLBACKS: models('opus=sonnet'),
  CLAUDE_OVERLOAD_FALLBACKS: models('opus=sonnet, sonnet=haiku'),
  CLAUDE_CODE_OAUTH_TOKENS: tokenList,
  CLAUDE_ANSWER_SECONDS: seconds(300),
  CLAUDE_STALL_SECONDS: seconds(120),
  CLAUDE_BUDGET_SESSION_USD: dollars,
  CLAUDE_BUDGET_REPOSITORY_USD: dollars,
  CLAUDE_BUDGET_MONTH_USD: dollars,
  CLAUDE_PRICES: priceListSchema,
  MAX_SESSIONS_AT_ONCE: z.coerce.number().int().min(1).max(1_000).default(10),
};

type Variables = z.output<z.ZodObject<typeof claudeLimitVariables>>;

/** The name of the token that is alone in CLAUDE_CODE_OAUTH_TOKEN. */
export const USUAL_TOKEN = 'default';

/**
 * The tokens of a subscription's pool: the one by itself first.
 * @param problems is given a line for each thing that is wrong
 */
export function subscriptionTokens(
  variables: Pick<Variables, 'CLAUDE_CODE_OAUTH_TOKENS'> & { CLAUDE_CODE_OAUTH_TOKEN: string | null },
  problems: string[],
): ClaudeToken[] {
  const { CLAUDE_CODE_OAUTH_TOKEN: single, CLAUDE_CODE_OAUTH_TOKENS: list } = variables;
  const tokens = [...(single ? [{ name: USUAL_TOKEN, secret: single }] : []), ...list];
  for (const [index, token] of tokens.entries()) {
    const before = tokens.slice(0, index);
    if (before.some(({ name }) => name === token.name)) {
      problems.push(
        `CLAUDE_CODE_OAUTH_TOKENS: the name ${token.name} is given twice${token.name === USUAL_TOKEN ? ' (CLAUDE_CODE_OAUTH_TOKEN has it)' : ''}`,
      );
    } else if (before.some(({ secret }) => secret === token.secret)) {
      problems.push(`CLAUDE_CODE_OAUTH_TOKENS: ${token.name} is the same token as another one`);
    }
  }
  return tokens;
}

/**
 * What the variables mean.
 * @param mode how Claude is paid for; with an API key the plan is always `api`
 * @param tokens at least one
 */
export function readClaudeLimits(
  variables: Variables,
  mode: 'subscription' | 'api-key',
  tokens: readonly ClaudeToken[],
): ClaudeLimits {
  const plan = mode === 'api-key' ? 'api' : variables.CLAUDE_PLAN || 'max';
  const given = variables.CLAUDE_FALLBACK_AT;
  return {
    plan,
    tokens,
    fallBackAt: given === null ? FALL_BACK_AT[plan] : given / 100,
    limitFallbacks: variables.CLAUDE_LIMIT_FALLBACKS,
    overloadFallbacks: variables.CLAUDE_OVERLOAD_FALLBACKS,
    answerMs: variables.CLAUDE_ANSWER_SECONDS * 1000,
    stallMs: variables.CLAUDE_STALL_SECONDS * 1000,
    budgets: {
      session: variables.CLAUDE_BUDGET_SESSION_USD,
      repositoryPerMonth: variables.CLAUDE_BUDGET_REPOSITORY_USD,
      month: variables.CLAUDE_BUDGET_MONTH_USD,
    },
    overageUsd: variables.CLAUDE_OVERAGE_USD,
    prices: variables.CLAUDE_PRICES,
    sessionsAtOnce: variables.MAX_SESSIONS_AT_ONCE,
  };
}
