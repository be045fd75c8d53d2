/** One word for why a request to Claude's API failed. */
import { ownValue } from '../lib/own-value.ts';

/** What the CLI says about a failure, on error messages and on results; every part may be missing. */
export interface FailureSigns {
  api_error?: string;
  error?: string;
  api_error_type?: string;
  api_error_status?: number;
  /** The words the CLI has for it; used only where it gives no code, as for timeouts. */
  text?: string;
}

/** Codes that say no more than that something failed; another sign may know better. */
const VAGUE = new Set(['unknown', 'server_error', 'invalid_request']);

const BY_TYPE: Partial<Record<string, string>> = {
  overloaded_error: 'overloaded',
  authentication_error: 'authentication_failed',
  permission_error: 'authentication_failed',
  rate_limit_error: 'rate_limit',
  billing_error: 'billing_error',
  timeout_error: 'timed_out',
};

const BY_STATUS: Partial<Record<number, string>> = {
  401: 'authentication_failed',
  403: 'authentication_failed',
  429: 'rate_limit',
  529: 'overloaded',
};

/**
 * The cause of a failure, most telling sign first: `api_error` (e.g. `usage_limit_reached`, `connection_failed`), a
 * specific `error` of the message (e.g. `billing_error`), the API's error type, the HTTP status. Measured with CLI
 * 2.1.330: a low balance says so only in `error`, an overload only in type and status, a timeout only in its words.
 * @returns null if nothing is said at all
 */
export function failureCause(signs: FailureSigns): string | null {
  if (signs.api_error) return signs.api_error;
  if (signs.error && !VAGUE.has(signs.error)) return signs.error;
  const byType = signs.api_error_type ? ownValue(BY_TYPE, signs.api_error_type) : undefined;
  if (byType) return byType;
  const byStatus = signs.api_error_status !== undefined ? BY_STATUS[signs.api_error_status] : undefined;
  if (byStatus) return byStatus;
  if (signs.text !== undefined && /^request timed out/i.test(signs.text)) return 'timed_out';
  return signs.error ?? signs.api_error_type ?? null;
}
