/**
 * `POST /api/admin/doctor`: looks at everything that this deployment needs. It has its own guard, because that of the other routes needs
 * a configuration that can be read.
 */
import { Hono } from 'hono';
import { timingSafeEqual } from 'hono/utils/buffer';
import { log } from '../../observability/log.ts';
import { examine } from '../../operations/doctor/doctor.ts';
import { redirectUriOf } from '../install/oauth.ts';
import { servesOthers } from '../middleware/needs.ts';
import { problem } from './request.ts';

/** As in src/config/variables.ts: a shorter one proves nothing. */
const LEAST_TOKEN = 24;

export const doctor = new Hono<{ Bindings: Env }>();

/** `?sandbox=true`: a container is started, and ended. */
doctor.post('/', servesOthers('ADMIN_TOKEN'), async (c) => {
  const { ADMIN_TOKEN: expected } = c.env as Partial<Env>;
  if (expected === undefined || expected.length < LEAST_TOKEN) {
    log('worker.configuration.misfit', { problems: ['ADMIN_TOKEN is not set, or too short'] });
    return c.json(
      problem('not_configured', 'Nobody can be told to be an admin here; the log of the Worker says why.'),
      503,
    );
  }
  const token = /^Bearer +(\S+)$/i.exec(c.req.header('authorization') ?? '')?.[1] ?? '';
  if (!(await timingSafeEqual(token, expected))) {
    log('admin.token.refused', { path: c.req.path });
    const message = 'Send `Authorization: Bearer` with the ADMIN_TOKEN of this deployment.';
    return c.json(problem('unauthorized', message), 401, { 'www-authenticate': 'Bearer realm="Cyrus admin"' });
  }
  const report = await examine(c.env, {
    origin: new URL(c.req.url).origin,
    startsContainer: c.req.query('sandbox') === 'true',
    redirectUri: (config) => redirectUriOf(c, config),
  });
  return c.json(report);
});
