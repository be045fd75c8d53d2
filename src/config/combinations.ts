/**
 * Which variables go together, and what they mean together. Each function adds a sentence to `problems` for what does not fit
 * and then returns null, or what its docstring says; `readConfig` throws them all at once.
 */
import { type ClaudeToken, subscriptionTokens } from '../claude-quota/claude-settings.ts';
import { isLoopback } from '../lib/loopback.ts';
import type { ClaudeCredential } from '../protocol/sandbox/start.ts';
import type { ClaudeAccess, Config, SentryProject } from './config.ts';
import type { Variables } from './variables.ts';

/** The key for what is written, and the one that what was written before is read with. */
export function encryptionKeys(
  { ENCRYPTION_KEY: present, ENCRYPTION_KEY_NEXT: next, ENCRYPTION_KEY_OLD: old }: Variables,
  problems: string[],
): Pick<Config, 'encryptionKey' | 'oldEncryptionKey'> {
  if (next === null) return { encryptionKey: present, oldEncryptionKey: old };
  if (old !== null) {
    problems.push(
      'ENCRYPTION_KEY_NEXT and ENCRYPTION_KEY_OLD are both set: finish one rotation (npm run reencrypt) and delete its secret first',
    );
  }
  return { encryptionKey: next, oldEncryptionKey: present };
}

const BUDGETS = ['CLAUDE_BUDGET_SESSION_USD', 'CLAUDE_BUDGET_REPOSITORY_USD', 'CLAUDE_BUDGET_MONTH_USD'] as const;

/** A limit that somebody believes in and that does not hold is worth a word. */
export function ignoredVariables(variables: Variables, mode: ClaudeCredential): string[] {
  if (mode === 'api-key') return [];
  return BUDGETS.filter((name) => variables[name] !== null).map(
    (name) =>
      `${name} is set and limits nothing: budgets are for an API key, and CLAUDE_CREDENTIAL is "subscription". What a subscription costs beyond its plan is limited by CLAUDE_OVERAGE_USD.`,
  );
}

/** How the two kinds of credentials begin. */
const API_KEY = 'sk-ant-api';
const OAUTH_TOKEN = 'sk-ant-oat';

/** An API key that merely lies around would be charged; in subscription mode its presence is an error. */
export function claudeAccess(
  variables: Variables,
  problems: string[],
): (ClaudeAccess & { tokens: readonly ClaudeToken[] }) | null {
  const { CLAUDE_CREDENTIAL: mode, ANTHROPIC_API_KEY: key } = variables;
  if (mode === 'api-key') {
    if (key?.startsWith(OAUTH_TOKEN)) {
      problems.push(
        'ANTHROPIC_API_KEY holds a token of a subscription (sk-ant-oat…), which Claude’s API does not take as a key: store an API key, or set CLAUDE_CREDENTIAL = "subscription" and store the token as CLAUDE_CODE_OAUTH_TOKEN',
      );
      return null;
    }
    if (key) return { mode, secret: key, tokens: [{ name: 'api-key', secret: key }] };
    problems.push('CLAUDE_CREDENTIAL is "api-key" but ANTHROPIC_API_KEY is not set');
    return null;
  }
  if (key) {
    problems.push(
      'ANTHROPIC_API_KEY is set although CLAUDE_CREDENTIAL is "subscription": remove the Worker secret ANTHROPIC_API_KEY (it could cause API charges), or set CLAUDE_CREDENTIAL = "api-key"',
    );
    return null;
  }
  const tokens = subscriptionTokens(variables, problems);
  for (const { name } of tokens.filter(({ secret: token }) => token.startsWith(API_KEY))) {
    problems.push(
      `The token "${name}" of CLAUDE_CODE_OAUTH_TOKEN or CLAUDE_CODE_OAUTH_TOKENS is an API key (sk-ant-api…), which is charged by use: store what \`claude setup-token\` prints, or set CLAUDE_CREDENTIAL = "api-key" and store the key as ANTHROPIC_API_KEY`,
    );
  }
  if (problems.length > 0) return null;
  const [first] = tokens;
  if (first) return { mode, secret: first.secret, tokens };
  problems.push(
    'CLAUDE_CODE_OAUTH_TOKEN is not set: run `claude setup-token` and store the printed token as this secret',
  );
  return null;
}

