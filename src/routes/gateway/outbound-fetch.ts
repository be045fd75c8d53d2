/**
 * Outbound handlers of the containers: every request on port 80 and 443 that is not for the gateway comes here
 * (developers.cloudflare.com/containers/configuration/outbound-traffic). What passes is in the session's egress log.
 */
import { readConfig } from '../../config/read-config.ts';
import { decide, type EgressRules, forwardOut, NOTHING_ALLOWED } from '../../gateway/egress.ts';
import { accountFor } from '../../gateway/egress-account.ts';
import type { Fetch } from '../../gateway/forwarding.ts';
import { guardOf } from '../../gateway/secrets/guarded-secrets.ts';
import { egressObserver } from './egress.ts';

/** A container asks for something before its session is known: nothing is let through. */
export function refuseOutbound(request: Request): Promise<Response> {
  return forwardOut(request, NOTHING_ALLOWED, fetch);
}

/**
 * Answers a request of a container by its session's rules.
 * @param rules as the object that started the container set them
 */
export async function outbound(
  request: Request,
  env: Env,
  rules: EgressRules,
  fetcher: Fetch = fetch,
): Promise<Response> {
  const { hostname, pathname } = new URL(request.url);
  const passage = {
    observer: egressObserver(env, rules.session),
    secrets: await guardOf(env, readConfig(env), rules),
    isForeign: true,
    host: hostname,
    path: pathname,
    notForwarded: decide(request, rules) === 'blocked-method' ? ('refused' as const) : ('blocked' as const),
  };
  return accountFor(request, passage, fetcher, (watched, outgoing) => forwardOut(watched, rules, outgoing));
}
