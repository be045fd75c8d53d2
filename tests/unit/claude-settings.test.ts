import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/config/config.ts';
import { readConfig } from '../../src/config/read-config.ts';
import { valid } from './support/variables.ts';

const limits = (more: object = {}) => readConfig({ ...valid, ...more }).limits;

function problems(more: object): string {
  try {
    limits(more);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.join('\n');
    throw error;
  }
  return '';
}

describe('an API key', () => {
  it('is an error wherever the Worker has it, as a secret or a variable, while a subscription pays', () => {
    const said = problems({ ANTHROPIC_API_KEY: 'sk-ant-api03-of-someone' });
    expect(said).toMatch(/ANTHROPIC_API_KEY is set although CLAUDE_CREDENTIAL is "subscription"/);
    expect(said).not.toContain('sk-ant-api03-of-someone');
  });
});

describe('the plan', () => {
  it('decides when a cheaper model is taken', () => {
    expect(limits()).toMatchObject({ plan: 'max', fallBackAt: 0.2, limitFallbacks: { opus: 'sonnet' } });
    expect(limits({ CLAUDE_PLAN: 'Pro' })).toMatchObject({ plan: 'pro', fallBackAt: 0.2 });
    expect(limits({ CLAUDE_PLAN: 'ultra' })).toMatchObject({ plan: 'ultra', fallBackAt: 0.5 });
    const key = { CLAUDE_CREDENTIAL: 'api-key', CLAUDE_CODE_OAUTH_TOKEN: '', ANTHROPIC_API_KEY: 'k' };
    expect(limits(key)).toMatchObject({ plan: 'api', fallBackAt: 0 });
  });

  it('is known by the names it had before, too', () => {
    expect(limits({ CLAUDE_PLAN: '5x' })).toMatchObject({ plan: 'max', fallBackAt: 0.2 });
    expect(limits({ CLAUDE_PLAN: '20x' })).toMatchObject({ plan: 'ultra', fallBackAt: 0.5 });
  });

  it('costs nothing beyond it unless a sum is set', () => {
    expect(limits().overageUsd).toBe(0);
    expect(limits({ CLAUDE_OVERAGE_USD: '' }).overageUsd).toBe(0);
    expect(limits({ CLAUDE_OVERAGE_USD: '25' }).overageUsd).toBe(25);
    expect(problems({ CLAUDE_OVERAGE_USD: '-1' })).toContain('CLAUDE_OVERAGE_USD');
  });

  it.each(['$5', '5 USD', '1,5', 'ten', '1e3', '0x10', 'Infinity', 'true', '1e400', '٥'])(
    'takes no amount that is not plainly one, and says how one is written: %s',
    (text) => {
      for (const name of ['CLAUDE_OVERAGE_USD', 'CLAUDE_BUDGET_SESSION_USD', 'CLAUDE_BUDGET_MONTH_USD'])
        expect(problems({ [name]: text })).toMatch(new RegExp(`${name}.*such as 20 or 12\\.50`, 's'));
    },
  );

  it('takes an amount that wrangler.toml has as a number', () => {
    const set = { CLAUDE_OVERAGE_USD: 12.5, CLAUDE_FALLBACK_AT: 0, CLAUDE_BUDGET_MONTH_USD: 20 };
    expect(limits(set)).toMatchObject({ overageUsd: 12.5, fallBackAt: 0, budgets: { month: 20 } });
    for (const odd of [-1, 1e21, Number.NaN, null, {}]) {
      expect(problems({ CLAUDE_BUDGET_MONTH_USD: odd })).toContain('CLAUDE_BUDGET_MONTH_USD');
    }
  });

  it('takes spaces around an amount, and nothing but spaces for none', () => {
    expect(limits({ CLAUDE_OVERAGE_USD: ' 12.50 ' }).overageUsd).toBe(12.5);
    expect(limits({ CLAUDE_OVERAGE_USD: ' ' }).overageUsd).toBe(0);
    expect(limits({ CLAUDE_BUDGET_MONTH_USD: ' ' }).budgets.month).toBeNull();
    expect(limits({ CLAUDE_FALLBACK_AT: ' ' }).fallBackAt).toBe(limits().fallBackAt);
    expect(problems({ CLAUDE_BUDGET_MONTH_USD: '0' })).toContain('leave it out for no limit');
  });

  it('gives way to a percentage of one’s own', () => {
    expect(limits({ CLAUDE_FALLBACK_AT: '35' }).fallBackAt).toBe(0.35);
    expect(limits({ CLAUDE_FALLBACK_AT: '0' }).fallBackAt).toBe(0);
    expect(problems({ CLAUDE_FALLBACK_AT: '101' })).toContain('CLAUDE_FALLBACK_AT');
    expect(problems({ CLAUDE_PLAN: 'maximal' })).toContain('CLAUDE_PLAN');
    expect(problems({ CLAUDE_LIMIT_FALLBACKS: 'opus' })).toContain('pairs of models');
  });
});

describe('several tokens', () => {
  it('are named, the one by itself first', () => {
    expect(limits({ CLAUDE_CODE_OAUTH_TOKENS: 'work=token-w, home=token-h' }).tokens.map(({ name }) => name)).toEqual([
      'default',
      'work',
      'home',
    ]);
    const more = { CLAUDE_CODE_OAUTH_TOKEN: '', CLAUDE_CODE_OAUTH_TOKENS: 'work=token=with=signs' };
    expect(limits(more).tokens).toEqual([{ name: 'work', secret: 'token=with=signs' }]);
    expect(readConfig({ ...valid, ...more }).claude.access).toEqual({
      mode: 'subscription',
      secret: 'token=with=signs',
    });
  });

  it.each([
    ['a-token-without-a-name', 'must be name=token'],
    ['work=a, work=b', 'work is given twice'],
    ['default=a', 'CLAUDE_CODE_OAUTH_TOKEN has it'],
    ['work=sk-ant-oat-1', 'work is the same token'],
  ])('given as %j are refused, without being shown', (list, why) => {
    const said = problems({ CLAUDE_CODE_OAUTH_TOKENS: list });
    expect(said).toContain(why);
    expect(said).not.toContain('sk-ant-oat-1');
  });
});

describe('budgets and prices', () => {
  it('are dollars, or none', () => {
    expect(limits().budgets).toEqual({ session: null, repositoryPerMonth: null, month: null });
    expect(limits({ CLAUDE_BUDGET_SESSION_USD: '2.5', CLAUDE_BUDGET_MONTH_USD: '' }).budgets).toEqual({
      session: 2.5,
      repositoryPerMonth: null,
      month: null,
    });
    expect(problems({ CLAUDE_BUDGET_MONTH_USD: '-1' })).toContain('CLAUDE_BUDGET_MONTH_USD');
  });

  it('of an admin’s own derive what the cache costs', () => {
    expect(limits({ CLAUDE_PRICES: '{"opus": {"input": 4, "output": 20}}' }).prices).toEqual([
      { model: 'opus', input: 4, output: 20, cacheRead: 0.4, cacheCreation: 5 },
    ]);
    expect(problems({ CLAUDE_PRICES: 'opus: 4' })).toContain('must be JSON');
  });
});
