/** How the gateway refuses a request to Claude's API: in the API's own shape, so that the CLI shows the message. Pure. */

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
