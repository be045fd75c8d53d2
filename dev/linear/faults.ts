/**
 * Trouble on demand. GraphQL faults are rules, each for some calls ("the next 3 agentActivityCreate answer 503");
 * webhook faults are a way of sending ("every delivery twice", "hold all").
 */
import { z } from 'zod';

const graphqlFaultSchema = z.object({
  /**
   * - `http-error`: answers `status` with a page that is no JSON; nothing is done
   * - `rate-limited`: answers as Linear does over the limit, until `ms` from now; nothing is done
   * - `unauthorized`: answers as for an expired token; nothing is done
   * - `success-false`: a mutation answers `success: false` without an error; nothing is done
   * - `timeout-after-commit`: the call is carried out, the answer never comes; the connection is cut after `ms`
   * - `slow`: the call waits `ms` first, then goes on (other rules may still match)
   */
  fault: z.enum(['http-error', 'rate-limited', 'unauthorized', 'success-false', 'timeout-after-commit', 'slow']),
  /** Only calls with this root field, such as `agentActivityCreate`; without it, all. */
  operation: z.string().min(1).optional(),
  /** How many calls; without it, until the faults are cleared. */
  times: z.int().positive().optional(),
  /** How likely for a call that matches, 0 to 1. */
  probability: z.number().min(0).max(1).default(1),
  status: z.int().min(500).max(599).default(503),
  ms: z.number().min(0).max(600_000).default(1_000),
});

const webhookFaultsSchema = z.object({
  /** Send each delivery this many times more. */
  duplicates: z.int().min(0).max(10).default(0),
  /** When the duplicates leave, in simulated milliseconds after the first; 0: at the same moment. */
  duplicatesAfterMs: z.number().min(0).default(0),
  /** Duplicates get a delivery id of their own, so that only their content tells them. */
  duplicatesWithNewId: z.boolean().default(false),
  /** Keep deliveries back until they are released, in an order of choice. */
  hold: z.boolean().default(false),
});

export const faultsSchema = z.object({
  graphql: z.array(graphqlFaultSchema).default([]),
  webhooks: webhookFaultsSchema.prefault({}),
});
/** As given by a caller: everything is optional but a GraphQL rule's `fault`. */
export type FaultSettings = z.input<typeof faultsSchema>;
export type Faults = z.output<typeof faultsSchema>;
export type GraphqlFault = Faults['graphql'][number];

export class FaultPlan {
  #faults: Faults = faultsSchema.parse({});
  readonly #random: () => number;

  /** @param random 0 to below 1, as Math.random; give a seeded one to replay a run */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** What is still planned; counts go down as rules are used. */
  get current(): Faults {
    return this.#faults;
  }

  /** Replaces all faults. @throws z.ZodError when the settings are wrong; the old ones then stay */
  set(settings: FaultSettings): void {
    this.#faults = faultsSchema.parse(settings);
  }

  clear(): void {
    this.set({});
  }

  /**
   * The faults that hit this call, in the order of the rules; uses them up.
   * @param operations root fields of the call
   */
  take(operations: readonly string[]): GraphqlFault[] {
    const hits = this.#faults.graphql.filter(
      (rule) =>
        (rule.operation === undefined || operations.includes(rule.operation)) && this.#random() < rule.probability,
    );
    for (const rule of hits) if (rule.times !== undefined) rule.times -= 1;
    if (hits.length > 0) this.#faults.graphql = this.#faults.graphql.filter((rule) => rule.times !== 0);
    return hits;
  }
}
