/** What can go wrong with a call to Linear, told apart by what to do about it. */
import * as z from 'zod';

/**
 * A call to Linear failed.
 * - `unreachable`: network, 5xx, lock timeout: try again
 * - `rate-limited`: try again after `retryAt`
 * - `unauthorized`: the token is no good
 * - `refused`: Linear will not do it, however often it is asked
 */
export class LinearError extends Error {
  override readonly name = 'LinearError';
  readonly kind: 'unreachable' | 'rate-limited' | 'unauthorized' | 'refused';
  /** Milliseconds since the epoch; only for `rate-limited`. */
  readonly retryAt: number | null;
  constructor(kind: LinearError['kind'], message: string, options: { retryAt?: number | null; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.kind = kind;
    this.retryAt = options.retryAt ?? null;
  }
}

const errorSchema = z.looseObject({
  message: z.string().default('unknown error'),
  extensions: z
    .looseObject({
      type: z.string().nullish(),
      code: z.string().nullish(),
      /** The status that the error would have by itself; that of the answer may be another. */
      statusCode: z.number().nullish().catch(null),
      userPresentableMessage: z.string().nullish(),
    })
    .nullish(),
});
/** An answer without `data` is one too: that of a missing token, or over the limit. */
export const answerSchema = z.looseObject({ data: z.unknown().optional(), errors: z.array(errorSchema).nullish() });
export type GraphQLError = z.infer<typeof errorSchema>;

/**
 * What Linear's error means. The HTTP status alone does not tell: rate limits come as 400, conflicts as 200, and a proxy's page
 * may come with any status.
 */
export function toLinearError(status: number, errors: GraphQLError[], headers: Headers): LinearError {
  const [first] = errors;
  // Not Linear's own JSON: something on the way answered, and what that says is no decision of Linear's.
  if (!first && status !== 429)
    return new LinearError('unreachable', `Linear answered HTTP ${status} without its JSON`);
  const extensions = first?.extensions;
  const said = extensions?.userPresentableMessage ?? first?.message ?? `HTTP ${status}`;
  const statuses = [status, extensions?.statusCode ?? status];
  if (extensions?.code === 'RATELIMITED' || extensions?.type === 'ratelimited' || statuses.includes(429)) {
    return new LinearError('rate-limited', said, { retryAt: resetTime(headers) });
  }
  const isUnknown = extensions?.code === 'AUTHENTICATION_ERROR' || extensions?.type === 'authentication error';
  if (isUnknown || statuses.includes(401)) {
    return new LinearError('unauthorized', `Linear does not accept the workspace's token: ${said}`);
  }
  const passing = ['lock timeout', 'internal error', 'network error'];
  if (
    statuses.some((one) => one >= 500) ||
    extensions?.code === 'INTERNAL_SERVER_ERROR' ||
    (extensions?.type && passing.includes(extensions.type))
  ) {
    return new LinearError('unreachable', `Linear answered HTTP ${Math.max(...statuses)}: ${said}`);
  }
  return new LinearError('refused', `Linear refused: ${said}`);
}

/** A repeat of a create with a client-chosen id: it was done before, which is what was wanted. */
export function isConflictOnInsert(errors: GraphQLError[]): boolean {
  return errors.some((error) => error.message.startsWith('conflict on insert'));
}

/** When the exhausted allowance is back: epoch milliseconds in the headers (docs: linear.app/developers/rate-limiting). */
function resetTime(headers: Headers): number | null {
  const after = Number(headers.get('retry-after'));
  if (after > 0) return Date.now() + after * 1000;
  const exhausted = ['requests', 'complexity'].filter((kind) => headers.get(`x-ratelimit-${kind}-remaining`) === '0');
  const resets = exhausted.map((kind) => Number(headers.get(`x-ratelimit-${kind}-reset`))).filter((time) => time > 0);
  return resets.length > 0 ? Math.max(...resets) : null;
}
