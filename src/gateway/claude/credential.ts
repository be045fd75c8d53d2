/** How a credential is shown to Claude's API. */
import type { ClaudeAccess } from '../../config/config.ts';

/** The beta that lets Claude's API accept a subscription's token (seen in every request of CLI 2.1.330 with such a token). */
const OAUTH_BETA = 'oauth-2025-04-20';

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
