/** Everything that can happen to an issue session. */
import type { HeldPush } from '../../../protocol/held-push.ts';
import type { PullSummary } from '../../../protocol/pull-request.ts';
import type { EventBatch } from '../../../protocol/sandbox/batches.ts';
import type { ContextItem } from '../issue-context.ts';
import type { IssueNews, Withdrawal } from '../issue-news.ts';
import type { WishEdit } from '../start/wish-edits.ts';
import type { Person } from './directives.ts';
import type { EffectResult } from './effect-results.ts';
import type { Effect } from './effects.ts';
import type { CheckpointNote } from './state.ts';

export type PromptSource = 'delegation' | 'mention' | 'comment' | 'page';

/** `options`: ids of those that were chosen; none: the text is the answer. */
export interface NamedAnswer {
  question: string;
  options: string[];
}

/** A secret that was met. `name`: what it is called; `place`: in what of the session's it was, where it was no request and no push. */
export interface MetSecret {
  kind: 'decoy' | 'token' | 'deployment';
  name: string;
  place?: string;
}

export type SessionEvent =
  /** A person asks for something: by delegating the issue, mentioning the agent, commenting, or on the live page. */
  | {
      type: 'prompted';
      promptId: string;
      /** Linear's thread; null for a prompt from the live page, which joins the latest thread. */
      agentSessionId: string | null;
      author: string | null;
      /** Who that is, for rules on who may ask; null where Linear does not say. */
      person: Person | null;
      source: PromptSource;
      /** What the journal shows. What Claude is given is kept beside the outbox. */
      text: string;
      /** The question that it answers, by its id; null: none at all; left out where it does not say. */
      answers?: NamedAnswer | null;
      /** When it was asked, by Linear's clock, in ms since the epoch; left out: just now. */
      at?: number;
      /** The comment in Linear that says it; left out where it is none. */
      commentId?: string;
      /** Of a new thread: the addresses that it bore when Linear told of it; left out where there was none. */
      links?: string[];
    }
  | {
      type: 'stop-requested';
      id: string;
      agentSessionId: string | null;
      author: string | null;
      source: 'comment' | 'page';
      /** When it was asked, by Linear's clock, in ms since the epoch; left out: just now. */
      at?: number;
    }
  /** The ground for the work is gone: what runs is stopped, and the thread is told why. */
  | {
      type: 'withdrawn';
      id: string;
      why: Withdrawal;
      author: string | null;
      teamIds: string[];
      /** When it happened, by Linear's clock, in ms since the epoch; left out: just now. */
      at?: number;
    }
  /**
   * A secret was about to leave the sandbox: something in there collects them. `commit`: it is in this commit; `pushed`: which the
   * git host has by now. Left out, and without a `secret.place`: in a request to `host`, which was not let through.
   */
  | { type: 'alarm-raised'; id: string; host: string; commit?: { id: string; pushed: boolean }; secret?: MetSecret }
  /** GitHub has news of the session's pull request: it is asked what they are. */
  | {
      type: 'pull-request-news';
      number: number;
      topic: 'state' | 'reviews' | 'checks';
      /** How long what people write is gathered, in ms; left out: a minute. */
      gatherMs?: number;
    }
  /** GitHub said what became of the pull request, to somebody who looks at the session. */
  | { type: 'pull-request-seen'; number: number; seen: PullSummary }
  /** The gateway holds a push back until people have allowed it, and has made the diff that they are shown. */
  | { type: 'push-held'; held: HeldPush }
  /** Something about the issue that Claude should know. `urgent`: also in the middle of a turn. */
  | { type: 'context-arrived'; id: string; item: ContextItem; urgent?: boolean; wishes?: WishEdit }
  /** The issue's title, team or labels are other ones now. */
  | { type: 'issue-told'; news: IssueNews }
  /** The issue is in another state; which one, Linear is to be asked. */
  | { type: 'status-changed'; id: string; author: string | null; at?: number }
  /** Linear notified the app user of a request; a thread should follow within seconds, and is opened if none does. */
  | {
      type: 'thread-expected';
      promptId: string;
      commentId: string | null;
      author: string | null;
      person: Person | null;
      text: string;
      /** When Linear sent it first, in ms since the epoch; left out: just now. */
      at?: number;
    }
  /** The sandbox reports; an empty batch says that it lives. Fencing has been done by `fence`. */
  | {
      type: 'sandbox-reported';
      batch: EventBatch;
      /** Bytes that were stored for the session in this hour; left out: as was known. */
      stored?: number;
      /** Bytes that it may bring in within an hour; left out: `DEFAULT_MOST_BYTES`. */
      mostBytes?: number;
    }
  | { type: 'effect-done'; effect: Effect; result: EffectResult }
  /** An effect was given up. */
  | { type: 'effect-failed'; effect: Effect; attempts: number; error: string; hint: string | null }
  /** The queue has moved. `position`: the session's; 0: it has a slot, 1: it is next. */
  | { type: 'queue-moved'; position: number }
  /** The sandbox keeps its work elsewhere too. Fencing has been done by `fence`. */
  | { type: 'checkpointed'; checkpoint: CheckpointNote }
  /** It was kept long enough, and is deleted. */
  | { type: 'checkpoint-removed' }
  /** The platform says that the sandbox of this life has ended, and its disk with it. */
  | { type: 'sandbox-ended'; generation: number }
  /** The sandbox of this life was silent, and does not answer either. */
  | { type: 'sandbox-unreachable'; generation: number }
  /** An effect failed and is tried again. `reason`: what is waited for, for people. */
  | { type: 'effect-delayed'; effect: Effect; attempts: number; reason: string }
  /** Cyrus is paused, and the turn's start is held back; or no longer. */
  | { type: 'start-held'; isHeld: boolean }
  /** The wall clock was set. @param by ms, forward or back */
  | { type: 'clock-moved'; by: number }
  /** A deadline of `nextDeadline` passed. */
  | { type: 'deadline' };

/** The events of one type. */
export type EventOf<T extends SessionEvent['type']> = Extract<SessionEvent, { type: T }>;
