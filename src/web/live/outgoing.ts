/**
 * Messages written on this page that the journal does not show yet. Pure. A message keeps the id the page chose, so that
 * sending it again (after a network loss, after a reload, from another tab) prompts once.
 */
import * as z from 'zod';
import type { JournalEntry } from '../../protocol/journal.ts';
import type { SessionView } from '../../protocol/viewer.ts';

export const outgoingSchema = z.object({
  /** UUID; the prompt entry carries it as `promptId`. */
  id: z.uuid(),
  text: z.string(),
  /** When it was written, by this machine's clock, in ms since the epoch. */
  at: z.number(),
  /** Its place among the others, ascending; left out by earlier versions: `at`. */
  order: z.number().optional(),
  /** Number of the turn after which it is to be sent; left out: as soon as possible. */
  afterTurn: z.number().int().nonnegative().optional(),
  /**
   * `pending`: no try to send it has begun; `held`: it is sent only when a person says so; `sending`: the server may have it;
   * `accepted`: it has, and the journal does not show it yet; `refused` until a person decides.
   */
  state: z.enum(['pending', 'held', 'sending', 'accepted', 'refused']),
  /** Why it is held, was refused or is still being tried. */
  message: z.string().optional(),
});
export type Outgoing = z.infer<typeof outgoingSchema>;

/** What decides whether a message may be sent now. `isLive`: the page is connected, so `session` is how it is now. */
export interface Situation {
  readonly session: Pick<SessionView, 'turn' | 'phase' | 'lastOutcome'> | null;
  readonly isLive: boolean;
}

/** What became of a message: the server has it, or will not take it and says why, or it shall be sent again. */
export type Delivery =
  | { state: 'accepted' }
  | { state: 'refused'; message: string }
  | { state: 'sending'; message?: string };

/** What a message waits for: the end of a turn, the connection, a person; null: nothing, it is on its way. */
export type Wait = 'turn' | 'connection' | 'person' | null;

/** A message that was written longer ago than this on a page that was closed meanwhile is not sent unasked, ms. */
const STALE_MS = 60 * 60_000;

/** Its place among the others. */
export function orderOf({ order, at }: Outgoing): number {
  return order ?? at;
}

/** The messages in the order in which they are sent. */
export function inOrder(messages: Iterable<Outgoing>): readonly Outgoing[] {
  return [...messages].toSorted((one, other) => orderOf(one) - orderOf(other) || one.at - other.at);
}

/** A message with its delivery noted. */
export function delivered(message: Outgoing, delivery: Delivery): Outgoing {
  const { message: _, ...rest } = message;
  return { ...rest, ...delivery };
}

/** A message that is to be sent as soon as possible. */
export function released(message: Outgoing): Outgoing {
  const { message: _, afterTurn: _turn, ...rest } = message;
  return { ...rest, state: 'pending' };
}

/** A message that waits for a person. @param why as a sentence; left out: somebody edits it */
export function held(message: Outgoing, why?: string): Outgoing {
  const { message: _, ...rest } = message;
  return { ...rest, state: 'held', ...(why !== undefined && { message: why }) };
}

/** A message whose edit was given up; one that was held for a reason stays held. */
export function unheld(message: Outgoing): Outgoing {
  return message.state === 'held' && message.message === undefined ? { ...message, state: 'pending' } : message;
}

/** What a message waits for. */
export function waitOf({ state, afterTurn }: Outgoing, { session, isLive }: Situation): Wait {
  switch (state) {
    case 'held':
    case 'refused':
      return 'person';
    case 'sending':
    case 'accepted':
      return null;
    case 'pending':
      if (afterTurn !== undefined && !isOver(afterTurn, session)) return 'turn';
      return isLive ? null : 'connection';
  }
}

function isOver(turn: number, session: Situation['session']): boolean {
  return session !== null && (session.turn > turn || session.phase === 'waiting');
}

/** Whether it can still be edited and withdrawn: the server cannot have it. */
export function isUnsent({ state }: Outgoing): boolean {
  return state === 'pending' || state === 'held' || state === 'refused';
}

/**
 * The next message to send: one at a time and in order, so that they arrive as they were written. What waits for the end of a turn, or
 * for a person, lets later ones pass. What waits for the connection is tried too: who sends it finds out first whether there is one.
 */
export function nextToSend(messages: readonly Outgoing[], situation: Situation): Outgoing | null {
  const isNext = (message: Outgoing) => {
    if (message.state === 'sending') return true;
    if (message.state !== 'pending') return false;
    return message.afterTurn === undefined || waitOf(message, situation) === null;
  };
  return messages.find(isNext) ?? null;
}

/** Messages for the end of a turn that was stopped or failed, held: what they ask for may not fit any more. */
export function heldByOutcome(messages: readonly Outgoing[], { session, isLive }: Situation): readonly Outgoing[] {
  if (!isLive || session === null || session.phase !== 'waiting') return [];
  const { turn, lastOutcome } = session;
  if (lastOutcome === null || lastOutcome === 'completed') return [];
  const why = `The turn ${lastOutcome === 'stopped' ? 'was stopped' : 'failed'}, so this was not sent.`;
  return messages
    .filter(({ state, afterTurn }) => state === 'pending' && afterTurn === turn)
    .map((message) => held(message, why));
}

/**
 * What a page that is opened does with a message that was kept.
 * @returns null: it is forgotten, for the journal shows what the server had accepted
 */
export function reopened(message: Outgoing, now: number): Outgoing | null {
  if (message.state === 'accepted') return null;
  if (message.state !== 'pending' || now - message.at < STALE_MS) return message;
  return held(message, 'This was written a while ago and not sent before the page was closed.');
}

/** The ids of the messages that the entries show. */
export function shownIn(messages: readonly Outgoing[], entries: readonly JournalEntry[]): readonly string[] {
  if (messages.length === 0) return [];
  const shown = new Set<string>();
  for (const entry of entries) {
    if (entry.kind === 'prompt') shown.add(entry.promptId);
    if (entry.kind === 'stop-requested' && entry.promptId !== undefined) shown.add(entry.promptId);
  }
  return messages.filter(({ id }) => shown.has(id)).map(({ id }) => id);
}
