/** How many requests are let in: variables, each of which may be a setting. 0: as many as come. */
import * as z from 'zod';

const count = (usual: number) =>
  z.union([z.literal('').transform(() => usual), z.coerce.number().int().min(0).max(10_000_000)]).default(usual);

export const requestLimitVariables = {
  API_REQUESTS_A_MINUTE: count(600),
  OAUTH_REQUESTS_A_MINUTE: count(10),
  WEBHOOKS_A_MINUTE: count(100),
  WEBHOOK_BURST: count(1_000),
};

export interface RequestLimits {
  /** Of one person, or of those who hold ADMIN_TOKEN together. */
  apiPerMinute: number;
  /** Of one address that begins to sign in or to install. */
  oauthPerMinute: number;
  /** Of one workspace. */
  webhooks: { burst: number; perMinute: number };
}

/** @param variables as the schema above has read them */
export function readRequestLimits(variables: Record<keyof typeof requestLimitVariables, number>): RequestLimits {
  return {
    apiPerMinute: variables.API_REQUESTS_A_MINUTE,
    oauthPerMinute: variables.OAUTH_REQUESTS_A_MINUTE,
    webhooks: { burst: variables.WEBHOOK_BURST, perMinute: variables.WEBHOOKS_A_MINUTE },
  };
}
