/** Secrets that are known without asking anybody: what a session has of its own, and what the configuration holds. */
import type { Config } from '../../config/config.ts';
import { tokenMark } from '../token.ts';
import { decoyOf } from './decoy.ts';
import type { Wanted } from './secret-search.ts';

type Keys = Pick<Config, 'encryptionKey' | 'oldEncryptionKey'>;

/** What a session itself has that may not leave it: the parts of its decoy and the mark of its tokens. */
export async function ownSecrets(keys: Keys, sessionId: string): Promise<Wanted[]> {
  const { name, parts } = await decoyOf(keys, sessionId);
  return [
    ...parts.map((text): Wanted => ({ kind: 'decoy', name, text })),
    { kind: 'token', name: 'session token', text: tokenMark(sessionId) },
  ];
}

/** The secrets of the configuration, by the names of their variables. */
export function deploymentSecrets(config: Config): Wanted[] {
  const { linear, sandbox, github, limits, alerts } = config;
  const named: [string, string | null | undefined][] = [
    ['ENCRYPTION_KEY', config.encryptionKey],
    ['ENCRYPTION_KEY_OLD', config.oldEncryptionKey],
    ['ADMIN_TOKEN', config.adminToken],
    ['METRICS_TOKEN', config.metricsToken],
    ['ACCESS_PASSWORD', config.accessPassword],
    // Who knows these addresses may write there.
    ['ALERT_SLACK_URL', alerts.slack?.url],
    ['HEARTBEAT_URL', alerts.heartbeatUrl],
    ['ALERT_PAGERDUTY_KEY', alerts.pagerduty?.key],
    ['ALERT_WEBHOOK_SECRET', alerts.webhook?.secret],
    ...Object.values(config.otlp?.headers ?? {}).map((value): [string, string] => ['OTLP_HEADERS', value]),
    ['SENTRY_DSN', config.sentry?.key],
    ['LINEAR_WEBHOOK_SECRET', linear.webhookSecret],
    ['LINEAR_CLIENT_SECRET', linear.app.clientSecret],
    ['SANDBOX_ENDPOINT_SECRET', sandbox.kind === 'endpoint' ? sandbox.secret : null],
    // A line of it, for its line ends are written in several ways.
    ['GITHUB_APP_PRIVATE_KEY', github.app?.privateKey.split(/\r?\n|\\n/)[2]],
    ['GITHUB_WEBHOOK_SECRET', github.webhookSecret],
    ...limits.tokens.map(({ name, secret }): [string, string] => [`Claude token "${name}"`, secret]),
  ];
  return named.flatMap(([name, text]) => (text ? [{ kind: 'deployment' as const, name, text }] : []));
}
