/** `/api/admin/alerts`: what somebody should know now, and a test of the ways by which people are told. Mounted by index.ts, behind its guard. */
import { Hono } from 'hono';
import { operationsOf } from '../../operations/operations.ts';
import { type AdminEnv, note, problem } from './request.ts';

export const alerts = new Hono<AdminEnv>();

/** What is open, what waits to be told, and when the deployment was last looked at. */
alerts.get('/alerts', async (c) => c.json(await operationsOf(c.env).alerts()));

/** Sends a test to every channel that is configured. */
alerts.post('/alerts/test', async (c) => {
  const channels = await operationsOf(c.env).tryChannels('an admin');
  if (channels === null) {
    return c.json(problem('too_many', 'A test was sent within the last minute; look there first.'), 429, {
      'retry-after': '60',
    });
  }
  if (channels.length === 0) {
    const message =
      'Nobody is told of alerts: store ALERT_SLACK_URL or ALERT_PAGERDUTY_KEY (npx wrangler secret put NAME), or set ALERT_WEBHOOK_URL; see docs/operating.md.';
    return c.json(problem('not_configured', message), 409);
  }
  await note(c, 'alerts.tested', null, { channels: channels.length });
  return c.json({ channels });
});
