/** Variables that admins may set while the Worker runs, without a deploy: the value is stored, and takes the variable's place. */

/** Where a setting counts: in the whole deployment, or in one workspace of it too. */
export type SettingReach = 'deployment' | 'workspace';

/** Each variable that may be set, with the narrowest scope that it may be set for. */
export const SETTINGS = {
  PAUSED: 'workspace',
  CLAUDE_MODEL: 'workspace',
  COMMIT_AUTHOR: 'workspace',
  SESSION_MIB_AN_HOUR: 'workspace',
  RETENTION_CHECKPOINT_DAYS: 'workspace',
  RETENTION_EGRESS_DAYS: 'workspace',
  RETENTION_PATCH_DAYS: 'workspace',
  RETENTION_LOG_DAYS: 'workspace',
  RETENTION_SESSION_DAYS: 'workspace',
  RETENTION_USAGE_DAYS: 'deployment',
  RETENTION_AUDIT_DAYS: 'deployment',
  API_REQUESTS_A_MINUTE: 'deployment',
  OAUTH_REQUESTS_A_MINUTE: 'deployment',
  WEBHOOKS_A_MINUTE: 'workspace',
  WEBHOOK_BURST: 'workspace',
  SESSIONS_A_PERSON_HOUR: 'workspace',
  SESSIONS_A_PERSON_DAY: 'workspace',
  SESSIONS_A_WORKSPACE_HOUR: 'workspace',
  SESSIONS_A_WORKSPACE_DAY: 'workspace',
  SANDBOX_MINUTES_DAY: 'workspace',
  SANDBOX_MINUTES_MONTH: 'workspace',
  STARTS_A_MINUTE: 'workspace',
  MAX_SESSIONS_AT_ONCE: 'deployment',
  CLAUDE_PLAN: 'deployment',
  CLAUDE_OVERAGE_USD: 'deployment',
  CLAUDE_FALLBACK_AT: 'deployment',
  CLAUDE_LIMIT_FALLBACKS: 'deployment',
  CLAUDE_OVERLOAD_FALLBACKS: 'deployment',
  CLAUDE_ANSWER_SECONDS: 'deployment',
  CLAUDE_STALL_SECONDS: 'deployment',
  CLAUDE_API_ALLOW: 'deployment',
  CLAUDE_BUDGET_SESSION_USD: 'deployment',
  CLAUDE_BUDGET_REPOSITORY_USD: 'deployment',
  CLAUDE_BUDGET_MONTH_USD: 'deployment',
  CLAUDE_PRICES: 'deployment',
} as const satisfies Record<string, SettingReach>;

export type SettingName = keyof typeof SETTINGS;

export function isSettingName(name: string): name is SettingName {
  return Object.hasOwn(SETTINGS, name);
}

/** A setting as the admin API shows it. */
export interface SettingView {
  name: SettingName;
  /** What counts, as a variable would have it. */
  value: string;
  /** Where that value is from: a stored setting, `wrangler.toml`, or nothing was set anywhere. */
  from: SettingReach | 'variable' | 'default';
  /** Who stored it and when, in ms since the epoch; null: it is not a stored setting. */
  updatedBy: string | null;
  updatedAt: number | null;
}
