/** Effects that tell the services of a workspace's webhooks. Whether they can be reached changes nothing in the session. */
import * as z from 'zod';
import { type EffectDefinition, never, nothing } from './definition.ts';
import { FIVE_DAYS, HALF_A_DAY, USUAL_ATTEMPT_LIMIT_MS } from './retry-policies.ts';

export const tellWebhooks: EffectDefinition<'tell-webhooks'> = {
  stored: z.looseObject({
    id: z.string(),
    at: z.number(),
    turn: z.number(),
    news: z.looseObject({ type: z.string() }),
  }),
  lane: () => 'webhooks',
  retry: { passing: HALF_A_DAY, unauthorized: null, attemptLimitMs: USUAL_ATTEMPT_LIMIT_MS },
  isSuperseded: never,
  isCovered: never,
  describe: () => "Telling the workspace's webhooks",
  onDone: (step, { id }, { webhooks, body }) => {
    for (const webhook of webhooks) step.effect({ kind: 'post-webhook', webhook, id, body });
  },
  onDelayed: nothing,
  onFailed: nothing,
};

export const postWebhook: EffectDefinition<'post-webhook'> = {
  stored: z.looseObject({ webhook: z.string(), id: z.string(), body: z.string() }),
  // Each by itself: what one service does not take keeps nothing from the others, and nothing that comes later.
  lane: ({ webhook, id }) => `webhook:${webhook}:${id}`,
  retry: { passing: FIVE_DAYS, unauthorized: null, attemptLimitMs: USUAL_ATTEMPT_LIMIT_MS },
  isSuperseded: never,
  isCovered: never,
  describe: () => 'Posting to a webhook',
  onDone: nothing,
  onDelayed: nothing,
  // The webhook itself shows that it fails.
  onFailed: nothing,
};
