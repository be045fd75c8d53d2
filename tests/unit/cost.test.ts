/** What a deployment is said to cost. */
import { describe, expect, it } from 'vitest';
import { costOf, type Usage } from '../../dev/operate/cost.ts';

const usual: Usage = { issues: 100, minutes: 20, instance: 'standard', watched: 0.25, keptMonths: 12, claudeUsd: 2 };

describe('what a month costs', () => {
  it('is the plan alone if nothing is done', () => {
    const { cloudflareUsd, apiUsd, lines } = costOf({ ...usual, issues: 0 });
    expect(cloudflareUsd).toBe(5);
    expect(apiUsd).toBe(0);
    expect(lines.every(({ used, usd }) => used === 0 && usd === 0)).toBe(true);
  });

  it('counts only what goes beyond what the plan includes', () => {
    // 6 GiB for 25 minutes are 2.5 GiB-hours, and 25 are included.
    const memory = (issues: number) =>
      costOf({ ...usual, issues }).lines.find(({ what }) => what === 'container memory');
    expect(memory(10)).toMatchObject({ used: 90_000, usd: 0 });
    expect(memory(110)?.usd).toBeCloseTo(100 * 9_000 * 0.0000025);
  });

  it('grows by what one more issue costs, once everything included is used up', () => {
    const huge = 1_000_000_000;
    const more =
      costOf({ ...usual, issues: huge + 1_000 }).cloudflareUsd - costOf({ ...usual, issues: huge }).cloudflareUsd;
    expect(more / 1_000).toBeCloseTo(costOf(usual).marginalUsd, 4);
  });

  it('says which plan would be cheaper than a key', () => {
    const { apiUsd, plans } = costOf({ ...usual, issues: 60 });
    expect(apiUsd).toBe(120);
    expect(plans.map(({ plan, isCheaperThanKey }) => [plan, isCheaperThanKey])).toEqual([
      ['pro', true],
      ['max', true],
      ['ultra', false],
    ]);
  });

  it('is less for a smaller container, for shorter work, and if nobody watches', () => {
    const { marginalUsd } = costOf(usual);
    for (const less of [{ instance: 'small' }, { minutes: 10 }, { watched: 0 }, { keptMonths: 1 }] as const) {
      expect(costOf({ ...usual, ...less }).marginalUsd).toBeLessThan(marginalUsd);
    }
  });
});
