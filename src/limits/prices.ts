/**
 * What use of Claude costs, by list prices: an estimate for budgets and reports, no bill. Dollars for a million tokens
 * (https://docs.claude.com/en/docs/about-claude/pricing); CLAUDE_PRICES overrides them.
 */
import { z } from 'zod';

/** Tokens that were used. */
export interface TokenCounts {
  inputTokens: number;
  outputTokens: number;
  cacheReadTokens: number;
  cacheCreationTokens: number;
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

/** The most telling name first. */
const LIST_PRICES: readonly Price[] = [
  completed('opus', { input: 5, output: 25 }),
  completed('fable', { input: 10, output: 50 }),
  completed('sonnet-5', { input: 2, output: 10 }),
  completed('sonnet', { input: 3, output: 15 }),
  completed('haiku', { input: 1, output: 5 }),
];

/** A model that no list knows is taken for the dearest: a budget is rather kept too well. */
const UNKNOWN = completed('', { input: 15, output: 75 });

/** Dollars for a million tokens of a model. @param own prices that go before the usual ones */
export function priceOf(model: string, own: readonly Price[]): Price {
  return [...own, ...LIST_PRICES].find((price) => isOf(price.model, model)) ?? UNKNOWN;
}

/** A version's price is not the next one's: `sonnet-5` is the name of `claude-sonnet-5-20260930`, not of `claude-sonnet-5-5`. */
function isOf(name: string, model: string): boolean {
  const at = model.indexOf(name);
  return at >= 0 && !(/\d$/.test(name) && /^[-.]\d{1,2}(?!\d)/.test(model.slice(at + name.length)));
}

/** What a use costs, in dollars. */
export function costOf(usage: TokenCounts, model: string, own: readonly Price[]): number {
  const price = priceOf(model, own);
  const millionths =
    usage.inputTokens * price.input +
    usage.outputTokens * price.output +
    usage.cacheReadTokens * price.cacheRead +
    usage.cacheCreationTokens * price.cacheCreation;
  return millionths / 1_000_000;
}

/** Tokens of an answer whose length is not known yet. */
const EXPECTED_ANSWER = 2_000;
const BYTES_A_TOKEN = 4;

/**
 * What a request may cost before its answer is there, in dollars: all of it read anew, and an answer of a usual length.
 * @param bytes length of its body; null: not said
 */
export function expectedCost(bytes: number | null, model: string, own: readonly Price[]): number {
  const price = priceOf(model, own);
  return (((bytes ?? 0) / BYTES_A_TOKEN) * price.cacheCreation + EXPECTED_ANSWER * price.output) / 1_000_000;
}
