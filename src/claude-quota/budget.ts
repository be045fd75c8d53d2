/** Budgets in dollars: whether the next request may be sent (pure). */
import type { Budgets } from './claude-settings.ts';

/** What has been spent, what is under way included, in dollars. */
export interface Spent {
  session: number;
  repositoryThisMonth: number;
  month: number;
}

/** A budget that is used up. `limit` and `spent` in dollars. */
export interface UsedUp {
  which: 'session' | 'repository' | 'month';
  limit: number;
  spent: number;
}

/**
 * The first budget that the next request would overdraw.
 * @param expected what the request may cost, in dollars
 */
export function usedUpBudget(budgets: Budgets, spent: Spent, expected: number): UsedUp | null {
  const checks = [
    ['session', budgets.session, spent.session],
    ['repository', budgets.repositoryPerMonth, spent.repositoryThisMonth],
    ['month', budgets.month, spent.month],
  ] as const;
  for (const [which, limit, used] of checks) {
    if (limit !== null && used + expected > limit) return { which, limit, spent: used };
  }
  return null;
}

/** True where there is anything to check. */
export function hasBudget({ session, repositoryPerMonth, month }: Budgets): boolean {
  return session !== null || repositoryPerMonth !== null || month !== null;
}

const WORDS = {
  session: ['of this session', 'CLAUDE_BUDGET_SESSION_USD'],
  repository: ['of this repository for the month', 'CLAUDE_BUDGET_REPOSITORY_USD'],
  month: ['for the month', 'CLAUDE_BUDGET_MONTH_USD'],
} as const;

/** How the words of a refusal begin; the turn's end is told by what follows. */
export const BUDGET_MARK = "Cyrus's budget";

/** A model without a price cannot be kept within a budget. */
export function noPriceWords(model: string): string {
  return `${BUDGET_MARK} cannot be kept with the model ${model.slice(0, 80)}, whose price is not known: the request was not sent. An admin can name its price (CLAUDE_PRICES), or choose another model.`;
}

/** What happened, and who can raise it. */
export function budgetWords({ which, limit, spent }: UsedUp): string {
  const [of, variable] = WORDS[which];
  return `${BUDGET_MARK} ${of} is used up: $${spent.toFixed(2)} of $${limit.toFixed(2)} are spent or promised, and the next request was not sent. A Cyrus admin can raise it (${variable}).`;
}
