/** The configuration as the rest of the Worker sees it. */
import type { ClaudeAllowance } from '../claude-quota/api-allow-list.ts';
import type { ClaudeLimits } from '../claude-quota/claude-settings.ts';
import type { ClaudeCredential } from '../protocol/sandbox/start.ts';
import type { RequestLimits } from '../protocol/settings/request-limits.ts';
import type { Retention } from '../protocol/settings/retention.ts';
import type { SignIn } from '../protocol/settings/sign-in.ts';
import type { StartLimits } from '../protocol/settings/start-limits.ts';

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

/** A project of Sentry: its endpoint for envelopes, and the key that may send there. */
export interface SentryProject {
  url: string;
  key: string;
}

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
  /** How many sessions may begin, how fast, and how long sandboxes may work. */
  startLimits: StartLimits;
  /** How many requests are let in; a local run lets in all. */
  requestLimits: RequestLimits;
  /** `allowance`: what a sandbox may ask of Claude's API beyond what the CLI asks. */
  claude: { apiUrl: string; model: string; access: ClaudeAccess; scripted: boolean; allowance: ClaudeAllowance };
  /**
   * `app`: null if repositories are reached by tokens alone; its private key is PEM. `webhookSecret`: signs GitHub's webhooks; null: none
   * are taken. `gatherMs`: how long what people write in a review is gathered.
   */
  github: {
    apiUrl: string;
    app: { id: string; privateKey: string } | null;
    webhookSecret: string | null;
    gatherMs: number;
  };
  /** How much Claude may be used, and by which tokens. */
  limits: ClaudeLimits;
  sandbox: { kind: 'container' } | { kind: 'endpoint'; url: string; secret: string };
  /** 32 bytes, base64; keys for single purposes are derived from it. */
  encryptionKey: string;
  /** The key before: what was encrypted with it is still read. Null: there is none. */
  oldEncryptionKey: string | null;
  /** Where traces of turns go; null: nowhere. */
  otlp: { url: string; headers: Record<string, string> } | null;
  /** Where errors go; null: nowhere but into the log. */
  sentry: SentryProject | null;
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
