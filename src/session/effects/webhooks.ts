/** Tells the services of a workspace's webhooks what became of a session. */
import { deliver } from '../../outgoing-webhooks/post.ts';
import { WEBHOOK_VERSION, type WebhookMessage } from '../../protocol/v1/webhooks.ts';
import { listSubscribers } from '../../store/workspaces/outgoing-webhooks.ts';
import type { EffectOf } from '../lifecycle/model/effects.ts';
import type { SessionState } from '../lifecycle/model/state.ts';
import type { Perform } from './effect-context.ts';

/** Reads only: which webhooks are told, and what. */
export const tellWebhooks: Perform<'tell-webhooks'> = async (effect, { state, database }) => ({
  webhooks: await listSubscribers(database, state.workspaceId, effect.news.type),
  body: JSON.stringify(messageOf(effect, state)),
});

/** A repeat has the same id, by which the receiver knows it. */
export const postWebhook: Perform<'post-webhook'> = async ({ webhook, id, body }, { state, database, config }) => {
  await deliver(database, config, { workspaceId: state.workspaceId, id: webhook }, { id, body });
  return null;
};

function messageOf({ at, turn, news }: EffectOf<'tell-webhooks'>, state: SessionState): WebhookMessage {
  const sent = { version: WEBHOOK_VERSION, at, workspace: state.workspaceId } as const;
  const session = { session: state.id, url: `${state.origin}/sessions/${state.id}`, turn };
  switch (news.type) {
    case 'session.finished':
      return { type: news.type, ...sent, data: { ...session, outcome: news.outcome } };
    case 'session.needs_you':
      return { type: news.type, ...sent, data: { ...session, reason: news.reason } };
  }
}
