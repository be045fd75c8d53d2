/**
 * Refusals between the CLI and Claude's API: how Claude's API says that it does not take a credential, how Cyrus says that to people,
 * and how the gateway itself refuses, in the API's own shape, so that the CLI shows the message. Pure.
 */
import * as z from 'zod';
import type { ClaudeAccess } from '../../config/config.ts';
import { parseJson } from '../../lib/parse-json.ts';

type RefusalStatus = 401 | 402 | 403 | 502 | 503 | 504;
type RefusalType = 'authentication_error' | 'billing_error' | 'permission_error' | 'api_error' | 'timeout_error';

/** A refusal as Claude's API words its own. One of 500 or more is tried again by the CLI. */
export function refusal(status: RefusalStatus, type: RefusalType, message: string): Response {
  return Response.json(
    { type: 'error', error: { type, message } },
    // Without this word the CLI would repeat a refusal that cannot change.
    { status, headers: { 'x-should-retry': String(status >= 500) } },
  );
}

/**
 * The refusal of a request that shows an API key in subscription mode: it would silently win over the subscription, and be
 * charged.
 */
export function foreignKey(): Response {
  return refusal(
    403,
    'permission_error',
    'This Cyrus uses a Claude subscription and refuses requests with an API key (x-api-key): remove ANTHROPIC_API_KEY from the environment of the sandbox, e.g. from cyrus-setup.sh',
  );
}

const errorSchema = z.object({ error: z.object({ type: z.string(), message: z.string() }) });

/** 403 has other causes too (a model that is not open, a filter in between); these words mean the account itself. */
const ABOUT_THE_ACCOUNT = /revoked|expired|disabled|not allowed for this organization/i;

/** Whether an answer refuses the credential, and not just the request. @param text its body */
export function isRefusedToken(status: number, text: string): boolean {
  if (status === 401) return true;
  if (status !== 403) return false;
  const parsed = errorSchema.safeParse(parseJson(text));
  return parsed.success && ABOUT_THE_ACCOUNT.test(parsed.data.error.message);
}

/**
 * What happened, and what to do.
 * @param name of the token, if there are several
 */
export function refusedTokenWords(mode: ClaudeAccess['mode'], name: string | null): string {
  if (mode === 'api-key') {
    return "Claude's API does not accept the API key of this Cyrus: it may have been revoked. A Cyrus admin has to store a new one as the secret ANTHROPIC_API_KEY.";
  }
  const which = name === null ? 'the token' : `the token “${name}”`;
  const variable =
    name === null || name === 'default' ? 'CLAUDE_CODE_OAUTH_TOKEN' : `CLAUDE_CODE_OAUTH_TOKENS (under ${name})`;
  return `Claude's API does not accept ${which} of this Cyrus: it may have expired or been revoked. A Cyrus admin has to run \`claude setup-token\` and store the printed token as the secret ${variable}.`;
}
