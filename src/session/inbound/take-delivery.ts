/** Takes in what a person asked, once, with the text that Claude is given for it. */
import { contextBeside, contextText, saidBy } from '../lifecycle/issue-context.ts';
import { withNews } from '../lifecycle/issue-news.ts';
import type { SessionState } from '../lifecycle/model/state.ts';
import { closedAnswer } from '../lifecycle/questions/open-question.ts';
import type { Deliveries } from '../storage/seen-deliveries.ts';
import type { SessionEngine } from '../storage/session-engine.ts';
import type { StateStore } from '../storage/state-store.ts';
import type { Accepted, Delivery } from './delivery.ts';

/** What taking in a delivery needs of its session. */
export interface DeliveryTaker {
  engine: SessionEngine;
  deliveries: Deliveries;
  states: StateStore;
  /** The session that begins with a delivery. */
  begin(about: NonNullable<Delivery['about']>, delivery: Delivery, now: number): SessionState;
  /** Makes the tables, in the transaction of the first delivery. */
  createTables(): void;
}

/**
 * Durable before it returns. A delivery seen before changes nothing.
 * @param now ms since the epoch
 * @returns `no-such-session`: nothing has begun here, and this delivery does not begin anything
 * @throws what the storage throws; nothing has changed then
 */
export function takeDelivery(taker: DeliveryTaker, delivery: Delivery, now: number): Accepted {
  const { engine, deliveries, states } = taker;
  const isFirst = engine.state === null;
  const state = engine.state ?? (delivery.about && taker.begin(delivery.about, delivery, now));
  if (!state) return 'no-such-session';
  const { issueNews } = delivery;
  if (!isFirst && issueNews && withNews(state, issueNews) !== state) {
    // By itself, because it holds whatever becomes of the rest: the newest news counts, in whatever order they come.
    engine.commit(() => ({ state, event: { type: 'issue-told', news: issueNews } }));
  }
  let closed: string | null = null;
  const isTaken = engine.commit(() => {
    if (isFirst) taker.createTables();
    const { event, promptText } = delivery;
    const late = closedAnswer(state, event);
    if (late !== null) {
      // The repeat of an answer that was taken is no late one.
      closed = deliveries.knows(delivery.deliveryId) ? null : late;
      return null;
    }
    if (!deliveries.note(delivery.deliveryId, delivery.contentKey, now)) return null;
    if ('promptId' in event && promptText) {
      const text = isFirst ? promptText.first : promptText.followUp;
      const { commentId } = event;
      const beside = contextBeside(
        state.context,
        commentId ? { commentId } : { said: saidBy(event.person?.id ?? null, event.text) },
      );
      states.keepPrompt(event.promptId, [...beside.map(contextText), text].join('\n\n'));
    }
    return { state: engine.state ?? state, event };
  });
  if (closed !== null) return { closed };
  return isTaken ? 'accepted' : 'duplicate';
}
