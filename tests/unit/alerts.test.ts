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

  it('of which there are ever other keys fills neither an object nor a channel', () => {
    let { known } = looked(none, [{ ...refused, key: 'condition' }], [], 0);
    let told = 0;
    for (let number = 0; number < 500; number++) {
      const step = happened(known, { ...refused, key: `k${number}` }, number);
      known = step.known;
      told += step.notices.length;
    }
    // People are told no more either, and what holds is not forgotten.
    expect(told).toBe(100);
    expect(Object.keys(known)).toHaveLength(101);
    expect(known).toHaveProperty('condition');
    expect(happened(known, { ...refused, key: 'k1' }, HOUR + 1).notices).toHaveLength(1);
    expect(looked(known, [{ ...refused, key: 'condition' }, refused], [], MINUTE).notices).toHaveLength(1);
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

  it('is shown as it is now, without people being told of it again', () => {
    const { known } = looked(none, [refused], [], 0);
    const other: Alert = { ...refused, severity: 'warning', words: 'refused twice' };
    const step = looked(known, [other], [], 5 * MINUTE);
    expect(step.notices).toEqual([]);
    expect(step.known[refused.key]).toMatchObject({ severity: 'warning', words: 'refused twice', toldAt: 0 });
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

  it('that more webhooks come than are let in, or the clocks differ, is one alert for each workspace', () => {
    for (const event of ['alert.linear.webhooks_limited', 'alert.linear.clock_ahead']) {
      expect(alertOf(event, { workspace: 'w1', aheadMs: 1 })).toMatchObject({
        key: `${event.replace('alert.', '')}:w1`,
        severity: 'warning',
        words: expect.stringContaining('w1'),
      });
    }
  });

  it('that somebody from many addresses was refused at signing in is one alert', () => {
    const keys = ['a', 'b'].map((source) => alertOf('alert.sign_in.attempts', { source, refused: 30 })?.key);
    expect(keys).toEqual(['sign_in.attempts', 'sign_in.attempts']);
  });

  it('that something was lost or cannot be read is told', () => {
    expect(alertOf('alert.audit.lost', { action: 'session.stop' })).toMatchObject({
      severity: 'error',
      words: 'The audit log lacks what somebody did: session.stop could not be written',
    });
    expect(
      alertOf('session.storage.unreadable', { session: 's1', issue: 'ENG-7', why: 'a newer version' }),
    ).toMatchObject({
      key: 'session.storage.unreadable:s1',
      words: expect.stringMatching(/^The session of ENG-7 is only shown, .*: a newer version$/),
    });
    expect(alertOf('storage.migration.failed', { error: {} })).toMatchObject({ severity: 'critical' });
    expect(alertOf('alert.access.bypassed', { path: '/' })).toMatchObject({
      severity: 'warning',
      remedy: expect.stringContaining('workers_dev = false'),
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
