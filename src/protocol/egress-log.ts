/** The egress log: every request by which something left a sandbox, or tried to. */
import * as z from 'zod';

/**
 * What became of a request. `allowed`: it was forwarded; `refused`: to a host that may be reached, but not with this request;
 * `blocked`: to a host that may not be reached; `alarm`: it held the decoy credential.
 */
export const egressVerdictSchema = z.enum(['allowed', 'refused', 'blocked', 'alarm']);
export type EgressVerdict = z.infer<typeof egressVerdictSchema>;

/** One request. Queries are left out: they may hold secrets. */
export const egressLineSchema = z.object({
  /** When it came, in ms since the epoch. */
  at: z.number().int().nonnegative(),
  host: z.string(),
  method: z.string(),
  path: z.string(),
  verdict: egressVerdictSchema,
  /** Status that the sandbox was answered. */
  status: z.number().int(),
  /** Bytes of the bodies, from the sandbox and to it; what was broken off counts as far as it went. */
  sent: z.number().int().nonnegative(),
  received: z.number().int().nonnegative(),
});
export type EgressLine = z.infer<typeof egressLineSchema>;

/** Answer to `GET /api/sessions/:id/egress`: the newest lines, newest first, and how many there were in all. */
export const egressPageSchema = z.object({ lines: z.array(egressLineSchema), total: z.number().int().nonnegative() });
export type EgressPage = z.infer<typeof egressPageSchema>;
