/**
 * Failures on demand, as the real API fails: bodies and headers follow https://docs.claude.com/en/api/errors and what CLI
 * 2.1.330 reads.
 */
import { z } from 'zod';
import { errorBody } from './messages-api.ts';
import { rejectedHeaders } from './rate-limits.ts';
import type { BreakOff } from './stream.ts';

const common = {
  /** How many requests fail; 1 where left out. */
  times: z.number().int().positive().default(1),
  /** How many requests are let through before. */
  after: z.number().int().nonnegative().default(0),
};

/**
 * One failure for requests to `POST /v1/messages`.
 * - `status`: this HTTP status with the API's own body and headers for it (429: the subscription's five-hour limit is used up, or for an
 *   API key a plain rate limit; 400: the credit balance is too low). `body` and `headers` replace or add to them.
 * - `limit`: which subscription limit a 429 names, and when it is reset, in seconds from now.
 * - `drop`: the connection is closed without an answer.
 * - `hang`: no answer ever.
 * - `stallMidStream`, `dropMidStream`: the answer stops, or the connection is closed, in the middle of the stream.
 * - `errorMidStream`: the stream ends in an `error` event of this type, e.g. `overloaded_error`, after its 200
 *   (https://docs.claude.com/en/api/messages-streaming#error-events).
 */
export const faultSchema = z.union([
  z.strictObject({
    status: z.number().int().min(400).max(599),
    body: z.unknown().optional(),
    headers: z.record(z.string(), z.string()).optional(),
    limit: z.enum(['five_hour', 'seven_day']).optional(),
    resetsInSeconds: z.number().int().nonnegative().optional(),
    ...common,
  }),
  z.strictObject({ drop: z.literal(true), ...common }),
  z.strictObject({ hang: z.literal(true), ...common }),
  z.strictObject({ stallMidStream: z.literal(true), ...common }),
  z.strictObject({ dropMidStream: z.literal(true), ...common }),
  z.strictObject({
    errorMidStream: z.enum(['overloaded_error', 'api_error', 'rate_limit_error', 'invalid_request_error']),
    ...common,
  }),
]);
/** As given by a caller: `times` and `after` may be left out. */
export type FaultInput = z.input<typeof faultSchema>;
export type Fault = z.output<typeof faultSchema>;

/** What a request meets: null is nothing. */
export interface FaultPlan {
  /** Adds a failure behind those planned already. */
  add(fault: FaultInput): void;
  /** The failure of the request at hand, counted as used. */
  take(): Fault | null;
  /** Forgets all planned failures. */
  clear(): void;
}

/** An empty plan. `add` throws zod's error when a fault is not one. */
export function createFaultPlan(): FaultPlan {
  let planned: Fault[] = [];
  return {
    add: (fault) => {
      planned.push(faultSchema.parse(fault));
    },
    take: () => {
      const fault = planned[0];
      if (!fault) return null;
      if (fault.after > 0) {
        fault.after--;
        return null;
      }
      fault.times--;
      if (fault.times === 0) planned.shift();
      return fault;
    },
    clear: () => {
      planned = [];
    },
  };
}

const usual: Record<number, { type: string; message: string }> = {
  400: {
    type: 'invalid_request_error',
    message:
      'Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits.',
  },
  401: { type: 'authentication_error', message: 'Invalid authentication credentials' },
  403: { type: 'permission_error', message: 'Your account does not have permission to use Claude.' },
  404: { type: 'not_found_error', message: 'model: claude-unknown' },
  413: { type: 'request_too_large', message: 'Request exceeds the maximum size' },
  429: {
    type: 'rate_limit_error',
    message: "This request would exceed your account's rate limit. Please try again later.",
  },
  500: { type: 'api_error', message: 'Internal server error' },
  529: { type: 'overloaded_error', message: 'Overloaded' },
};

/** How a stream breaks off; null if it does not, or before it has begun. @param requestId of the request */
export function breakOffOf(fault: Fault | null, requestId: string): BreakOff | null {
  if (fault === null) return null;
  if ('stallMidStream' in fault) return 'stall';
  if ('dropMidStream' in fault) return 'drop';
  if (!('errorMidStream' in fault)) return null;
  const known = Object.values(usual).find(({ type }) => type === fault.errorMidStream);
  return { error: errorBody(fault.errorMidStream, known?.message ?? 'Internal server error', requestId) };
}

/** The answer to a `status` fault. `subscription`: the request came with an OAuth token. `now` in milliseconds since the epoch. */
export function faultAnswer(
  fault: Extract<Fault, { status: number }>,
  subscription: boolean,
  requestId: string,
  now: number,
): { body: unknown; headers: Record<string, string> } {
  const error = usual[fault.status] ?? { type: 'api_error', message: `Error ${fault.status}` };
  const headers: Record<string, string> = {};
  if (fault.status === 429) {
    const seconds = fault.resetsInSeconds ?? 3600;
    headers['retry-after'] = String(subscription || fault.resetsInSeconds !== undefined ? seconds : 1);
    if (subscription) {
      Object.assign(headers, rejectedHeaders(fault.limit ?? 'five_hour', Math.floor(now / 1000) + seconds));
      headers['x-should-retry'] = 'false';
    } else headers['x-should-retry'] = 'true';
  }
  if (fault.status === 401) headers['x-should-retry'] = 'false';
  return {
    body: fault.body ?? { type: 'error', error, request_id: requestId },
    headers: { ...headers, ...fault.headers },
  };
}
