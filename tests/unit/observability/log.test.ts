import { beforeEach, describe, expect, it, vi } from 'vitest';
import { knowIssue, log } from '../../../src/observability/log.ts';
import { redact } from '../../../src/protocol/text/redact.ts';
import { spyOnLog } from '../../support/log-spy.ts';

const logged = spyOnLog();
beforeEach(() => {
  logged.mockClear();
});
const last = () => logged.mock.lastCall?.[0];

describe('the log', () => {
  it('writes one object a call, with the event first', () => {
    log('gateway.git.refused', { status: 403, session: 'abc', missing: undefined });
    expect(logged).toHaveBeenCalledOnce();
    expect(JSON.stringify(last())).toBe('{"event":"gateway.git.refused","level":"info","status":403,"session":"abc"}');
  });

  it('writes by level what happened, what failed for now, and what somebody has to see to, which is an alert if it says so', () => {
    const writers = {
      info: vi.spyOn(console, 'log'),
      warn: vi.spyOn(console, 'warn'),
      error: vi.spyOn(console, 'error'),
    };
    const cases = [
      ['linear.webhook.accepted', 'info'],
      ['queue.notify.failed', 'warn'],
      ['settings.read.failed', 'warn'],
      ['session.effect.given_up', 'error'],
      ['alert.linear.clock_ahead', 'error'],
    ] as const;
    for (const [event, level] of cases) {
      for (const writer of Object.values(writers)) writer.mockClear();
      log(event);
      const isAlert = event.startsWith('alert.');
      expect(last()).toEqual({ event, level, ...(isAlert && { alert: true }) });
      for (const [name, writer] of Object.entries(writers))
        expect(writer).toHaveBeenCalledTimes(name === level ? 1 : 0);
    }
    log('worker.request.failed', { status: 500 });
    expect(last()).toMatchObject({ level: 'error' });
  });

  it.each([
    'cyrus_st_eyJzIjoiYSJ9.c2ln-nature_',
    'sk-ant-oat01-AbC_d-123',
    'sk-ant-api03-AbC_d-123',
    'ghp_0123456789abcdefABCDEF',
    'ghs_0123456789abcdefABCDEF',
    `ghs_1001_eyJhbGciOiJSUzI1NiJ9.${'cGF5bG9hZC1_'.repeat(28)}.${'c2lnbmF0-dXJl_'.repeat(10)}`,
    'github_pat_11ABC_0123',
    'glpat-abc-123.x',
    'lin_api_0123abc',
    'lin_oauth_0123abc',
    'eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl',
  ])('hides %s wherever it is', (secret) => {
    for (const text of [secret, `got ${secret}, then`, `"${secret}"`, `url?x=${secret}&y=1`]) {
      log('test.text.redacted', { note: text, list: [text], error: new Error(text, { cause: new Error(text) }) });
      const written = JSON.stringify(last());
      expect(written).not.toContain(secret);
      expect(written).not.toContain(secret.slice(-8));
    }
  });

  it('hides header values and passwords in addresses', () => {
    expect(redact('Authorization: Bearer abc.def-ghi')).toBe('Authorization: Bearer [redacted]');
    for (const token of [
      'sk-proj-0123456789abcdefghij',
      'xoxb-1234567890-abc',
      'AKIAIOSFODNN7EXAMPLE',
      `npm_${'a1'.repeat(18)}`,
    ])
      expect(redact(`with ${token} in it`)).toBe('with [redacted] in it');
    expect(redact('basic Y3lydXM6cGFzc3dvcmQ=')).toBe('basic [redacted]');
    expect(redact('fetch https://cyrus:hunter2@git.example/x failed')).toBe(
      'fetch https://[redacted]@git.example/x failed',
    );
    expect(redact('see https://git.example/acme/shop, at 12:30 by a@b.example')).toBe(
      'see https://git.example/acme/shop, at 12:30 by a@b.example',
    );
  });

  it('cuts what is long, without cutting a token into something that is not recognised', () => {
    const text = `${'x '.repeat(995)}ghp_0123456789abcdefABCDEF0123456789 ${'y'.repeat(1_000_000)}`;
    const clean = redact(text);
    expect(clean.length).toBeLessThan(2_100);
    expect(clean).not.toContain('ghp_');
  });

  it('tells an error by name, message, a short stack and its causes', () => {
    class OddError extends Error {
      override readonly name = 'OddError';
    }
    log('test.error.told', { error: new OddError('odd', { cause: new Error('deeper') }) });
    expect(last()).toMatchObject({
      error: { name: 'OddError', message: 'odd', cause: { name: 'Error', message: 'deeper' } },
    });
    const { stack } = (last() as { error: { stack: string } }).error;
    expect(stack.split('\n').length).toBeLessThanOrEqual(8);
  });

  it('survives an error that is its own cause', () => {
    const error = new Error('round');
    error.cause = error;
    log('test.error.told', { error });
    expect(logged).toHaveBeenCalledOnce();
  });

  it('refuses fields for secrets and for texts of people, by type and at run time', () => {
    // @ts-expect-error: a field with this name does not type-check
    log('test.field.forbidden', { token: 'hunter2' });
    // @ts-expect-error: nor does this one
    log('test.field.forbidden', { Authorization: undefined, headers: 'hunter2' });
    log('test.field.forbidden', { TOKEN: 'hunter2', Prompt: 'hunter2', AccessToken: 'hunter2' });
    expect(JSON.stringify(logged.mock.calls)).not.toContain('hunter2');
  });

  it('is quick with hostile texts', () => {
    const hostile = ['//'.repeat(50_000), `//${':'.repeat(100_000)}`, 'eyJ'.repeat(50_000), 'Bearer '.repeat(20_000)];
    const before = performance.now();
    for (const text of hostile) redact(text);
    expect(performance.now() - before).toBeLessThan(1_000);
  });
});

it('a line that names a session alone is found by the key of its issue, once that is known', () => {
  const lines = spyOnLog();
  log('gateway.git.refused', { session: 'session-of-eng-12', status: 403 });
  knowIssue('session-of-eng-12', 'ENG-12');
  log('gateway.git.refused', { session: 'session-of-eng-12', status: 403 });
  // Moved to another team: the newest key counts.
  log('session.turn.started', { session: 'session-of-eng-12', issue: 'OPS-3' });
  log('queue.notify.failed', { session: 'session-of-eng-12' });
  log('queue.notify.failed', { session: 'another-session' });
  expect(lines.mock.calls.map(([line]) => line.issue)).toEqual([undefined, 'ENG-12', 'OPS-3', 'OPS-3', undefined]);
});
