/**
 * Trouble on demand. GraphQL and OAuth faults are rules, each for some calls ("the next 3 agentActivityCreate answer 503");
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
   * - `slow`: the call waits `ms` first, then continues (other rules may still match)
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

const oauthFaultSchema = z.object({
  /**
   * - `http-error`: answers `status` with a page that is no JSON; nothing is done
   * - `slow`: the call waits `ms` first, then continues
   * - `refuse-grant`: the token endpoint answers `invalid_grant`; the code or refresh token is not used up
   * - `narrow-scope`: the token endpoint grants `read` alone, whatever was asked for
   * - `refuse-scope`: the authorize page sends back to the application with `invalid_scope`
   * - `timeout-after-commit`: the code is exchanged, the refresh token rotated, the token revoked, and the answer never comes; the
   *   connection is cut after `ms`
   */
  fault: z.enum(['http-error', 'slow', 'refuse-grant', 'narrow-scope', 'refuse-scope', 'timeout-after-commit']),
  /** Only there; without it, wherever the fault can be. */
  endpoint: z.enum(['authorize', 'token', 'revoke']).optional(),
  /** Only token requests with this `grant_type`. */
  grant: z.enum(['authorization_code', 'refresh_token', 'client_credentials']).optional(),
  /** How many calls; without it, until the faults are cleared. */
  times: z.int().positive().optional(),
  /** How likely for a call that matches, 0 to 1. */
  probability: z.number().min(0).max(1).default(1),
  status: z.int().min(500).max(599).default(503),
  ms: z.number().min(0).max(600_000).default(1_000),
});

export type OauthEndpointName = 'authorize' | 'token' | 'revoke';

/** Where each can be. */
const OAUTH_FAULT_PLACES: Record<z.infer<typeof oauthFaultSchema>['fault'], readonly OauthEndpointName[]> = {
  'http-error': ['authorize', 'token', 'revoke'],
  slow: ['authorize', 'token', 'revoke'],
  'refuse-grant': ['token'],
  'narrow-scope': ['token'],
  'refuse-scope': ['authorize'],
  'timeout-after-commit': ['token', 'revoke'],
};

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

const uploadFaultsSchema = z.object({
  /** Files cannot be read with the token, only by an address that was signed. */
  refuseTokens: z.boolean().default(false),
});

export const faultsSchema = z.object({
  graphql: z.array(graphqlFaultSchema).default([]),
  oauth: z.array(oauthFaultSchema).default([]),
  webhooks: webhookFaultsSchema.prefault({}),
  uploads: uploadFaultsSchema.prefault({}),
});
/** As given by a caller: everything is optional but a GraphQL rule's `fault`. */
export type FaultSettings = z.input<typeof faultsSchema>;
export type Faults = z.output<typeof faultsSchema>;
export type GraphqlFault = Faults['graphql'][number];
export type OauthFault = Faults['oauth'][number];

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
   * The faults that hit a GraphQL call, in the order of the rules; uses them up.
   * @param operations root fields of the call
   */
  take(operations: readonly string[]): GraphqlFault[] {
    const matches = ({ operation }: GraphqlFault) => operation === undefined || operations.includes(operation);
    const { hits, left } = this.#use(this.#faults.graphql, matches);
    this.#faults.graphql = left;
    return hits;
  }

  /**
   * The same for a call of OAuth.
   * @param grant `grant_type` of a token request
   */
  takeOauth(endpoint: OauthEndpointName, grant: string | null): OauthFault[] {
    const { hits, left } = this.#use(this.#faults.oauth, (rule) => {
      const inPlace = OAUTH_FAULT_PLACES[rule.fault].includes(endpoint) && (rule.endpoint ?? endpoint) === endpoint;
      return inPlace && (rule.grant === undefined || rule.grant === grant);
    });
    this.#faults.oauth = left;
    return hits;
  }

  #use<Rule extends { times?: number | undefined; probability: number }>(
    rules: readonly Rule[],
    matches: (rule: Rule) => boolean,
  ): { hits: Rule[]; left: Rule[] } {
    const hits = rules.filter((rule) => matches(rule) && this.#random() < rule.probability);
    for (const rule of hits) if (rule.times !== undefined) rule.times -= 1;
    return { hits, left: rules.filter((rule) => rule.times !== 0) };
  }
}
