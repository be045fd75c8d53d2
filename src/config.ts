/**
 * The Worker's variables and secrets, checked once and turned into one typed Config. A wrong value names itself and
 * says what to do; nothing runs on a half-right configuration.
 */

import * as z from 'zod';
import { type ClaudeAllowance, readAllowance } from './claude-quota/api-allow-list.ts';
import {
  type ClaudeLimits,
  type ClaudeToken,
  claudeLimitVariables,
  readClaudeLimits,
  subscriptionTokens,
} from './claude-quota/claude-settings.ts';
import { withoutEnding } from './lib/linear-time.ts';
import { isLoopback } from './lib/loopback.ts';
import { type ClaudeCredential, claudeCredentialSchema } from './protocol/sandbox.ts';
import { type Retention, readRetention, retentionVariables } from './protocol/settings/retention.ts';
import { readSignIn, type SignIn, signInVariables } from './protocol/settings/sign-in.ts';

const flag = z.enum(['true', 'false']).transform((value) => value === 'true');
const optionalText = z
  .string()
  .optional()
  .transform((value) => (value === undefined || value === '' ? null : value));
const address = z.url({ protocol: /^https?$/, error: 'must be an http(s) address' }).transform(withoutTrailingSlash);
/** A secret that somebody could guess is refused: too short, or made of a few characters again and again. */
const secret = (least: number) =>
  z
    .string()
    .min(least, `must have at least ${least} characters: openssl rand -base64 32`)
    .refine((value) => isVaried(value, MIN_DISTINCT_CHARACTERS), {
      error: 'repeats a few characters, so it can be guessed: make one with openssl rand -base64 32',
    });
const MIN_DISTINCT_CHARACTERS = 6;
const MIN_DISTINCT_KEY_BYTES = 12;

const key = () =>
  z
    .string()
    .refine(isKey, { error: 'must be 32 random bytes in base64: openssl rand -base64 32', abort: true })
    .refine((value) => isVaried(atob(value), MIN_DISTINCT_KEY_BYTES), {
      error: 'repeats a few bytes, so it is not random: openssl rand -base64 32',
    });
