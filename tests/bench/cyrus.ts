/** Cyrus in workerd itself, for benchmarks that play Linear and the sandbox. */
import { createHash, createHmac, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { mintToken } from '../../src/gateway/token.ts';
import { type Bundle, bundle, objectId, type Running, startWorkerd } from './workerd.ts';

/** Secret that deliveries are signed with. */
export const WEBHOOK_SECRET = 'lin_wh_bench-secret';
export const ENCRYPTION_KEY = createHash('sha256').update('the key of benchmarks').digest('base64');
export const ADMIN_TOKEN = 'bench-admin-token-0123456789';
export const ORGANIZATION = 'bench-organization';

/**
 * Bundles the minimal Worker (baseline-worker.ts), which verifies a signature and commits one row.
 * @param webhookSecret secret that its deliveries are signed with
 */
export async function bundleMinimal(folder: string, webhookSecret: string): Promise<Bundle> {
  return {
    module: await bundle('tests/bench/baseline.toml', 'baseline-worker.ts', folder),
    objects: { DELIVERIES: 'Deliveries' },
    variables: { LINEAR_WEBHOOK_SECRET: webhookSecret },
  };
}

/** Bundles Cyrus so that effects are stored and not carried out. @returns path of the module */
export function bundleHeld(folder: string): Promise<string> {
  return bundle('wrangler.toml', 'held-worker.ts', folder, 'tests/bench/held-worker.ts');
}

/** Bundles Cyrus for workerd. @param isHeld effects are not carried out, see held-worker.ts */
export async function bundleCyrus(folder: string, isHeld = false): Promise<Bundle> {
  const into = join(folder, 'cyrus');
  return {
    module: isHeld ? await bundleHeld(into) : await bundle('wrangler.toml', 'index.ts', into),
    objects: {
      ISSUE_SESSION: 'IssueSession',
      SANDBOX_CONTAINER: 'SandboxContainer',
      LINEAR_WORKSPACE: 'LinearWorkspace',
      OPERATIONS: 'Operations',
      RATE_LIMITER: 'RateLimiter',
    },
    variables: {
      ENVIRONMENT: 'local',
      PUBLIC_URL: '',
      CLAUDE_CREDENTIAL: 'subscription',
      CLAUDE_MODEL: 'sonnet',
      SANDBOX: 'endpoint',
      SANDBOX_ENDPOINT_URL: 'http://127.0.0.1:9',
      SANDBOX_ENDPOINT_SECRET: 'bench-endpoint-secret',
      LINEAR_API_URL: 'https://api.linear.app/graphql',
      ANTHROPIC_API_URL: 'https://api.anthropic.com',
      WEBHOOK_MAX_AGE_HOURS: '8',
      SCRIPTED_MODEL: 'false',
      PAUSED: 'false',
      LINEAR_WEBHOOK_SECRET: WEBHOOK_SECRET,
      ENCRYPTION_KEY,
      ADMIN_TOKEN,
      ACCESS_PASSWORD: 'bench-password',
      CLAUDE_CODE_OAUTH_TOKEN: 'bench-token',
    },
  };
}

/** A session that waits for its sandbox. */
export interface StartedSession {
  id: string;
  generation: number;
  bootId: string;
  streamId: string;
  /** Session token for the gateway. */
  token: string;
}

export interface Cyrus extends Running {
  /** Has Linear delegate a new issue. */
  startSession(): Promise<StartedSession>;
}

/** Starts workerd with Cyrus and empty storage. @param variables those that differ */
export async function startCyrus(folder: string, variables: Record<string, string> = {}): Promise<Cyrus> {
  const bundled = await bundleCyrus(folder, true);
  const running = await startWorkerd({ ...bundled, variables: { ...bundled.variables, ...variables } });
  return {
    ...running,
    async startSession() {
      const issueId = randomUUID();
      await delegate(running.url, issueId);
      const id = objectId('bench-IssueSession', `${ORGANIZATION}:issue:${issueId}`);
      const claims = { s: id, w: ORGANIZATION, r: 'acme/shop', b: 'cyrus/eng-1', g: 1 };
      const token = await mintToken({ encryptionKey: ENCRYPTION_KEY }, claims);
      return { id, generation: 1, bootId: randomUUID(), streamId: randomUUID(), token };
    },
  };
}

/** Sends the webhook of a person who delegates an issue. */
export async function delegate(url: string, issueId: string): Promise<void> {
  const id = randomUUID();
  const issue = { id: issueId, identifier: 'ENG-1', title: 'Bench', url: 'https://linear.app/acme/issue/ENG-1' };
  const body = JSON.stringify({
    type: 'AgentSessionEvent',
    action: 'created',
    organizationId: ORGANIZATION,
    appUserId: 'app-user',
    webhookTimestamp: Date.now(),
    agentSession: { id, issueId, issue, creatorId: 'user', creator: { id: 'user', name: 'Ada' } },
    promptContext: null,
    guidance: null,
  });
  const response = await fetch(`${url}/webhooks/linear`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'linear-delivery': randomUUID(),
      'linear-signature': createHmac('sha256', WEBHOOK_SECRET).update(body).digest('hex'),
    },
    body,
  });
  if (!response.ok) throw new Error(`the webhook was answered ${response.status}: ${await response.text()}`);
}
