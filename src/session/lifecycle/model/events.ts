/** Everything that can happen to an issue session. */
import type { FellBack } from '../../../claude-quota/model-choice.ts';
import type { Window } from '../../../claude-quota/windows.ts';
import type { HeldPush } from '../../../protocol/held-push.ts';
import type { EventBatch, SandboxStatus } from '../../../protocol/sandbox.ts';
import type { ContextItem } from '../issue-context.ts';
import type { IssueNews } from '../issue-news.ts';
import type { WishEdit } from '../start/wish-edits.ts';
import type { Access } from './admission.ts';
import type { Arrangement, Person } from './directives.ts';
import type { Effect } from './effects.ts';
import type { CheckpointNote } from './state.ts';

export type PromptSource = 'delegation' | 'mention' | 'comment' | 'page';

/** `options`: ids of those that were chosen; none: the text is the answer. */
export interface NamedAnswer {
  question: string;
  options: string[];
}

/** Why work is withdrawn. `no-access`: Cyrus was taken out of the issue's team. */
export type Withdrawal = 'unassigned' | 'completed' | 'canceled' | 'removed' | 'archived' | 'no-access' | 'uninstalled';

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
  /** The gateway holds a push back until people have allowed it, and has made the diff that they are shown. */
  | { type: 'push-held'; held: HeldPush }
  /** Something about the issue that Claude should know. `urgent`: also in the middle of a turn. */
  | { type: 'context-arrived'; id: string; item: ContextItem; urgent?: boolean; wishes?: WishEdit }
  /** The issue's title, team or labels are other ones now. */
  | { type: 'issue-told'; news: IssueNews }
  /** The issue is in another state; which one, Linear is to be asked. */
  | { type: 'status-changed'; id: string; author: string | null; at?: number }
  /** Linear notified the app user of a request; a thread should follow within seconds, and is opened where none does. */
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
  /** The line before a session has moved: 0 is its place among those at work, 1 is next. */
  | { type: 'place-changed'; place: number }
  /** The sandbox keeps its work elsewhere too. Fencing has been done by `fence`. */
  | { type: 'checkpointed'; checkpoint: CheckpointNote }
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

/** What an effect brings back. Of a start: the sandbox with what was decided, a question to a person, or a refusal. */
export type EffectResult =
  | {
      kind: 'started';
      repository: string;
      /** Name of the session's branch, as it was decided; left out by older versions. */
      branch?: string;
      /** What people have to know of that name; left out: nothing. */
      branchNote?: string;
      /** What was chosen, and why, for people; left out if this start chose nothing. */
      choice?: string;
      baseBranch: string;
      /** The base that the issue names; null or left out: the repository's own. */
      baseWish?: string | null;
      /** Where that is named; left out: not known. */
      baseWishBy?: 'issue' | 'comment';
      /** Digest of the workspace and the repository's clone address. */
      identity?: string;
      /** Author of its commits. */
      author?: { name: string; email: string };
      /** How the session's pull request stands; left out if there is none, or that is not known. */
      pullRequest?: { number: number; state: 'open' | 'closed' | 'merged' };
      arrangement: Arrangement;
      access: Access;
      status: SandboxStatus;
      /** Claude's limits as known at the start. */
      windows?: Window[];
      /** The limits do not allow the model that was wanted. */
      fellBack?: FellBack | null;
    }
  /** No turn can begin until an admin of Cyrus does something. */
  | { kind: 'blocked'; text: string }
  /** `question`: what people are asked; left out: which repository it is. */
  | { kind: 'unsure'; options: string[]; why?: string; question?: string; access: Access }
  | { kind: 'refused'; text: string; access: Access }
  /** `isLinears`: Linear had opened it, and will tell of it. */
  | { kind: 'thread'; agentSessionId: string; isLinears: boolean }
  /** The sandbox of this life is there no more, or has nothing of the session. */
  | { kind: 'lost'; generation: number }
  | { kind: 'pull-request'; state: 'opened' | 'updated'; number: number; url: string; draft: boolean }
  /** No pull request is opened here; the branch's page, where its address is known. */
  | { kind: 'branch'; url: string | null }
  /** Queue position of a session; 0: it has its slot. */
  | { kind: 'place'; place: number }
  /** How the issue stands now; `why`: the ground for work that is gone, if one is. */
  | { kind: 'issue'; news: IssueNews | null; why: Withdrawal | null }
  /** When there is room within Claude's limits, in ms since the epoch; null: not known. */
  | { kind: 'room'; at: number | null }
  | null;

/** The events of one type. */
export type EventOf<T extends SessionEvent['type']> = Extract<SessionEvent, { type: T }>;
