/** Rate-limit headers of the API. Names as CLI 2.1.330 reads them for subscriptions; for keys as documented. */

type Limit = 'five_hour' | 'seven_day';

const windows: { limit: Limit; short: string; seconds: number; utilization: number }[] = [
  { limit: 'five_hour', short: '5h', seconds: 5 * 3600, utilization: 0.12 },
  { limit: 'seven_day', short: '7d', seconds: 7 * 86_400, utilization: 0.05 },
];

/** Headers of a subscription with room to spare. `now` in milliseconds since the epoch; resets are in seconds since then. */
export function allowedHeaders(now: number): Record<string, string> {
  const headers: Record<string, string> = {
    'anthropic-ratelimit-unified-status': 'allowed',
    'anthropic-ratelimit-unified-representative-claim': 'five_hour',
    'anthropic-ratelimit-unified-fallback-percentage': '0.5',
    'anthropic-ratelimit-unified-overage-status': 'rejected',
    'anthropic-ratelimit-unified-overage-disabled-reason': 'org_level_disabled',
  };
  for (const window of windows) {
    const reset = String((Math.floor(now / 1000 / window.seconds) + 1) * window.seconds);
    headers[`anthropic-ratelimit-unified-${window.short}-status`] = 'allowed';
    headers[`anthropic-ratelimit-unified-${window.short}-reset`] = reset;
    headers[`anthropic-ratelimit-unified-${window.short}-utilization`] = String(window.utilization);
    if (window.limit === 'five_hour') headers['anthropic-ratelimit-unified-reset'] = reset;
  }
  return headers;
}

/** Headers of a subscription whose limit is used up until `reset` (seconds since the epoch). */
export function rejectedHeaders(limit: Limit, reset: number): Record<string, string> {
  const headers = allowedHeaders((reset - 1) * 1000);
  const short = windows.find((window) => window.limit === limit)?.short;
  return {
    ...headers,
    'anthropic-ratelimit-unified-status': 'rejected',
    'anthropic-ratelimit-unified-reset': String(reset),
    'anthropic-ratelimit-unified-representative-claim': limit,
    [`anthropic-ratelimit-unified-${short}-status`]: 'rejected',
    [`anthropic-ratelimit-unified-${short}-reset`]: String(reset),
    [`anthropic-ratelimit-unified-${short}-utilization`]: '1',
  };
}

/** Headers for an API key far below its limits (https://docs.claude.com/en/api/rate-limits). */
export function keyHeaders(now: number): Record<string, string> {
  const reset = new Date(now + 60_000).toISOString().replace(/\.\d+Z$/, 'Z');
  const headers: Record<string, string> = {};
  for (const [kind, limit] of Object.entries({ requests: 4000, 'input-tokens': 2_000_000, 'output-tokens': 400_000 })) {
    headers[`anthropic-ratelimit-${kind}-limit`] = String(limit);
    headers[`anthropic-ratelimit-${kind}-remaining`] = String(limit - 1);
    headers[`anthropic-ratelimit-${kind}-reset`] = reset;
  }
  return headers;
}
