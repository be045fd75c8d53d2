/** ACCESS_PASSWORD in a request, as HTTP basic authentication. */
import { auth as basicAuth } from 'hono/utils/basic-auth';
import { timingSafeEqual } from 'hono/utils/buffer';
import type { Config } from '../../config/config.ts';
import { log } from '../../observability/log.ts';
import type { ApiError } from '../../protocol/api.ts';
import type { PeopleContext } from './needs.ts';
import { isPublicTooOften, tooOften } from './request-limit.ts';
import { isTooOften, noteRefused, RETRY_AFTER, TOO_MANY } from './sign-in-limit.ts';

/** @returns null: the password is right; otherwise the refusal, which has a browser ask for it */
export async function hasPassword(c: PeopleContext, config: Config): Promise<Response | null> {
  const password = basicAuth(c.req.raw)?.password;
  if (password !== undefined) {
    // Before it is compared: a right one at the end of many wrong ones was guessed.
    if (await isTooOften(c)) return c.json(TOO_MANY, 429, RETRY_AFTER);
    if (await timingSafeEqual(password, config.accessPassword)) return null;
    if (await isPublicTooOften(c, config, 'password')) return tooOften(c, 60);
    log('access.password.refused', { path: c.req.path });
    await noteRefused(c, 'password');
  }
  const message = 'Sign in with any user name and the ACCESS_PASSWORD of this deployment.';
  return c.json({ error: 'unauthorized', message } satisfies ApiError, 401, {
    'www-authenticate': 'Basic realm="Cyrus", charset="UTF-8"',
  });
}
