/** How Claude's API says that it does not take a credential, and how Cyrus says it to people (pure). */
import * as z from 'zod';
import type { ClaudeAccess } from '../../config.ts';
import { parseJson } from '../../lib/parse-json.ts';

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
