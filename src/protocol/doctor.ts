/** What `npm run doctor` and the page for admins say of a deployment: one verdict for each thing that was looked at. */
import * as z from 'zod';

/**
 * `good`: as it should be. `warn`: it works, and somebody should look at it. `bad`: something will not work. `skipped`: it could not be
 * looked at, or was not asked for; the words say why.
 */
const verdictSchema = z.enum(['good', 'warn', 'bad', 'skipped']);
export type Verdict = z.infer<typeof verdictSchema>;

export const findingSchema = z.object({
  /** What was looked at, in a word or two: `database`, `git acme/shop`. */
  name: z.string(),
  verdict: verdictSchema,
  /** What was found, a sentence without its full stop. Never a secret. */
  words: z.string(),
  /** What to do about it, a sentence; null: nothing. */
  remedy: z.string().nullable(),
});
export type Finding = z.infer<typeof findingSchema>;

/** What a Worker says of itself. */
export const workerReportSchema = z.object({
  /** The Worker's clock, ms since the epoch. */
  at: z.number(),
  /** The version that runs, as Cloudflare has it; null: it is not told, as in a local run. */
  version: z.object({ id: z.string(), tag: z.string() }).nullable(),
  /** Variables of wrangler.toml as the Worker has them; never a secret. */
  variables: z.record(z.string(), z.string()),
  findings: z.array(findingSchema),
});
export type WorkerReport = z.infer<typeof workerReportSchema>;

export function good(name: string, words: string): Finding {
  return { name, verdict: 'good', words, remedy: null };
}

export function warn(name: string, words: string, remedy: string): Finding {
  return { name, verdict: 'warn', words, remedy };
}

export function bad(name: string, words: string, remedy: string): Finding {
  return { name, verdict: 'bad', words, remedy };
}

export function skipped(name: string, words: string): Finding {
  return { name, verdict: 'skipped', words, remedy: null };
}

/** How many findings have each verdict, as a sentence: `12 good, 1 to look at, 2 that will not work`. */
export function summaryOf(findings: readonly Finding[]): string {
  const count = (verdict: Verdict) => findings.filter((finding) => finding.verdict === verdict).length;
  const parts = [
    `${count('good')} good`,
    count('warn') > 0 && `${count('warn')} to look at`,
    count('bad') > 0 && `${count('bad')} that will not work`,
    count('skipped') > 0 && `${count('skipped')} skipped`,
  ];
  return parts.filter((part) => part !== false).join(', ');
}

/** Secrets of a deployment: no report has their values. */
export const SECRET_NAMES: readonly string[] = [
  ...['LINEAR_WEBHOOK_SECRET', 'LINEAR_CLIENT_ID', 'LINEAR_CLIENT_SECRET'],
  ...['ENCRYPTION_KEY', 'ENCRYPTION_KEY_NEXT', 'ENCRYPTION_KEY_OLD'],
  ...['ADMIN_TOKEN', 'ACCESS_PASSWORD', 'METRICS_TOKEN', 'SANDBOX_ENDPOINT_SECRET', 'GITHUB_APP_PRIVATE_KEY'],
  ...['GITHUB_WEBHOOK_SECRET', 'CLAUDE_CODE_OAUTH_TOKEN', 'CLAUDE_CODE_OAUTH_TOKENS', 'ANTHROPIC_API_KEY'],
  ...['ALERT_SLACK_URL', 'ALERT_PAGERDUTY_KEY', 'ALERT_WEBHOOK_SECRET', 'HEARTBEAT_URL', 'OTLP_HEADERS'],
  'SENTRY_DSN',
];
/** Says who may sign in: stored like secrets, since wrangler.toml is often public. */
const STORED_NAMES: readonly string[] = ['SIGN_IN', 'OWNERS', 'ACCESS_TEAM_DOMAIN', 'ACCESS_AUDIENCE'];

/** Whether a name is of something that is stored with the deployment (`wrangler secret put`), and not in its file. */
export function isStored(name: string): boolean {
  return SECRET_NAMES.includes(name) || STORED_NAMES.includes(name);
}
