/** Everything that can happen to an issue session. */
import type { EventBatch, SandboxStatus } from '../protocol/sandbox.ts';
import type { Effect } from './effects.ts';

export type PromptSource = 'delegation' | 'mention' | 'comment' | 'page';

export type SessionEvent =
  /** A person asks for something: by delegating the issue, mentioning the agent, commenting, or on the live page. */
  | {
      type: 'prompted';
      promptId: string;
      /** Linear's thread; null for a prompt from the live page, which joins the latest thread. */
      agentSessionId: string | null;
      author: string | null;
      source: PromptSource;
      /** What the journal shows. What Claude is given is kept beside the outbox. */
      text: string;
    }
  | {
      type: 'stop-requested';
      id: string;
      agentSessionId: string | null;
      author: string | null;
      source: 'comment' | 'page';
    }
  /** The sandbox reports; an empty batch says that it lives. Fencing has been done by `fence`. */
  | { type: 'sandbox-reported'; batch: EventBatch }
  | { type: 'effect-done'; effect: Effect; result: EffectResult }
  /** An effect was given up. */
  | { type: 'effect-failed'; effect: Effect; attempts: number; error: string; hint: string | null }
  /** A deadline of `nextDeadline` passed. */
  | { type: 'deadline' };

/** What an effect brings back. Only a sandbox start brings anything. */
export type EffectResult = { repository: string; status: SandboxStatus } | null;
