import { describe, expect, it } from 'vitest';
import { faultsOfDay, noted, noWebhooks, verdictOf } from '../../src/operations/webhook-record.ts';

const HOUR = 3_600_000;
const NOON = Date.UTC(2026, 10, 29, 12);
const bad = (count: number) => ({ goodAt: null, faults: [{ kind: 'signature' as const, workspace: null, count }] });

describe('what is known of webhooks', () => {
  it('names how many deliveries in a row did not match the secret, until one does', () => {
    const once = noted(noWebhooks, bad(1), NOON);
    expect(verdictOf(once).words).toMatch(
      /^The last delivery had a signature that does not match LINEAR_WEBHOOK_SECRET/,
    );
    const often = noted(once, bad(39), NOON + 60_000);
    expect(verdictOf(often)).toEqual({
      kind: 'bad',
      words:
        'The last 40 deliveries had a signature that does not match LINEAR_WEBHOOK_SECRET, the last one at 2026-11-29 12:01 UTC',
    });
    const good = noted(often, { goodAt: NOON + 120_000, faults: [] }, NOON + 120_000);
    expect(verdictOf(good).kind).toBe('good');
    expect(faultsOfDay(good, NOON + HOUR)).toBe(
      'Webhooks in the last 24 hours: 40 with a signature that does not match.',
    );
    expect(faultsOfDay(good, NOON + 26 * HOUR)).toBeNull();
  });

  it('a match that came before the last one that did not is no proof', () => {
    const record = noted(noted(noWebhooks, bad(2), NOON), { goodAt: NOON - 1, faults: [] }, NOON + 1);
    expect(verdictOf(record).kind).toBe('bad');
  });

  it('of a report of both, the later delivery tells whether they match, however late it is reported', () => {
    const both = (goodAt: number, badAt: number) => noted(noWebhooks, { ...bad(1), goodAt, badAt }, NOON + HOUR);
    expect(verdictOf(both(NOON + HOUR, NOON)).kind).toBe('good');
    expect(verdictOf(both(NOON, NOON + HOUR)).kind).toBe('bad');
    expect(both(NOON, NOON + 5).bad).toEqual({ count: 1, since: NOON + 5, at: NOON + 5 });
    const late = noted(noWebhooks, { ...bad(1), badAt: NOON }, NOON + HOUR);
    expect(verdictOf(noted(late, { goodAt: NOON + 1, faults: [] }, NOON + HOUR)).kind).toBe('good');
  });

  it('keeps two days, and a bounded number of workspaces an hour', () => {
    let record = noWebhooks;
    for (let hour = 0; hour < 60; hour += 1) {
      const faults = Array.from({ length: 150 }, (_, index) => ({
        kind: 'misfit' as const,
        workspace: `workspace-${index}`,
        count: 1,
      }));
      record = noted(record, { goodAt: null, faults }, NOON + hour * HOUR);
    }
    expect(record.hours).toHaveLength(48);
    const { counts } = record.hours.at(-1) ?? { counts: {} };
    expect(Object.keys(counts)).toHaveLength(101);
    expect(counts).toMatchObject({ misfit: 50, 'misfit workspace-0': 1 });
  });
});
