/** When people are told that something is wrong, and in which words. */
import { describe, expect, it } from 'vitest';
import { type Alert, happened, type KnownAlerts, looked } from '../../src/operations/alerts/alert.ts';
import { alertOf } from '../../src/operations/alerts/from-log.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const refused: Alert = {
  key: 'claude.token_refused:a',
  severity: 'critical',
  words: 'refused',
  remedy: 'store another',
};
const none: KnownAlerts = {};

describe('an event', () => {
  it('is told at once, and what follows within the hour is told together after it', () => {
    const first = happened(none, refused, 0);
    expect(first.notices).toEqual([
      { what: 'raised', key: refused.key, severity: 'critical', words: 'refused', remedy: 'store another', since: 0 },
    ]);
    let known = first.known;
    for (let minute = 1; minute <= 59; minute++) {
      const again = happened(known, refused, minute * MINUTE);
      expect(again.notices).toEqual([]);
      known = again.known;
    }
    expect(looked(known, [], [], 59 * MINUTE).notices).toEqual([]);
    const later = looked(known, [], [], HOUR);
    expect(later.notices).toMatchObject([{ what: 'raised', words: 'refused (59 times)' }]);
    expect(looked(later.known, [], [], 2 * HOUR).notices).toEqual([]);
  });

  it('is at most one an hour a key over a week of a storm, and other keys are told by themselves', () => {
    let known = none;
    let told = 0;
    for (let at = 0; at < 7 * DAY; at += 7 * MINUTE) {
      const step = happened(known, refused, at);
      known = step.known;
      const watched = looked(known, [], [], at + MINUTE);
      known = watched.known;
      told += step.notices.length + watched.notices.length;
    }
    expect(told).toBeLessThanOrEqual(7 * 24 + 1);
    expect(told).toBeGreaterThan(7 * 24 - 24);
    expect(happened(known, { ...refused, key: 'other' }, 7 * DAY).notices).toHaveLength(1);
  });

  it('is over when it does not come again for a day', () => {
    const { known } = happened(none, refused, 0);
    expect(looked(known, [], [], DAY - 1).notices).toEqual([]);
    expect(looked(known, [], [], DAY)).toMatchObject({ known: {}, notices: [{ what: 'resolved', key: refused.key }] });
  });

  it('of which there are ever other keys fills no object', () => {
    let known = none;
    for (let number = 0; number < 500; number++)
      known = happened(known, { ...refused, key: `k${number}` }, number).known;
    expect(Object.keys(known)).toHaveLength(100);
    expect(known).toHaveProperty('k499');
  });
});

describe('a condition', () => {
  it('is told when it begins, once a day while it lasts, and when it is over', () => {
    let known = none;
    const told: [number, string][] = [];
    for (let at = 0; at <= 2 * DAY + HOUR; at += 5 * MINUTE) {
      const step = looked(known, at <= 2 * DAY ? [refused] : [], [], at);
      known = step.known;
      told.push(...step.notices.map(({ what }): [number, string] => [at, what]));
    }
    expect(told).toEqual([
      [0, 'raised'],
      [DAY, 'raised'],
      [2 * DAY, 'raised'],
      [2 * DAY + 5 * MINUTE, 'resolved'],
    ]);
  });

  it('is told again at once when it gets worse', () => {
    const { known } = looked(none, [{ ...refused, severity: 'warning' }], [], 0);
    expect(looked(known, [refused], [], 5 * MINUTE).notices).toMatchObject([{ severity: 'critical' }]);
  });

  it('is not over because it could not be looked at', () => {
    const { known } = looked(none, [refused], [], 0);
    const blind = looked(known, [], ['claude.token_refused'], 5 * MINUTE);
    expect(blind).toEqual({ known, notices: [] });
    expect(looked(known, [], ['queue.wait'], 5 * MINUTE).notices).toMatchObject([{ what: 'resolved' }]);
  });

  it('that people were told of when it happened is not told twice, and they are told when it is over', () => {
    const { known } = happened(none, refused, 0);
    const seen = looked(known, [refused], [], 5 * MINUTE);
    expect(seen.notices).toEqual([]);
    expect(looked(seen.known, [], [], 10 * MINUTE).notices).toMatchObject([{ what: 'resolved' }]);
  });

  it('that does not hold changes nothing, so nothing has to be stored', () => {
    expect(looked(none, [], [], DAY).known).toBe(none);
    const { known } = looked(none, [refused], [], 0);
    expect(looked(known, [refused], [], HOUR).known).toBe(known);
  });
});

describe('a line of the log', () => {
  it('that somebody has to know is told in words, with what to do', () => {
    expect(alertOf('alert.claude.token_refused', { name: 'team', message: 'invalid token' })).toEqual({
      key: 'claude.token_refused:team',
      severity: 'critical',
      words: 'Claude’s API does not take the token "team": invalid token',
      remedy: expect.stringContaining('npx wrangler secret put CLAUDE_CODE_OAUTH_TOKEN'),
    });
    const dead = { issue: 'ENG-7', effect: 'open-pull-request', attempts: 12, reason: 'GitHub refused' };
    expect(alertOf('session.effect.given_up', dead)?.words).toBe(
      'For ENG-7 something was given up after 12 tries: open-pull-request (GitHub refused)',
    );
    expect(alertOf('session.turn.ended', { issue: 'ENG-7', outcome: 'failed', reason: 'no sandbox' })).toMatchObject({
      key: 'session.turn_failed',
      words: 'Work on ENG-7 failed: no sandbox',
    });
  });

  it('that concerns nobody at once is not told', () => {
    expect(alertOf('session.turn.ended', { outcome: 'completed' })).toBeNull();
    expect(alertOf('linear.webhook.accepted', {})).toBeNull();
    // Anybody can cause it; the look at the deployment says so when it lasts.
    expect(alertOf('alert.linear.webhook_signature', { count: 1 })).toBeNull();
    expect(alertOf('constructor', {})).toBeNull();
  });
});
