/**
 * Effects: what is to be done outside the issue session. They are written to the outbox in the same transaction as the
 * state that calls for them, and carried out until they succeed or are given up. What else is known of a kind is its
 * definition, in `../effects/`.
 */
import type { PlanItem } from '../../../claude/plan.ts';
import type { TurnOutcome } from '../../../protocol/journal.ts';
import type { Decision } from '../../../protocol/sandbox/commands.ts';
import type { AnswerPlace } from '../pull-request/following.ts';
import type { Message } from './messages.ts';
import type { Urgency } from './post-pacing.ts';

/** What an agent session shows beside its activities; what is left out stays as it is. */
export interface ThreadChange {
  /** Claude's plan, the whole of it. */
  plan?: Omit<PlanItem, 'id'>[];
  /** Added; Linear keeps one entry for each address. */
  urls?: { label: string; url: string }[];
  /** What the thread is about, in one line. */
  title?: string;
}

/** What webhooks are told of a session. */
export type WebhookNews =
  | { type: 'session.finished'; outcome: TurnOutcome }
  | { type: 'session.needs_you'; reason: 'question' | 'permission' | 'failure' };

export type Effect =
  /**
   * Post one activity to a Linear agent session. `id` is the UUID v4 that makes a repeat harmless. `dueAt`: not before,
   * unless something that is due goes to the same thread; ms since the epoch. `urgency`: as it was decided when it was
   * said; left out in effects stored by earlier versions, see `urgencyOf`.
   */
  | { kind: 'say'; agentSessionId: string; id: string; activity: Message; dueAt?: number; urgency?: Urgency }
  /** Change what an agent session shows beside its activities. */
  | { kind: 'show'; agentSessionId: string; change: ThreadChange; dueAt?: number }
  /** Open a thread on the issue, or on a comment of it, where Linear did not by itself. */
  | { kind: 'open-thread'; promptId: string; issueId: string; commentId: string | null }
  /**
   * Move the issue to its team's first started state, unless it is started or finished already. `delegate`: become its
   * delegate, where it has none.
   */
  | { kind: 'start-issue'; issueId: string; delegate: boolean }
  /** Ask Linear for the state of the issue. `author`: who changed it; `at`: when, in ms since the epoch. */
  | { kind: 'look-at-issue'; issueId: string; author: string | null; at: number }
  /**
   * Bring up the sandbox of this generation, or find it running. `look`: it was silent, and prompts went before, so that it
   * should be at work.
   */
  | { kind: 'start-sandbox'; generation: number; look?: boolean }
  /** Hand a prompt to Claude. Its text is kept beside the outbox, by id; `preface` is put in front of it; `recap`: what was done so far, too. */
  | { kind: 'prompt-sandbox'; promptId: string; turn: number; preface?: string; recap?: boolean }
  /** Hand people's answer to a question of Claude's to the tool that waits for it. */
  | { kind: 'answer-sandbox'; id: string; requestId: string; input: Record<string, unknown> }
  /** Hand what was decided to the tool that asks to be let run. `call`: what it would do, in short words; `key` names it for a grant. */
  | { kind: 'decide-sandbox'; id: string; requestId: string; call: string; key: string | null; decision: Decision }
  /** `inOrder`: after the prompts before it and before those after it, instead of at once. */
  | { kind: 'stop-sandbox'; id: string; turn: number; inOrder?: boolean }
  /** Delete what a sandbox server keeps of this life and those before; nothing goes on from it. */
  | { kind: 'purge-sandbox'; generation: number }
  /** Ask when an account of Claude's has room for a parked session. */
  | { kind: 'find-room' }
  /** Ask for a slot among the workspace's sessions that are at work, or for the queue position. */
  | { kind: 'request-slot'; turn: number }
  /** Give the slot back, for this turn and those before it. */
  | { kind: 'release-slot'; turn: number }
  /**
   * Open a pull request for the branch, or update the open one. `head`: commit it is at; `subject`: of its first
   * commit; `summary`: what Claude answered; `threads`: agent sessions that are told; `template`: the repository's own, to be filled in.
   */
  | {
      kind: 'open-pull-request';
      turn: number;
      head: string;
      subject: string;
      summary: string;
      threads: string[];
      template?: string;
    }
  /** Ask GitHub what became of the session's pull request. `reviews`: and what people wrote there. */
  | { kind: 'look-at-pull-request'; number: number; reviews?: true }
  /**
   * Answer the threads of a review, once each: `id` is the UUID v4 by which a repeat knows what is there. `turn`: whose commits are named.
   * `reviewers`: logins of those who are asked to look again, if there are such commits.
   */
  | {
      kind: 'answer-review';
      id: string;
      number: number;
      turn: number;
      answers: { number: number; place: AnswerPlace; body: string }[];
      reviewers: string[];
    }
  /** Attach a pull request to the issue. `id` is the UUID v4 that makes a repeat harmless. */
  | { kind: 'attach-pull-request'; id: string; issueId: string; number: number; url: string }
  /** Write the session's row for lists into D1. */
  | { kind: 'index-session' }
  /** Write the turn's log to R2. */
  | { kind: 'archive-turn'; turn: number }
  /** Find the workspace's webhooks that are told of this. `id`: of the message, for those who receive it; `at`: when it happened, in ms since the epoch. */
  | { kind: 'tell-webhooks'; id: string; at: number; turn: number; news: WebhookNews }
  /** Post a message to one webhook. `webhook`: its id; `body`: JSON, the same for each attempt. */
  | { kind: 'post-webhook'; webhook: string; id: string; body: string };

export type EffectKind = Effect['kind'];

/** The effect of a kind. */
export type EffectOf<K extends EffectKind> = Extract<Effect, { kind: K }>;

/** The lane of starts and prompts; emptied when a stop makes them pointless. */
export const SANDBOX_LANE = 'sandbox';

/** The lane of deletions on sandbox servers; emptied when the session starts a sandbox again. */
export const PURGE_LANE = 'purge';

/** The lane of pull requests. */
export const PULL_REQUEST_LANE = 'pull-request';

/** What one request to Linear carries: activities of a thread in their order, and what changes beside them. */
export type ThreadEffect = EffectOf<'say' | 'show'>;

export function isThreadEffect(effect: Effect): effect is ThreadEffect {
  return effect.kind === 'say' || effect.kind === 'show';
}

/** How urgent it is that an activity is in Linear, if nothing else was decided. */
export function urgencyOf({ content, ephemeral }: Message): Urgency {
  if (ephemeral) return 'passing';
  return content.type === 'thought' || content.type === 'action' ? 'news' : 'answer';
}

/** Whether a person waits for this: an answer, an error, a question, an acknowledgement. */
export function isAwaited(effect: Effect): boolean {
  return effect.kind === 'say' && (effect.urgency ?? urgencyOf(effect.activity)) === 'answer';
}

/** Whether Linear removes it as soon as the next activity arrives, and nobody waits for it. */
export function isPassing(effect: Effect): boolean {
  return effect.kind === 'say' && effect.activity.ephemeral && !isAwaited(effect);
}

/** When an effect that was called for now is due, in ms since the epoch. */
export function dueTime(effect: Effect, now: number): number {
  return isThreadEffect(effect) ? (effect.dueAt ?? now) : now;
}