/** An address or, without a path, a whole origin; `*` in the host stands for one label or a part of one. */
const callbackPattern = /^https?:\/\/[\w.*-]+(:\d+)?(\/[^\s?#*]*)?$/;
const callbackList = z
  .string()
  .default('')
  .transform((value) => value.split(/[\s,]+/).filter((entry) => entry !== ''))
  .refine((entries) => entries.every(isCallbackPattern), {
    error:
      'must be addresses separated by commas, https except on a loopback host; a * may replace one label of the host, except the last two: https://*.cyrus.example.workers.dev',
  });

const variablesSchema = z.object({
  ENVIRONMENT: z.enum(['production', 'local']),
  PUBLIC_URL: z.union([z.literal('').transform(() => null), address]),
  CLAUDE_CREDENTIAL: claudeCredentialSchema,
  CLAUDE_MODEL: z.string().min(1),
  SANDBOX: z.enum(['container', 'endpoint']),
  SANDBOX_ENDPOINT_URL: z.union([z.literal('').transform(() => null), address]),
  LINEAR_API_URL: address,
  LINEAR_UPLOADS_URL: address.default('https://uploads.linear.app'),
  LINEAR_MCP_URL: address.default('https://mcp.linear.app/mcp'),
  LINEAR_AUTHORIZE_URL: address.default('https://linear.app/oauth/authorize'),
  LINEAR_TOKEN_URL: address.default('https://api.linear.app/oauth/token'),
  LINEAR_REVOKE_URL: address.default('https://api.linear.app/oauth/revoke'),
  LINEAR_CLIENT_ID: optionalText,
  LINEAR_CLIENT_SECRET: optionalText,
  LINEAR_CLIENT_CREDENTIALS: flag.default(false),
  OAUTH_CALLBACK_ALLOW: callbackList,
  ANTHROPIC_API_URL: address,
  CLAUDE_API_ALLOW: z
    .string()
    .default('')
    .transform((value, context) => {
      const allowance = readAllowance(value);
      if (allowance) return allowance;
      context.addIssue(
        'must be entries like "beta:some-beta-2026-01-01, key:some_field, tool:some_tool, model:some-model"',
      );
      return z.NEVER;
    }),
  GITHUB_API_URL: address.default('https://api.github.com'),
  GITHUB_APP_ID: optionalText,
  COMMIT_AUTHOR: z
    .string()
    .default('')
    .transform(
      (value) => /^([^<>]+)<([^<>\s@]+@[^<>\s@]+)>$/.exec(value.trim()) ?? (value.trim() === '' ? null : false),
    )
    .refine((value) => value !== false, { error: 'must be a name and an address, as in: Cyrus <cyrus@acme.example>' })
    .transform((value) => (value ? { name: value[1]?.trim() ?? '', email: value[2] ?? '' } : null)),
  GITHUB_APP_PRIVATE_KEY: optionalText,
  WEBHOOK_MAX_AGE_HOURS: z.coerce.number().positive().max(48),
  /** What a session may store in an hour, in MiB: patches, checkpoints, caches, shared files; its journal an eighth of that. */
  SESSION_MIB_AN_HOUR: z.coerce.number().int().min(8).max(1_000_000).default(4_096),
  SCRIPTED_MODEL: flag,
  PAUSED: flag,
  LINEAR_WEBHOOK_SECRET: secret(16),
  ENCRYPTION_KEY: key(),
  /** Takes the place of ENCRYPTION_KEY, which is read as the old one: a rotation by somebody who does not have the present key. */
  ENCRYPTION_KEY_NEXT: z.union([z.literal('').transform(() => null), key()]).default(null),
  ENCRYPTION_KEY_OLD: z.union([z.literal('').transform(() => null), key()]).default(null),
  ADMIN_TOKEN: secret(24),
  ACCESS_PASSWORD: secret(12),
  ...signInVariables,
  SANDBOX_ENDPOINT_SECRET: z.union([z.literal('').transform(() => null), secret(16)]).default(null),
  /** Where alerts go; each is optional. The addresses of Slack and of a dead man's switch are secrets themselves. */
  ALERT_SLACK_URL: z.union([z.literal('').transform(() => null), address]).default(null),
  ALERT_PAGERDUTY_KEY: z.union([z.literal('').transform(() => null), secret(20)]).default(null),
  ALERT_PAGERDUTY_URL: address.default('https://events.pagerduty.com'),
  ALERT_WEBHOOK_URL: z.union([z.literal('').transform(() => null), address]).default(null),
  ALERT_WEBHOOK_SECRET: z.union([z.literal('').transform(() => null), secret(16)]).default(null),
  /** Where traces of turns go, and the headers for it as OpenTelemetry writes them: `name=value,name=value`. */
  OTLP_ENDPOINT: z.union([z.literal('').transform(() => null), address]).default(null),
  OTLP_HEADERS: z
    .string()
    .default('')
    .transform((value, context) => {
      const pairs = value.split(',').filter((pair) => pair.trim() !== '');
      if (pairs.every((pair) => /^\s*[\w-]+=./.test(pair))) {
        return Object.fromEntries(
          pairs.map((pair) => [
            pair.slice(0, pair.indexOf('=')).trim(),
            decoded(pair.slice(pair.indexOf('=') + 1).trim()),
          ]),
        );
      }
      context.addIssue('must be names and values, as in: x-honeycomb-team=KEY,x-other=VALUE');
      return z.NEVER;
    }),
  /** Reads the metrics and nothing else; without it ADMIN_TOKEN does. */
  METRICS_TOKEN: z.union([z.literal('').transform(() => null), secret(16)]).default(null),
  HEARTBEAT_URL: z.union([z.literal('').transform(() => null), address]).default(null),
  CLAUDE_CODE_OAUTH_TOKEN: optionalText,
  ANTHROPIC_API_KEY: optionalText,
  ...retentionVariables,
  ...claudeLimitVariables,
});

/** Cyrus as an OAuth application of Linear. Id and secret are null until someone created it, see the page /install. */
export interface LinearApp {
  clientId: string | null;
  clientSecret: string | null;
  authorizeUrl: string;
  tokenUrl: string;
  revokeUrl: string;
  /** Tokens of the one workspace that owns the application are fetched without anybody's consent. */
  clientCredentials: boolean;
  /** Where a browser may be sent after an installation: patterns, see `isAllowedCallback`. */
  callbackAllow: readonly string[];
}

/** How Claude is paid for, with the credential that goes into every request. */
export type ClaudeAccess = { mode: ClaudeCredential; secret: string };

/** Where people are told that something is wrong; null: not there. */
export interface AlertChannels {
  slack: { url: string } | null;
  pagerduty: { url: string; key: string } | null;
  webhook: { url: string; secret: string } | null;
}

export interface Config {
  environment: 'production' | 'local';
  /** Address under which people and sandboxes reach this Worker; null: the address of the request at hand. */
  publicUrl: string | null;
  /** Author of commits, where the deployment sets one. */
  commitAuthor: { name: string; email: string } | null;
  linear: {
    apiUrl: string;
    /** Address under which Linear keeps the files of issues: the only one a workspace's token is shown to but the API. */
    uploadsUrl: string;
    /** Linear's own MCP server, which takes the token as well (linear.app/docs/mcp). */
    mcpUrl: string;
    webhookSecret: string;
    webhookMaxAgeMs: number;
    app: LinearApp;
  };
  /** Bytes that a session may store in an hour. */
  sessionBytesAnHour: number;
  /** How long things are kept. */
  retention: Retention;
  /** `allowance`: what a sandbox may ask of Claude's API beyond what the CLI asks. */
  claude: { apiUrl: string; model: string; access: ClaudeAccess; scripted: boolean; allowance: ClaudeAllowance };
  /** `app`: null where repositories are reached by tokens alone; its private key is PEM. */
  github: { apiUrl: string; app: { id: string; privateKey: string } | null };
  /** How much Claude may be used, and by which tokens. */
  limits: ClaudeLimits;
  sandbox: { kind: 'container' } | { kind: 'endpoint'; url: string; secret: string };
  /** 32 bytes, base64; keys for single purposes are derived from it. */
  encryptionKey: string;
  /** The key before: what was encrypted with it is still read. Null: there is none. */
  oldEncryptionKey: string | null;
  /** Where traces of turns go; null: nowhere. */
  otlp: { url: string; headers: Record<string, string> } | null;
  adminToken: string;
  metricsToken: string | null;
  accessPassword: string;
  /** `heartbeatUrl`: is asked while everything is as it should be; what hears nothing from it tells people. */
  alerts: AlertChannels & { heartbeatUrl: string | null };
  /** How people sign in to the pages. */
  signIn: SignIn;
  /** Who sees and may do everything: Linear ids of people or, with Cloudflare Access, emails; in small letters. */
  owners: readonly string[];
  /** Variables that are set and change nothing, each as a sentence for the operator. */
  ignored: readonly string[];
  /** No turn begins; what runs is finished, and people are answered. */
  paused: boolean;
}

/** The configuration is wrong. `problems` has one line for each wrong value, naming it. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: string[];
  constructor(problems: string[]) {
    super(`Cyrus is not configured: ${problems.join('; ')}`);
    this.problems = problems;
  }
}

const known = new WeakMap<object, Config>();

/**
 * Reads the configuration, once for each set of bindings.
 * @param env the Worker's bindings; only variables and secrets are read
 * @throws ConfigError naming every wrong value at once
 */
export function readConfig(env: object): Config {
  const config = known.get(env) ?? checkConfig(env);
  known.set(env, config);
  return config;
}

/**
 * The configuration with other values in the place of some variables.
 * @param values by the variables' names
 * @throws ConfigError naming every wrong value at once
 */
export function configWith(env: object, values: Readonly<Record<string, string>>): Config {
  const own = Object.entries(values).map(([name, value]) => [name, { value, enumerable: true }] as const);
  return checkConfig(Object.create(env, Object.fromEntries(own)));
}

function checkConfig(env: object): Config {
  const parsed = variablesSchema.safeParse(env);
  if (!parsed.success) {
    throw new ConfigError(
      parsed.error.issues.map((issue) => {
        const name = issue.path.join('.');
        return name in env ? `${name}: ${issue.message}` : `${name} is not set`;
      }),
    );
  }
  const variables = parsed.data;
  const problems: string[] = [];
  const access = claudeAccess(variables, problems);
  const sandbox = sandboxChoice(variables, problems);
  const app = gitHubApp(variables, problems);
  const signIn = readSignIn(variables, problems);
  problems.push(...unsafeAddresses(variables));
  const alerts = alertChannels(variables, problems);
  const keys = encryptionKeys(variables, problems);
  if (!access || !sandbox || !signIn || app === undefined || problems.length > 0) throw new ConfigError(problems);
  return {
    environment: variables.ENVIRONMENT,
    publicUrl: variables.PUBLIC_URL,
    commitAuthor: variables.COMMIT_AUTHOR,
    sessionBytesAnHour: variables.SESSION_MIB_AN_HOUR * 1024 * 1024,
    retention: readRetention(variables),
    linear: {
      apiUrl: variables.LINEAR_API_URL,
      uploadsUrl: variables.LINEAR_UPLOADS_URL,
      mcpUrl: variables.LINEAR_MCP_URL,
      webhookSecret: variables.LINEAR_WEBHOOK_SECRET,
      webhookMaxAgeMs: variables.WEBHOOK_MAX_AGE_HOURS * 3_600_000,
      app: {
        clientId: variables.LINEAR_CLIENT_ID,
        clientSecret: variables.LINEAR_CLIENT_SECRET,
        authorizeUrl: variables.LINEAR_AUTHORIZE_URL,
        tokenUrl: variables.LINEAR_TOKEN_URL,
        revokeUrl: variables.LINEAR_REVOKE_URL,
        clientCredentials: variables.LINEAR_CLIENT_CREDENTIALS,
        callbackAllow: variables.OAUTH_CALLBACK_ALLOW,
      },
    },
    claude: {
      apiUrl: variables.ANTHROPIC_API_URL,
      model: variables.CLAUDE_MODEL,
      access: { mode: access.mode, secret: access.secret },
      scripted: variables.SCRIPTED_MODEL,
      allowance: variables.CLAUDE_API_ALLOW,
    },
    github: { apiUrl: variables.GITHUB_API_URL, app },
    limits: readClaudeLimits(variables, access.mode, access.tokens),
    sandbox,
    ...keys,
    alerts,
    ignored: ignoredVariables(variables, access.mode),
    otlp: variables.OTLP_ENDPOINT === null ? null : { url: variables.OTLP_ENDPOINT, headers: variables.OTLP_HEADERS },
    adminToken: variables.ADMIN_TOKEN,
    metricsToken: variables.METRICS_TOKEN,
    accessPassword: variables.ACCESS_PASSWORD,
    signIn,
    owners: variables.OWNERS,
    paused: variables.PAUSED,
  };
}

type Variables = z.infer<typeof variablesSchema>;

/** The key for what is written, and the one that what was written before is read with. */
function encryptionKeys(
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
function ignoredVariables(variables: Variables, mode: ClaudeCredential): string[] {
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
function claudeAccess(
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
function gitHubApp(variables: Variables, problems: string[]): Config['github']['app'] | undefined {
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

function sandboxChoice(variables: Variables, problems: string[]): Config['sandbox'] | null {
  if (variables.SANDBOX === 'container') return { kind: 'container' };
  const { SANDBOX_ENDPOINT_URL: url, SANDBOX_ENDPOINT_SECRET: endpointSecret } = variables;
  if (!url) problems.push('SANDBOX is "endpoint" but SANDBOX_ENDPOINT_URL is not set');
  if (!endpointSecret) problems.push('SANDBOX is "endpoint" but SANDBOX_ENDPOINT_SECRET is not set');
  if (!url || !endpointSecret) return null;
  return { kind: 'endpoint', url, secret: endpointSecret };
}

function alertChannels(variables: Variables, problems: string[]): Config['alerts'] {
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
] as const;

/** A problem for each address over which a token could be read on its way. */
function unsafeAddresses(variables: Variables): string[] {
  return OUTGOING.filter((name) => {
    const url = variables[name];
    return url?.startsWith('http:') && !isLoopback(new URL(url).hostname);
  }).map((name) => `${name} must be https unless it is a loopback address: credentials travel over it`);
}

function isVaried(value: string, least: number): boolean {
  return new Set(value).size >= least;
}

/** A star in the last two labels would allow addresses of anybody. */
function isCallbackPattern(entry: string): boolean {
  if (!callbackPattern.test(entry)) return false;
  const { protocol, host } = /^(?<protocol>https?:)\/\/(?<host>[^/:]+)/.exec(entry)?.groups ?? {};
  if (protocol === undefined || host === undefined) return false;
  if (host.split('.').slice(-2).join('').includes('*')) return false;
  return protocol === 'https:' || ['localhost', '127.0.0.1'].includes(host);
}

function withoutTrailingSlash(url: string): string {
  return withoutEnding(url, '/');
}

function isKey(value: string): boolean {
  try {
    return atob(value).length === 32;
  } catch {
    return false;
  }
}

/** Values of OpenTelemetry's headers are percent-encoded. */
function decoded(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}
