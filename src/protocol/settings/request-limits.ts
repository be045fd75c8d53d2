/** How many requests are let in: variables, each of which may be a setting. 0: as many as come. */
import * as z from 'zod';

/** A sliding window keeps the time of each request in one stored value, which is rewritten with each request and may have 2 MB. */
const MOST_IN_WINDOW = 10_000;
/** A bucket keeps two numbers, however large they are. */
const MOST_IN_BUCKET = 10_000_000;

const count = (usual: number, most: number) => {
  const error = `must be a whole number from 0 to ${most}; 0 lets all requests in`;
  const isCount = (value: number) => Number.isInteger(value) && value >= 0 && value <= most;
  return z
    .union([z.literal('').transform(() => usual), z.coerce.number(error).refine(isCount, { error })], error)
    .default(usual);
};

export const requestLimitVariables = {
  API_REQUESTS_A_MINUTE: count(600, MOST_IN_WINDOW),
  OAUTH_REQUESTS_A_MINUTE: count(10, MOST_IN_WINDOW),
  WEBHOOKS_A_MINUTE: count(100, MOST_IN_BUCKET),
  WEBHOOK_BURST: count(1_000, MOST_IN_BUCKET),
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
