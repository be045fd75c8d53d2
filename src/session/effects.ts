/**
 * Effects: what is to be done outside the issue session. They are written to the outbox in the same transaction as the
 * state that calls for them, and carried out until they succeed or are given up.
 */
import type { PlanItem } from '../claude/plan.ts';
import type { Activity } from '../linear/activities.ts';

export type Effect =
  /** Post one activity to a Linear agent session. `id` is the UUID v4 that makes a repeat harmless. */
  | { kind: 'say'; agentSessionId: string; id: string; activity: Activity }
  /** Show Claude's plan in the agent session, the whole of it. */
  | { kind: 'show-plan'; agentSessionId: string; plan: Omit<PlanItem, 'id'>[] }
  /** Show the live page as external URL of the agent session. */
  | { kind: 'link-page'; agentSessionId: string }
  /** Open a thread on the issue, or on a comment of it, where Linear did not by itself. */
  | { kind: 'open-thread'; promptId: string; issueId: string; commentId: string | null }
  /** Move the issue to its team's first started state, unless it is started or finished already. */
  | { kind: 'start-issue'; issueId: string }
  /** Bring up the sandbox of this generation, or find it running. */
  | { kind: 'start-sandbox'; generation: number }
  /** Hand a prompt to Claude. Its text is kept beside the outbox, by id. */
  | { kind: 'prompt-sandbox'; promptId: string; turn: number }
  /** Hand people's answer to a question of Claude's to the tool that waits for it. */
  | { kind: 'answer-sandbox'; id: string; requestId: string; input: Record<string, unknown> }
  /** `inOrder`: after the prompts before it and before those after it, instead of at once. */
  | { kind: 'stop-sandbox'; id: string; turn: number; inOrder?: boolean }
  /** Write the session's row for lists into D1. */
  | { kind: 'index-session' }
  /** Write the turn's log to R2. */
  | { kind: 'archive-turn'; turn: number };

/**
 * Effects of one lane are carried out one after the other, in their order; lanes do not wait for each other.
 * A stop has a lane of its own, so that it never waits behind a start that is being retried.
 */
export function laneOf(effect: Effect): string {
  switch (effect.kind) {
    case 'say':
    case 'link-page':
    case 'show-plan':
      return `linear:${effect.agentSessionId}`;
    case 'open-thread':
    case 'start-issue':
      return 'issue';
    case 'start-sandbox':
    case 'prompt-sandbox':
    case 'answer-sandbox':
      return SANDBOX_LANE;
    case 'stop-sandbox':
      return effect.inOrder ? SANDBOX_LANE : 'stop';
    case 'index-session':
      return 'index';
    case 'archive-turn':
      return 'archive';
  }
}

/** The lane of starts and prompts; emptied when a stop makes them pointless. */
export const SANDBOX_LANE = 'sandbox';

/** How often an effect is tried before it is given up. With the backoff of outbox.ts, 12 tries take about half an hour. */
export function attemptLimit(effect: Effect): number {
  switch (effect.kind) {
    case 'start-sandbox':
    case 'prompt-sandbox':
      return 10;
    case 'stop-sandbox':
      return 5;
    default:
      return 12;
  }
}

/** True where a newer effect of the lane makes this one pointless, so that it need not be carried out any more. */
export function isSuperseded(effect: Effect, laterInLane: Effect[]): boolean {
  switch (effect.kind) {
    case 'say':
      // Linear removes an ephemeral activity as soon as the next one arrives.
      return effect.activity.ephemeral && laterInLane.some((later) => later.kind === 'say');
    case 'index-session':
      return laterInLane.length > 0;
    case 'show-plan':
      return laterInLane.some((later) => later.kind === 'show-plan');
    default:
      return false;
  }
}

/** For people: what an effect was about. */
export function describeEffect(effect: Effect): string {
  switch (effect.kind) {
    case 'say':
      return `Posting a ${effect.activity.content.type} to Linear`;
    case 'show-plan':
      return 'Showing the plan in Linear';
    case 'link-page':
      return 'Linking the live page in Linear';
    case 'open-thread':
      return 'Opening a thread in Linear';
    case 'start-issue':
      return 'Moving the issue to started';
    case 'start-sandbox':
      return 'Starting the sandbox';
    case 'prompt-sandbox':
      return 'Handing the prompt to the sandbox';
    case 'answer-sandbox':
      return 'Handing the answer to Claude';
    case 'stop-sandbox':
      return 'Stopping the sandbox';
    case 'index-session':
      return 'Updating the list of sessions';
    case 'archive-turn':
      return `Archiving turn ${effect.turn}`;
  }
}
