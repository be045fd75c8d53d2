import { describe, expect, it } from 'vitest';
import { PRIORITIES, type Priority } from '../../src/linear/api/call.ts';
import {
  type Allowance,
  admit,
  afterHeaders,
  afterRefusal,
  unknownAllowance,
} from '../../src/linear/api/rate-limit.ts';

const NOW = 1_800_000_000_000;
const HOUR = 3_600_000;

function left(part: number, resetAt = NOW + HOUR): Allowance {
  return { ...unknownAllowance, requests: { limit: 5_000, remaining: 5_000 * part, resetAt }, readAt: NOW };
}

/** What becomes of a call of each priority, the most important first. */
function fates(allowance: Allowance, now = NOW): string[] {
  return PRIORITIES.map((priority) => admit(allowance, priority, now)[0].kind);
}

describe('a call to Linear', () => {
  it('goes while there is enough, or nothing is known', () => {
    for (const allowance of [unknownAllowance, left(1), left(0.26)]) {
      expect(fates(allowance)).toEqual(['go', 'go', 'go', 'go']);
    }
  });

  it('is left out below a quarter of the allowance if it is ephemeral', () => {
    expect(fates(left(0.24))).toEqual(['go', 'go', 'go', 'drop']);
  });

  it('that is a thought is spread over the time until the reset below a tenth', () => {
    const [first, after] = admit(left(0.09), 'thought', NOW);
    expect(first).toEqual({ kind: 'go' });
    const [second] = admit(after, 'thought', NOW);
    expect(second.kind).toBe('wait');
    const until = second.kind === 'wait' ? second.until : 0;
    // Half of the 450 that are left, over an hour: every 16 s.
    expect(until - NOW).toBe(16_000);
    expect(admit(after, 'thought', until)[0]).toEqual({ kind: 'go' });
    expect(fates(after)).toEqual(['go', 'go', 'wait', 'drop']);
  });

  it('that is an answer goes even with the last of it, when actions wait as well', () => {
    const [, after] = admit(left(0.01), 'action', NOW);
    expect(fates(after)).toEqual(['go', 'wait', 'wait', 'drop']);
  });

  it('waits for the reset once Linear said RATELIMITED, whatever it is; what is ephemeral is left out', () => {
    const blocked = afterRefusal(left(1), NOW + 5_000, NOW);
    expect(fates(blocked)).toEqual(['wait', 'wait', 'wait', 'drop']);
    expect(admit(blocked, 'answer', NOW)[0]).toEqual({ kind: 'wait', until: NOW + 5_000 });
    expect(fates(blocked, NOW + 5_000)).toEqual(['go', 'go', 'go', 'go']);
    expect(admit(afterRefusal(left(1), null, NOW), 'answer', NOW)[0]).toEqual({ kind: 'wait', until: NOW + 60_000 });
  });

  it('goes again after the reset', () => {
    expect(fates(left(0.01, NOW + 1_000), NOW + 1_001)).toEqual(['go', 'go', 'go', 'go']);
  });

  it('is weighed by the scarcer of requests and complexity', () => {
    const complexity = { limit: 2_000_000, remaining: 300_000, resetAt: NOW + HOUR };
    expect(fates({ ...left(1), complexity })).toEqual(['go', 'go', 'go', 'drop']);
  });
});

describe('the headers of an answer', () => {
  const headers = (remaining: string) =>
    new Headers({
      'X-RateLimit-Requests-Limit': '5000',
      'X-RateLimit-Requests-Remaining': remaining,
      'X-RateLimit-Requests-Reset': String(NOW + HOUR),
    });

  it('say what is left, and of the other kind what was known before stays', () => {
    const complexity = { limit: 2_000_000, remaining: 5, resetAt: NOW + HOUR };
    expect(afterHeaders({ ...unknownAllowance, complexity }, headers('4321'), NOW)).toEqual({
      ...unknownAllowance,
      requests: { limit: 5_000, remaining: 4_321, resetAt: NOW + HOUR },
      complexity,
      readAt: NOW,
    });
  });

  it('change nothing if they are missing or no numbers', () => {
    expect(afterHeaders(left(0.5), new Headers(), NOW)).toEqual(left(0.5));
    expect(afterHeaders(left(0.5), headers('many'), NOW)).toEqual(left(0.5));
    expect(afterHeaders(left(0.5), headers(''), NOW)).toEqual(left(0.5));
  });
});

it('every priority has its place', () => {
  expect(PRIORITIES).toEqual(['answer', 'action', 'thought', 'ephemeral'] satisfies Priority[]);
});
