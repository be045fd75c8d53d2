/** Whether Claude's API takes each token: one request of one word, to the cheapest model. */
import * as z from 'zod';
import { leftOf, readWindows } from '../../claude-quota/windows.ts';
import type { Config } from '../../config/config.ts';
import { credentialHeaders } from '../../gateway/claude/credential.ts';
import { messageOf } from '../../lib/error.ts';
import { withTimeout } from '../../lib/timeout.ts';
import { bad, type Finding, good, skipped, warn } from '../../protocol/doctor.ts';
import { redact } from '../../protocol/text/redact.ts';

const LIMIT_MS = 15_000;
const MOST_WORDS = 300;
const REQUEST = {
  model: 'claude-haiku-5-5',
  max_tokens: 1,
  // What Claude's API wants to see of requests with a subscription's token.
  system: "You are Claude Code, Anthropic's official CLI for Claude.",
  messages: [{ role: 'user', content: 'Say yes.' }],
};

const refusalSchema = z.object({ error: z.object({ message: z.string() }) });

/** A finding for each token or key. */
export async function claudeFindings({ claude, limits }: Config): Promise<Finding[]> {
  if (claude.scripted) return [skipped('claude', 'A scripted model answers in place of Claude')];
  return Promise.all(limits.tokens.map((token) => tokenFinding(claude, token)));
}

async function tokenFinding(claude: Config['claude'], token: { name: string; secret: string }): Promise<Finding> {
  const name = `claude ${token.name}`;
  const isKey = claude.access.mode === 'api-key';
  const replace = isKey
    ? 'Store a key of console.anthropic.com: npx wrangler secret put ANTHROPIC_API_KEY'
    : 'Run claude setup-token and store what it prints: npx wrangler secret put CLAUDE_CODE_OAUTH_TOKEN';
  let answer: { status: number; headers: Headers; said: string };
  try {
    answer = await ask(claude, token.secret);
  } catch (error) {
    return warn(
      name,
      `Claude’s API cannot be reached: ${messageOf(error)}`,
      'Look at status.claude.com and try again.',
    );
  }
  const { status, headers, said } = answer;
  const words = said === '' ? `it answered ${status}` : `it answered ${status}: ${said}`;
  const windows = readWindows(headers, Date.now());
  if (status >= 200 && status < 300) {
    const left =
      windows === null ? '' : `; ${Math.round(leftOf(windows, Date.now()) * 100)} % of its scarcest limit is left`;
    return good(name, `Claude’s API takes it${left}`);
  }
  if (status === 429) {
    return warn(
      name,
      `Claude’s API takes it, and its limit is used up: ${words}`,
      'Sessions wait for the reset by themselves.',
    );
  }
  if (status === 401 || status === 403) return bad(name, `Claude’s API does not take it: ${words}`, replace);
  if (status === 400 && /credit|billing|balance/i.test(said)) {
    return bad(name, `Claude’s API takes it and serves nothing: ${words}`, 'Add credit in the console of Anthropic.');
  }
  if (status >= 500)
    return warn(name, `Claude’s API is disturbed: ${words}`, 'Look at status.claude.com and try again.');
  return warn(name, `Claude’s API refused a request of one word: ${words}`, 'Update Cyrus: the model may be gone.');
}

async function ask({ apiUrl, access }: Config['claude'], secret: string) {
  const headers = new Headers({ 'anthropic-version': '2023-06-01', 'content-type': 'application/json' });
  for (const [name, value] of credentialHeaders(access.mode, secret, null)) headers.set(name, value);
  return withTimeout(LIMIT_MS, async (signal) => {
    const init = { method: 'POST', headers, body: JSON.stringify(REQUEST), redirect: 'manual', signal } as const;
    const response = await fetch(`${apiUrl}/v1/messages`, init);
    const refusal = refusalSchema.safeParse(await response.json().catch(() => null));
    const said = refusal.success ? redact(refusal.data.error.message.replaceAll(secret, '')).slice(0, MOST_WORDS) : '';
    return { status: response.status, headers: response.headers, said };
  });
}