/** @returns undefined, with a problem noted, where one half of the app is missing */
export function gitHubApp(variables: Variables, problems: string[]): Config['github']['app'] | undefined {
  const { GITHUB_APP_ID: id, GITHUB_APP_PRIVATE_KEY: privateKey } = variables;
  if (id && privateKey) return { id, privateKey };
  if (!id && !privateKey) return null;
  problems.push(
    id
      ? 'GITHUB_APP_ID is set but GITHUB_APP_PRIVATE_KEY is not: store the app’s .pem file as this secret, or remove the id'
      : 'GITHUB_APP_PRIVATE_KEY is set but GITHUB_APP_ID is not: set it to the number on the app’s settings page, or remove the key',
  );
  return undefined;
}

export function sandboxChoice(variables: Variables, problems: string[]): Config['sandbox'] | null {
  if (variables.SANDBOX === 'container') return { kind: 'container' };
  const { SANDBOX_ENDPOINT_URL: url, SANDBOX_ENDPOINT_SECRET: endpointSecret } = variables;
  if (!url) problems.push('SANDBOX is "endpoint" but SANDBOX_ENDPOINT_URL is not set');
  if (!endpointSecret) problems.push('SANDBOX is "endpoint" but SANDBOX_ENDPOINT_SECRET is not set');
  if (!url || !endpointSecret) return null;
  return { kind: 'endpoint', url, secret: endpointSecret };
}

export function alertChannels(variables: Variables, problems: string[]): Config['alerts'] {
  const { ALERT_SLACK_URL: slack, ALERT_PAGERDUTY_KEY: key, ALERT_PAGERDUTY_URL: pagerDutyUrl } = variables;
  const { ALERT_WEBHOOK_URL: url, ALERT_WEBHOOK_SECRET: webhookSecret, HEARTBEAT_URL: heartbeatUrl } = variables;
  if (url !== null && webhookSecret === null) {
    problems.push('ALERT_WEBHOOK_URL is set but ALERT_WEBHOOK_SECRET is not: what is sent there is signed with it');
  }
  return {
    slack: slack === null ? null : { url: slack },
    pagerduty: key === null ? null : { url: pagerDutyUrl, key },
    webhook: url === null || webhookSecret === null ? null : { url, secret: webhookSecret },
    heartbeatUrl,
  };
}

/** Variables that name where tokens, code or people are sent. */
const OUTGOING = [
  'LINEAR_API_URL',
  'LINEAR_UPLOADS_URL',
  'LINEAR_MCP_URL',
  'LINEAR_AUTHORIZE_URL',
  'LINEAR_TOKEN_URL',
  'LINEAR_REVOKE_URL',
  'ANTHROPIC_API_URL',
  'GITHUB_API_URL',
  'SANDBOX_ENDPOINT_URL',
  'ALERT_SLACK_URL',
  'ALERT_PAGERDUTY_URL',
  'ALERT_WEBHOOK_URL',
  'HEARTBEAT_URL',
  'OTLP_ENDPOINT',
  'SENTRY_DSN',
] as const;

/** @param dsn as the schema lets it pass */
export function sentryProject(dsn: string | null): SentryProject | null {
  if (dsn === null) return null;
  const { protocol, username, host, pathname } = new URL(dsn);
  const [project = '', ...folders] = pathname.split('/').toReversed();
  return { url: `${protocol}//${host}${folders.toReversed().join('/')}/api/${project}/envelope/`, key: username };
}

/** A problem for each address over which a token could be read on its way. */
export function unsafeAddresses(variables: Variables): string[] {
  return OUTGOING.filter((name) => {
    const url = variables[name];
    return url?.startsWith('http:') && !isLoopback(new URL(url).hostname);
  }).map((name) => `${name} must be https unless it is a loopback address: credentials travel over it`);
}
