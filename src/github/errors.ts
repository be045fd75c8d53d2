/** What can go wrong with a call to GitHub, told apart by what to do about it. */
import * as z from 'zod';
import { cutWhole } from '../protocol/text/sendable-text.ts';

/**
 * A call to GitHub failed.
 * - `unreachable`: network, 5xx, an answer that makes no sense: try again
 * - `rate-limited`: try again after `retryAt`
 * - `unauthorized`: the token, or the app's key, is no good
 * - `forbidden`: the token may not do this
 * - `not-found`: there is no such thing, or the token may not see it
 * - `refused`: GitHub will not do it, however often it is asked
 */
export class GitHubError extends Error {
  override readonly name = 'GitHubError';
  readonly kind: 'unreachable' | 'rate-limited' | 'unauthorized' | 'forbidden' | 'not-found' | 'refused';
  /** What a person can do about it, a sentence; null if waiting is all. */
  readonly hint: string | null;
  /** Milliseconds since the epoch; only for `rate-limited`. */
  readonly retryAt: number | null;
  /** Every message of GitHub's, for telling one refusal from another. */
  readonly said: readonly string[];
  constructor(
    kind: GitHubError['kind'],
    message: string,
    more: { hint?: string | null; retryAt?: number | null; said?: readonly string[]; cause?: unknown } = {},
  ) {
    super(message, { cause: more.cause });
    this.kind = kind;
    this.hint = more.hint ?? null;
    this.retryAt = more.retryAt ?? null;
    this.said = more.said ?? [];
  }

  /** Whether the same call may succeed later. */
  get retryable(): boolean {
    return this.kind === 'unreachable' || this.kind === 'rate-limited';
  }
}

/**
 * Body of a refusal; `errors` says more for 422: objects, or plain sentences
 * (docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api).
 */
const refusalSchema = z.looseObject({
  message: z.string().default(''),
  errors: z
    .array(
      z.union([
        z.string(),
        z.looseObject({ message: z.string().nullish(), field: z.string().nullish(), code: z.string().nullish() }),
      ]),
    )
    .nullish(),
});

/** How long to wait after a secondary limit that names no time: a minute, says GitHub's documentation. */
const SECONDARY_WAIT_MS = 60_000;
/** A primary limit lasts an hour; nothing GitHub says makes anybody wait longer. */
const MAX_WAIT_MS = 3_600_000;
const MAX_SAID = 300;

/**
 * Turns a refusal into an error.
 * @param what for people: what was tried, e.g. "open a pull request in acme/shop"
 * @param body the parsed JSON body, or null if there was none
 * @param now milliseconds since the epoch
 */
export function toGitHubError(what: string, status: number, headers: Headers, body: unknown, now: number): GitHubError {
  const parsed = refusalSchema.safeParse(body);
  const said = parsed.success ? messagesOf(parsed.data) : [];
  const words = said.length > 0 ? `: ${cutWhole(said.join('; '), MAX_SAID)}` : '';
  if (isRateLimit(status, headers, said)) {
    const retryAt = Math.min(limitEnd(headers, now), now + MAX_WAIT_MS);
    const until = `${new Date(retryAt).toISOString().slice(11, 16)} UTC`;
    return new GitHubError(
      'rate-limited',
      `GitHub's rate limit is exhausted until ${until}, so Cyrus could not ${what}`,
      {
        retryAt,
        said,
        hint: `Cyrus tries again at ${until}.`,
      },
    );
  }
  const message = `GitHub answered ${status} when Cyrus wanted to ${what}${words}`;
  switch (status) {
    case 401:
      return new GitHubError(
        'unauthorized',
        `GitHub does not accept the credential, so Cyrus could not ${what}${words}`,
        {
          said,
          hint: 'The token was revoked or has expired: ask an admin to store a new one for the repository.',
        },
      );
    case 403:
      return new GitHubError('forbidden', message, {
        said,
        hint: hintForForbidden(said.join(' ')),
      });
    case 404:
      return new GitHubError('not-found', message, {
        said,
        hint: 'The repository was renamed or removed, or the GitHub App (or the token) has no access to it: ask an admin to check.',
      });
    default:
      // Those that pass say so by their number (RFC 9110, 15.5.9 and RFC 8470).
      return status >= 500 || status === 408 || status === 425
        ? new GitHubError('unreachable', message, { said })
        : new GitHubError('refused', message, { said });
  }
}

/** What GitHub forbids, by its own words: only of a missing permission is the permission what helps. */
const FORBIDDEN: readonly [RegExp, string][] = [
  [/suspend/i, 'Ask an admin to have the suspension lifted on GitHub.'],
  [/archived/i, 'Nothing in an archived repository can change: ask an admin to unarchive it on GitHub.'],
  [/SAML|single sign-on|SSO/i, 'Ask the owner of the token to authorize it for the organization’s single sign-on.'],
  [/IP allow list/i, 'Ask an owner of the organization to admit Cyrus in its list of allowed IP addresses.'],
  [
    /personal access token \(classic\)|fine-grained/i,
    'Ask an admin to store a credential that the organization allows.',
  ],
];
const PERMISSION = 'Ask an admin to give the GitHub App, or the token, write access to contents and to pull requests.';

function hintForForbidden(said: string): string {
  const known = FORBIDDEN.find(([words]) => words.test(said))?.[1];
  if (known !== undefined) return known;
  const isPermission =
    said === '' || /not accessible by|permission|access (?:to this|denied)|must have|forbidden/i.test(said);
  return isPermission ? PERMISSION : 'Ask an admin to resolve this on GitHub.';
}

function messagesOf({ message, errors }: z.infer<typeof refusalSchema>): string[] {
  const more = (errors ?? []).map((error) => {
    if (typeof error === 'string') return error;
    return error.message ?? [error.field, error.code].filter((word) => word != null).join(' ');
  });
  return [message, ...more].filter((text) => text !== '');
}

/** Limits come as 403 or 429 (docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api). */
function isRateLimit(status: number, headers: Headers, said: readonly string[]): boolean {
  if (status === 429) return true;
  if (status !== 403) return false;
  if (headers.get('x-ratelimit-remaining') === '0' || headers.has('retry-after')) return true;
  return said.some((text) => /rate limit/i.test(text));
}

/** When to try again: `retry-after` in seconds, or the reset of a limit that is used up, in seconds since the epoch. */
function limitEnd(headers: Headers, now: number): number {
  const after = Number(headers.get('retry-after') ?? Number.NaN);
  if (after >= 0) return now + after * 1000;
  const reset = Number(headers.get('x-ratelimit-reset') ?? Number.NaN) * 1000;
  return headers.get('x-ratelimit-remaining') === '0' && reset > now ? reset : now + SECONDARY_WAIT_MS;
}
