import { describe, expect, it } from 'vitest';
import { isGivenUp } from '../../src/kernel/attempt.ts';
import { backoff } from '../../src/lib/backoff.ts';
import { retryPolicy } from '../../src/session/lifecycle/effects/index.ts';
import type { Effect, EffectKind } from '../../src/session/lifecycle/model/effects.ts';

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

  it('find a start that can continue within a minute', () => {
    const policy = retryPolicy(start, 'passing');
    expect(policy && backoff(policy, 1_000, 0.999)).toBeLessThanOrEqual(60_000);
  });

  it('keep an answer for days while somebody has to install the app again', () => {
    expect(lasts(answer, 'unauthorized')).toBeGreaterThan(14 * 24 * HOUR_MS);
  });

  /** How long an outage each kind of effect outlasts at least, in ms. */
  const OUTAGES: Record<EffectKind, number> = {
    say: HOUR_MS,
    show: HOUR_MS,
    'open-thread': HOUR_MS,
    'start-issue': HOUR_MS,
    'look-at-issue': HOUR_MS,
    'start-sandbox': HOUR_MS,
    'prompt-sandbox': HOUR_MS,
    // Claude waits for these: another process is told what people said.
    'answer-sandbox': 30_000,
    'decide-sandbox': 30_000,
    'stop-sandbox': HOUR_MS,
    'purge-sandbox': HOUR_MS,
    'find-room': HOUR_MS,
    'request-slot': HOUR_MS,
    'release-slot': HOUR_MS,
    'open-pull-request': HOUR_MS,
    'look-at-pull-request': HOUR_MS,
    'answer-review': HOUR_MS,
    'attach-pull-request': HOUR_MS,
    'index-session': HOUR_MS,
    'archive-turn': HOUR_MS,
    'tell-webhooks': HOUR_MS,
    'post-webhook': 3 * 24 * HOUR_MS,
  };

  it.each(Object.entries(OUTAGES))('let %s outlast %i ms without the service it asks', (kind, ms) => {
    // It takes half of each wait at least.
    expect(2 * lasts({ kind } as Effect, 'passing')).toBeGreaterThan(ms);
  });

  it('are not made if they cannot succeed', () => {
    expect(isGivenUp(retryPolicy(start, 'unauthorized'), 1)).toBe(true);
    expect(retryPolicy({ kind: 'index-session' }, 'unauthorized')).toBeNull();
  });

  it('have another process take an answer to Claude within a minute', () => {
    const effect: Effect = { kind: 'answer-sandbox', id: 'a', requestId: 'r', input: {} };
    expect(lasts(effect, 'passing') * 2).toBeLessThan(65_000);
  });
});
