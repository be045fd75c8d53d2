/** What an operator sees of webhooks that are refused, or do not fit. */
import { env, exports } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { spyOnLog } from '../support/log-spy.ts';
import { created, newThread, ORGANIZATION, send } from './support/linear-webhook.ts';
import { Outside } from './support/outside.ts';
import { registerWorkspace } from './support/sessions.ts';

beforeEach(async () => {
  new Outside();
  await registerWorkspace();
});

describe('an operator', () => {
  /** So much time passes. */
  const later = (ms: number) => void vi.useFakeTimers({ now: Date.now() + ms, toFake: ['Date'] });
  afterEach(() => void vi.useRealTimers());
  const operations = () => env.OPERATIONS.getByName('deployment');
  const ask = async (path: string) =>
    exports.default.fetch(`http://cyrus.test${path}`, { headers: { authorization: `Bearer ${env.ADMIN_TOKEN}` } });

  it('is told on /install, by the admin API and in the log that deliveries do not match the secret, until one does', async () => {
    const log = spyOnLog();
    const refused = async () => (await operations().webhooks()).hours.at(-1)?.counts.signature ?? 0;
    // What files before this one sent, and was not reported yet, goes along with the report of this one.
    later(600_000);
    expect((await send(created(newThread()), { signature: 'deadbeef' })).status).toBe(401);
    await vi.waitFor(async () => expect(await refused()).toBeGreaterThan(0));
    const before = await refused();
    for (let count = 0; count < 3; count += 1) {
      later(4_000);
      expect((await send(created(newThread()), { signature: 'deadbeef' })).status).toBe(401);
    }
    later(10_000);
    expect((await send(created(newThread()), { signature: 'deadbeef' })).status).toBe(401);
    await vi.waitFor(async () => expect((await refused()) - before).toBe(4));
    const words = /The last (delivery|\d+ deliveries) had a signature that does not match LINEAR_WEBHOOK_SECRET/;
    expect(await (await ask('/install')).text()).toMatch(words);
    expect(await (await ask('/api/admin/webhooks')).json()).toMatchObject({
      kind: 'bad',
      words: expect.stringMatching(words),
    });
    expect(JSON.stringify(log.mock.calls)).toContain('alert.linear.webhook_signature');
    // Sooner than good deliveries are reported otherwise.
    later(11_000);
    await send(created(newThread()));
    await vi.waitFor(async () => expect((await operations().webhooks()).bad).toBeNull());
    later(11_000);
    expect((await send(created(newThread()), { signature: 'deadbeef' })).status).toBe(401);
    await vi.waitFor(async () => expect((await operations().webhooks()).bad).not.toBeNull());
    later(11_000);
    await send(created(newThread()));
    await vi.waitFor(async () => expect((await operations().webhooks()).bad).toBeNull());
    const page = await (await ask('/install')).text();
    expect(page).not.toMatch(words);
    expect(page).toContain('set, and deliveries match it');
    expect(page).toMatch(/\d+ with a signature that does not match/);
  });

  it('finds misfits and deliveries of a wrong time counted by kind, workspace and hour', async () => {
    await send({ ...created(newThread()), agentSession: { id: null } });
    later(11_000);
    await send({ ...created(newThread()), webhookTimestamp: Date.now() - 48 * 3_600_000 });
    later(11_000);
    await send({ ...created(newThread()), webhookTimestamp: Date.now() + 3_600_000 });
    // What came together with a good one goes along with the next report.
    later(11_000);
    await send(created(newThread()));
    await vi.waitFor(async () =>
      expect((await operations().webhooks()).hours.at(-1)?.counts).toMatchObject({
        [`misfit ${ORGANIZATION}`]: expect.any(Number),
        [`too-old ${ORGANIZATION}`]: expect.any(Number),
        [`clock-ahead ${ORGANIZATION}`]: expect.any(Number),
      }),
    );
  });
});
