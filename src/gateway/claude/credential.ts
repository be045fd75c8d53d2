/** How a credential is shown to Claude's API, and whether the API takes it. */
import type { ClaudeAccess, Config } from '../../config/config.ts';
import { asError } from '../../lib/error.ts';
import { withTimeout } from '../../lib/timeout.ts';
import { log } from '../../observability/log.ts';

/** The beta that lets Claude's API accept a subscription's token (seen in every request of CLI 2.1.330 with such a token). */
const OAUTH_BETA = 'oauth-2025-04-20';
const PROBE_LIMIT_MS = 5_000;

/**
 * @param betas the header `anthropic-beta` of the request that it goes with; null: it has none
 * @returns headers to be set
 */
export function credentialHeaders(
  mode: ClaudeAccess['mode'],
  secret: string,
  betas: string | null,
): [name: string, value: string][] {
  if (mode === 'api-key') return [['x-api-key', secret]];
  const listed = (betas ?? '')
    .split(',')
    .map((beta) => beta.trim())
    .filter((beta) => beta !== '');
  const all = listed.includes(OAUTH_BETA) ? (betas ?? '') : [OAUTH_BETA, ...listed].join(',');
  return [
    ['authorization', `Bearer ${secret}`],
    ['anthropic-beta', all],
  ];
}

/**
 * Asks Claude's API whether it takes a credential, by a request that costs nothing.
 * @returns the status of the answer; null if Claude's API cannot be reached, or takes too long
 */
export async function probeCredential({ apiUrl, access }: Config['claude'], secret: string): Promise<number | null> {
  const headers = new Headers({ 'anthropic-version': '2023-06-01' });
  for (const [name, value] of credentialHeaders(access.mode, secret, null)) headers.set(name, value);
  try {
    return await withTimeout(PROBE_LIMIT_MS, async (signal) => {
      const response = await fetch(`${apiUrl}/v1/models?limit=1`, { headers, signal, redirect: 'manual' });
      await response.body?.cancel();
      return response.status;
    });
  } catch (error) {
    log('claude.probe.failed', { error: asError(error) });
    return null;
  }
}
