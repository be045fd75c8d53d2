/** Every variable and secret of the Worker by its name: what it may be, and what it is if nothing is set. */
import * as z from 'zod';
import { readAllowance } from '../claude-quota/api-allow-list.ts';
import { claudeLimitVariables } from '../claude-quota/claude-settings.ts';
import { claudeCredentialSchema } from '../protocol/sandbox/start.ts';
import { requestLimitVariables } from '../protocol/settings/request-limits.ts';
import { retentionVariables } from '../protocol/settings/retention.ts';
import { signInVariables } from '../protocol/settings/sign-in.ts';
import { startLimitVariables } from '../protocol/settings/start-limits.ts';
import { address, callbackList, flag, key, optionalText, secret, sentryDsn } from './values.ts';

export const variablesSchema = z.object({
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
  /** How long what people write in a review is gathered before Claude gets it, in seconds. */
  REVIEW_GATHER_SECONDS: z.coerce.number().int().min(1).max(3_600).default(60),
  /** Signs the webhooks of the GitHub App; without it GitHub is asked now and then instead. */
  GITHUB_WEBHOOK_SECRET: z.union([z.literal('').transform(() => null), secret(16)]).default(null),
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
  /** Where errors go, beside the log. */
  SENTRY_DSN: z.union([z.literal('').transform(() => null), sentryDsn]).default(null),
  CLAUDE_CODE_OAUTH_TOKEN: optionalText,
  ANTHROPIC_API_KEY: optionalText,
  ...retentionVariables,
  ...requestLimitVariables,
  ...startLimitVariables,
  ...claudeLimitVariables,
});

/** The variables and secrets, each checked by itself. */
export type Variables = z.infer<typeof variablesSchema>;

/** Values of OpenTelemetry's headers are percent-encoded. */
function decoded(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}
