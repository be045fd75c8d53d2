import { describe, expect, it } from 'vitest';
import { readConfig } from '../../src/config/read-config.ts';
import { envelopeOf, sentryRequest } from '../../src/operations/errors/sentry-event.ts';
import { valid } from './support/variables.ts';

const source = { id: 'a'.repeat(32), at: 1_700_000_000_500, environment: 'production', release: 'abc123' };
const line = {
  event: 'worker.request.failed',
  level: 'error',
  path: '/api/sessions',
  status: 500,
  session: 's1',
  attempts: 3,
  error: {
    name: 'DatabaseError',
    message: 'D1 does not answer',
    stack: 'at readRow (index.js:120:7)\nat async handle (index.js:12:3)\nat index.js:1:2',
    cause: { name: 'TypeError', message: 'fetch failed', stack: '' },
  },
};

function partsOf(envelope: string) {
  const parts = envelope.split('\n');
  expect(parts.pop()).toBe('');
  return parts.map((part) => JSON.parse(part));
}

describe('an error in Sentry', () => {
  it('is one event in an envelope, with where it happened and its cause before it', () => {
    const [head, item, event] = partsOf(envelopeOf('worker.request.failed', line, source));
    expect(head).toEqual({ event_id: source.id, sent_at: '2023-11-14T22:13:20.500Z' });
    expect(item).toEqual({ type: 'event', content_type: 'application/json' });
    expect(event).toMatchObject({
      event_id: source.id,
      timestamp: 1_700_000_000.5,
      level: 'error',
      environment: 'production',
      release: 'abc123',
      transaction: 'worker.request.failed',
      tags: { event: 'worker.request.failed', path: '/api/sessions', status: '500', session: 's1' },
      extra: { attempts: 3 },
    });
    expect(event.exception.values).toEqual([
      { type: 'TypeError', value: 'fetch failed' },
      {
        type: 'DatabaseError',
        value: 'D1 does not answer',
        stacktrace: {
          frames: [
            { function: '?', filename: 'index.js', lineno: 1, colno: 2, in_app: true },
            { function: 'handle', filename: 'index.js', lineno: 12, colno: 3, in_app: true },
            { function: 'readRow', filename: 'index.js', lineno: 120, colno: 7, in_app: true },
          ],
        },
      },
    ]);
  });

  it('that has no error object is one issue by its name, however its fields differ', () => {
    const alert = { event: 'alert.audit.lost', level: 'error', alert: true, action: 'x'.repeat(5_000), error: 'away' };
    const [, , event] = partsOf(envelopeOf('alert.audit.lost', alert, { ...source, release: '' }));
    expect(event).toMatchObject({ fingerprint: ['alert.audit.lost'], message: { formatted: 'alert.audit.lost' } });
    expect(event.extra.action).toHaveLength(2_000);
    expect(event).not.toHaveProperty('release');
    expect(event).not.toHaveProperty('exception');
  });
});

it('Sentry’s address for a project is read as Sentry shows it, also of a Sentry of one’s own below a path', () => {
  const projectOf = (SENTRY_DSN: string) => readConfig({ ...valid, SENTRY_DSN }).sentry;
  expect(projectOf('')).toBe(null);
  expect(projectOf('https://0123456789abcdef@o1.ingest.de.sentry.io/42')).toEqual({
    url: 'https://o1.ingest.de.sentry.io/api/42/envelope/',
    key: '0123456789abcdef',
  });
  const own = projectOf('https://0123456789abcdef@errors.acme.example:9000/sentry/7');
  expect(own?.url).toBe('https://errors.acme.example:9000/sentry/api/7/envelope/');
  expect(sentryRequest(own ?? { url: '', key: '' }).headers['x-sentry-auth']).toBe(
    'Sentry sentry_version=7, sentry_client=cyrus/1, sentry_key=0123456789abcdef',
  );
  for (const wrong of [
    'o1.ingest.sentry.io/42',
    'https://o1.ingest.sentry.io/42',
    'https://0123456789abcdef@host/shop',
  ]) {
    expect(() => projectOf(wrong)).toThrow(/SENTRY_DSN: must be the DSN that Sentry shows/);
  }
  expect(() => projectOf('http://0123456789abcdef@errors.acme.example/1')).toThrow(/SENTRY_DSN must be https/);
});
