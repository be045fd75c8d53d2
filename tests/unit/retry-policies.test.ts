import { describe, expect, it } from 'vitest';
import { isGivenUp } from '../../src/kernel/attempt.ts';
import { backoff } from '../../src/lib/backoff.ts';
import { retryPolicy } from '../../src/session/lifecycle/effects/index.ts';
import type { Effect } from '../../src/session/lifecycle/model/effects.ts';

const HOUR_MS = 3_600_000;
const start: Effect = { kind: 'start-sandbox', generation: 1 };
const answer: Effect = {
  kind: 'say',
  agentSessionId: 't',
  id: 'i',
  activity: { content: { type: 'response', body: 'Done.' }, ephemeral: false },
};

/** How long an effect is tried at least before it is given up, in ms. */
function lasts(effect: Effect, cause: 'passing' | 'unauthorized'): number {
  const policy = retryPolicy(effect, cause);
  let waited = 0;
  for (let attempts = 1; policy && !isGivenUp(policy, attempts); attempts += 1) {
    waited += backoff(policy, attempts, 0);
  }
  return waited;
}

describe('retries', () => {
  it('let a start outlast half a day without the database, Linear or the sandbox', () => {
    expect(lasts(start, 'passing')).toBeGreaterThan(12 * HOUR_MS);
    expect(lasts({ kind: 'prompt-sandbox', promptId: 'p', turn: 1 }, 'passing')).toBeGreaterThan(12 * HOUR_MS);
  });

  it('find a start that can go on within a minute', () => {
    const policy = retryPolicy(start, 'passing');
    expect(policy && backoff(policy, 1_000, 0.999)).toBeLessThanOrEqual(60_000);
  });

  it('keep an answer for days while somebody has to install the app again', () => {
    expect(lasts(answer, 'unauthorized')).toBeGreaterThan(14 * 24 * HOUR_MS);
  });

  it('are not made where they cannot succeed', () => {
    expect(isGivenUp(retryPolicy(start, 'unauthorized'), 1)).toBe(true);
    expect(retryPolicy({ kind: 'index-session' }, 'unauthorized')).toBeNull();
  });

  it('have another process take an answer to Claude within a minute', () => {
    const effect: Effect = { kind: 'answer-sandbox', id: 'a', requestId: 'r', input: {} };
    expect(lasts(effect, 'passing') * 2).toBeLessThan(65_000);
  });
});
