/**
 * The Worker's variables and secrets, checked once and turned into one typed Config. A wrong value names itself and
 * says what to do; nothing runs on a half-right configuration.
 */
import { readClaudeLimits } from '../claude-quota/claude-settings.ts';
import { readRequestLimits } from '../protocol/settings/request-limits.ts';
import { readRetention } from '../protocol/settings/retention.ts';
import { readSignIn } from '../protocol/settings/sign-in.ts';
import { readStartLimits } from '../protocol/settings/start-limits.ts';
import {
  alertChannels,
  claudeAccess,
  encryptionKeys,
  gitHubApp,
  ignoredVariables,
  sandboxChoice,
  sentryProject,
  unsafeAddresses,
} from './combinations.ts';
import { type Config, ConfigError } from './config.ts';
import { variablesSchema } from './variables.ts';

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
    requestLimits: readRequestLimits(variables),
    startLimits: readStartLimits(variables),
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
    github: {
      apiUrl: variables.GITHUB_API_URL,
      app,
      webhookSecret: variables.GITHUB_WEBHOOK_SECRET,
      gatherMs: variables.REVIEW_GATHER_SECONDS * 1_000,
    },
    limits: readClaudeLimits(variables, access.mode, access.tokens),
    sandbox,
    ...keys,
    alerts,
    ignored: ignoredVariables(variables, access.mode),
    otlp: variables.OTLP_ENDPOINT === null ? null : { url: variables.OTLP_ENDPOINT, headers: variables.OTLP_HEADERS },
    sentry: sentryProject(variables.SENTRY_DSN),
    adminToken: variables.ADMIN_TOKEN,
    metricsToken: variables.METRICS_TOKEN,
    accessPassword: variables.ACCESS_PASSWORD,
    signIn,
    owners: variables.OWNERS,
    paused: variables.PAUSED,
  };
}
