/**
 * What use of Claude costs, by list prices: an estimate for budgets and reports, no bill. Dollars for a million tokens
 * (https://docs.claude.com/en/docs/about-claude/pricing); CLAUDE_PRICES overrides them.
 */
import * as z from 'zod';

/** Tokens that were used. */
export interface TokenCounts {
  inputTokens: number;
  outputTokens: number;
  cacheReadTokens: number;
  cacheCreationTokens: number;
  /** Those of `cacheCreationTokens` that the cache keeps for an hour. Left out: none. */
  hourCacheTokens?: number;
  /** Searches of the web that Claude's API made. Left out: none. */
  webSearches?: number;
  /** Whether the answer came in fast mode, which costs a multiple. */
  isFast?: boolean;
}

/** Prices of the models whose name contains `model`, in dollars for a million tokens; see `isOf`. */
export interface Price {
  model: string;
  input: number;
  output: number;
  cacheRead: number;
  cacheCreation: number;
}

const amount = z.number().nonnegative();

/** `{"opus": {"input": 5, "output": 25}}`; what the cache costs is derived from the input where it is left out. */
export const priceListSchema = z
  .string()
  .default('')
  .transform((text, context): unknown => {
    if (text.trim() === '') return {};
    try {
      return JSON.parse(text);
    } catch {
      context.addIssue('must be JSON: {"opus": {"input": 5, "output": 25, "cacheRead": 0.5, "cacheCreation": 6.25}}');
      return z.NEVER;
    }
  })
  .pipe(
    z.record(
      z.string().min(1),
      z.object({ input: amount, output: amount, cacheRead: amount.optional(), cacheCreation: amount.optional() }),
    ),
  )
  .transform((list) => Object.entries(list).map(([model, price]) => completed(model, price)));

/** A read from the cache costs a tenth of the input, a write to it a quarter more. */
function completed(
  model: string,
  price: { input: number; output: number; cacheRead?: number | undefined; cacheCreation?: number | undefined },
): Price {
  const { input, output, cacheRead = input / 10, cacheCreation = input * 1.25 } = price;
  return { model, input, output, cacheRead, cacheCreation };
}

/**
 * The most telling name first. A family's own name has the price of its dearest version: what Haiku 5.5 costs depends on how it
 * is used, from $0.10 and $0.50.
 */
const LIST_PRICES: readonly Price[] = [
  completed('opus-5-5', { input: 4, output: 20 }),
  completed('opus', { input: 5, output: 25 }),
  completed('fable', { input: 10, output: 50 }),
  completed('sonnet-5-5', { input: 2, output: 10 }),
  completed('sonnet-5', { input: 2, output: 10 }),
  completed('sonnet', { input: 3, output: 15 }),
  completed('haiku', { input: 1, output: 5 }),
];

/** A model that no list knows is taken for the dearest: a budget is rather kept too well. */
const UNKNOWN = completed('', { input: 15, output: 75 });

/** Dollars for a million tokens of a model. @param own prices that go before the usual ones */
export function priceOf(model: string, own: readonly Price[]): Price {
  return listed(model, own) ?? UNKNOWN;
}

/** Whether a list names the price of this model. */
export function hasPrice(model: string, own: readonly Price[]): boolean {
  return listed(model, own) !== undefined;
}

function listed(model: string, own: readonly Price[]): Price | undefined {
  return [...own, ...LIST_PRICES].find((price) => isOf(price.model, model));
}

/** A version's price is not the next one's: `sonnet-5` is the name of `claude-sonnet-5-20260930`, not of `claude-sonnet-5-5`. */
function isOf(name: string, model: string): boolean {
  const at = model.indexOf(name);
  return at >= 0 && !(/\d$/.test(name) && /^[-.]\d{1,2}(?!\d)/.test(model.slice(at + name.length)));
}

/** An hour in the cache costs twice the input, five minutes one and a quarter. */
const HOUR_OF_CACHE = 2 / 1.25;
/** Dollars for a search of the web ($10 for a thousand). */
const WEB_SEARCH = 0.01;
/** Input of more tokens than this is dearer with some models, the whole of it. Later models have one price up to a million. */
const LONG_CONTEXT = 200_000;
const DEARER_WHEN_LONG = /sonnet-4|opus-4-6/;
/** How many times dearer fast mode is (docs.claude.com/en/docs/build-with-claude/fast-mode). */
const fastFactor = (model: string) => (/opus-5/.test(model) ? 2 : 6);

/** What a use costs, in dollars. */
export function costOf(usage: TokenCounts, model: string, own: readonly Price[]): number {
  const price = priceOf(model, own);
  const { inputTokens, cacheReadTokens, cacheCreationTokens, outputTokens } = usage;
  const hourTokens = Math.min(usage.hourCacheTokens ?? 0, cacheCreationTokens);
  const isLong = inputTokens + cacheReadTokens + cacheCreationTokens > LONG_CONTEXT && DEARER_WHEN_LONG.test(model);
  const read =
    inputTokens * price.input +
    cacheReadTokens * price.cacheRead +
    (cacheCreationTokens - hourTokens + hourTokens * HOUR_OF_CACHE) * price.cacheCreation;
  const written = outputTokens * price.output;
  const millionths = isLong ? read * 2 + written * 1.5 : read + written;
  const factor = usage.isFast ? fastFactor(model) : 1;
  return (millionths * factor) / 1_000_000 + (usage.webSearches ?? 0) * WEB_SEARCH;
}

/** Tokens of an answer whose length is not known yet. */
const EXPECTED_ANSWER = 2_000;
const BYTES_A_TOKEN = 4;

/**
 * What a request may cost before its answer is there, in dollars: all of it read and kept in the cache, and an answer of a
 * usual length.
 * @param bytes length of its body; null: not said
 */
export function expectedCost(bytes: number | null, model: string, own: readonly Price[]): number {
  const price = priceOf(model, own);
  return (((bytes ?? 0) / BYTES_A_TOKEN) * price.cacheCreation + EXPECTED_ANSWER * price.output) / 1_000_000;
}
