import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { makeSecret, signedHeaders } from '../../src/outgoing-webhooks/sign.ts';
import { problemOfWebhookUrl, webhookInputSchema } from '../../src/protocol/v1/webhooks.ts';
import type { WebhookNews } from '../../src/session/lifecycle/model/effects.ts';
import { atWork, call, init, permission, question, result, SessionPlay, saved, text } from './support/session-play.ts';

describe('the address of a webhook', () => {
  const problem = (url: string, isLocal = false) =>
    problemOfWebhookUrl(webhookInputSchema.shape.url.parse(url), 'cyrus.acme.dev', isLocal);

  it.each(['https://hooks.acme.dev/cyrus?team=1', 'https://HOOKS.acme.dev', 'https://hooks.acme.dev:8443/in'])(
    '%s is taken',
    (url) => expect(problem(url)).toBeNull(),
  );

  it.each([
    ['http://hooks.acme.dev/', 'must be https'],
    ['https://ada:pass@hooks.acme.dev/', 'no password'],
    ['https://127.0.0.1/', 'IP address'],
    ['https://10.1.2.3/', 'IP address'],
    ['https://169.254.169.254/latest/meta-data', 'IP address'],
    ['https://2130706433/', 'IP address'],
    ['https://0x7f.1/', 'IP address'],
    ['https://0177.0.0.1/', 'IP address'],
    ['https://127.0.0.1./', 'IP address'],
    ['https://\uff11\uff12\uff17.0.0.1/', 'IP address'],
    ['https://[::1]/', 'IP address'],
    ['https://[::ffff:10.0.0.1]/', 'IP address'],
    ['https://[fd00::1]/', 'IP address'],
    ['https://8.8.8.8/', 'IP address'],
    ['https://localhost/', 'public host'],
    ['https://localhost./', 'public host'],
    ['https://hooks.localhost/', 'public host'],
    ['https://intranet/', 'public host'],
    ['https://metadata.google.internal/', 'public host'],
    ['https://printer.local/', 'public host'],
    ['https://hooks.acme.dev:6379/', 'port'],
    ['https://cyrus.acme.dev/webhooks/linear', 'this deployment'],
    ['https://cyrus.acme.dev./webhooks/linear', 'this deployment'],
  ])('%s is refused: %s', (url, why) => expect(problem(url)).toContain(why));

  it('may be on the same machine if Cyrus runs on a machine of one’s own, and nowhere else inside', () => {
    expect(problem('http://127.0.0.1:8080/in', true)).toBeNull();
    expect(problem('http://10.0.0.1/in', true)).toContain('https');
  });
});

describe('a signature', () => {
  it('is what the specification of Standard Webhooks gives for its example', async () => {
    // The test vector of its libraries (github.com/standard-webhooks/standard-webhooks).
    const message = {
      id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      at: 1_614_265_330_000,
      body: '{"test": 2432232314}',
    };
    const headers = await signedHeaders(['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'], message);
    expect(headers).toEqual({
      'webhook-id': message.id,
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    });
  });

  it('is made with each secret that counts, so that a receiver may know either', async () => {
    const [now, before] = [makeSecret(), makeSecret()];
    const headers = await signedHeaders([now, before], { id: 'msg_1', at: 5_000, body: '{}' });
    const expected = [now, before].map((secret) => {
      const key = Buffer.from(secret.replace('whsec_', ''), 'base64');
      expect(key).toHaveLength(32);
      return `v1,${createHmac('sha256', key).update('msg_1.5.{}').digest('base64')}`;
    });
    expect(headers['webhook-signature']).toBe(expected.join(' '));
  });
});

/** What webhooks were told, in their order. */
function told(play: SessionPlay): WebhookNews[] {
  return play.effects.flatMap((effect) => (effect.kind === 'tell-webhooks' ? [effect.news] : []));
}

describe('webhooks are told', () => {
  it('once that a session has finished, when nothing more is asked of it', () => {
    const play = atWork();
    play.report(result('Done.', ['p1']));
    expect(told(play)).toEqual([]);
    play.report(saved(1));
    expect(told(play)).toEqual([{ type: 'session.finished', outcome: 'completed' }]);
  });

  it('nothing of a turn after which the next request is worked on', () => {
    const play = atWork();
    play.report(result('Done.', ['p1']));
    play.prompt('p2');
    play.report(saved(1));
    expect(play.state.phase.name).not.toBe('waiting');
    expect(told(play)).toEqual([]);
  });

  it('once that a question waits for an answer, and that a permission does', () => {
    const play = atWork();
    play.report(question('q1'));
    play.report(text('Meanwhile.'));
    expect(told(play)).toEqual([{ type: 'session.needs_you', reason: 'question' }]);
    const other = atWork();
    other.report(permission('r1'));
    expect(told(other)).toEqual([{ type: 'session.needs_you', reason: 'permission' }]);
  });

  it('that a stopped session has finished as that', () => {
    const play = atWork();
    play.stop();
    play.report(saved(1));
    expect(told(play)).toEqual([{ type: 'session.finished', outcome: 'stopped' }]);
  });

  it('that a session which failed needs somebody', () => {
    const play = new SessionPlay();
    play.prompt('p1');
    const effect = { kind: 'start-sandbox', generation: 1 } as const;
    play.play({ type: 'effect-failed', effect, attempts: 1, error: 'no sandbox', hint: null });
    expect(told(play)).toEqual([
      { type: 'session.finished', outcome: 'failed' },
      { type: 'session.needs_you', reason: 'failure' },
    ]);
  });

  it('by ids that differ, and that name nothing but the session and its revision', () => {
    const play = atWork();
    play.report(call('c1'), result('Done.', ['p1']));
    play.report(saved(1));
    play.prompt('p2');
    play.started();
    play.report(init, result('Done again.', ['p2']));
    play.report(saved(2));
    const ids = play.effects.flatMap((effect) => (effect.kind === 'tell-webhooks' ? [effect.id] : []));
    expect(new Set(ids).size).toBe(2);
    for (const id of ids) expect(id).toMatch(/^msg_session_\d+_f$/);
  });
});
