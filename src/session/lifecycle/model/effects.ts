/**
 * Effects: what is to be done outside the issue session. They are written to the outbox in the same transaction as the
 * state that calls for them, and carried out until they succeed or are given up.
 */
import type { PlanItem } from '../../../claude/plan.ts';
import type { Activity } from '../../../linear/activities.ts';
import type { Decision } from '../../../protocol/sandbox.ts';
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

export type Effect =
  /**
   * Post one activity to a Linear agent session. `id` is the UUID v4 that makes a repeat harmless. `dueAt`: not before,
   * unless something that is due goes to the same thread; ms since the epoch. `urgency`: as it was decided when it was
   * said; left out in effects stored by earlier versions, see `urgencyOf`.
   */
  | { kind: 'say'; agentSessionId: string; id: string; activity: Activity; dueAt?: number; urgency?: Urgency }
  /** Change what an agent session shows beside its activities. */
  | { kind: 'show'; agentSessionId: string; change: ThreadChange; dueAt?: number }
  /** Open a thread on the issue, or on a comment of it, where Linear did not by itself. */
  | { kind: 'open-thread'; promptId: string; issueId: string; commentId: string | null }
  /**
   * Move the issue to its team's first started state, unless it is started or finished already. `delegate`: become its
   * delegate, where it has none.
   */
  | { kind: 'start-issue'; issueId: string; delegate: boolean }
  /** Ask Linear how the issue stands. `author`: who changed it; `at`: when, in ms since the epoch. */
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
  /** Ask when an account of Claude's has room for a parked session. */
  | { kind: 'find-room' }
  /** Ask for a slot among the workspace's sessions that are at work, or for the queue position. */
  | { kind: 'ask-place'; turn: number }
  /** Give the place back, for this turn and those before it. */
  | { kind: 'give-place'; turn: number }
  /**
   * Open a pull request for the branch, or update the open one. `head`: commit it stands at; `subject`: of its first
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
  /** Attach a pull request to the issue. `id` is the UUID v4 that makes a repeat harmless. */
  | { kind: 'attach-pull-request'; id: string; issueId: string; number: number; url: string }
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
    case 'show':
      return `linear:${effect.agentSessionId}`;
    case 'open-thread':
    case 'start-issue':
    case 'attach-pull-request':
      return 'issue';
    case 'look-at-issue':
      return 'issue-state';
    case 'open-pull-request':
      return PULL_REQUEST_LANE;
    case 'start-sandbox':
    case 'prompt-sandbox':
    case 'answer-sandbox':
    case 'decide-sandbox':
      return SANDBOX_LANE;
    case 'stop-sandbox':
      return effect.inOrder ? SANDBOX_LANE : 'stop';
    case 'find-room':
      return 'room';
    case 'ask-place':
    case 'give-place':
      return 'place';
    case 'index-session':
      return 'index';
    case 'archive-turn':
      return 'archive';
  }
}

/** The lane of starts and prompts; emptied when a stop makes them pointless. */
export const SANDBOX_LANE = 'sandbox';

/** The lane of pull requests. */
export const PULL_REQUEST_LANE = 'pull-request';

/** True where a newer effect of the lane makes this one pointless, so that it need not be carried out any more. */
export function isSuperseded(effect: Effect, laterInLane: Effect[]): boolean {
  switch (effect.kind) {
    case 'say':
      // Linear removes an ephemeral activity as soon as the next one arrives.
      // What a person waits for is not replaced by what is still being gathered.
      return (
        effect.activity.ephemeral &&
        laterInLane.some((later) => later.kind === 'say' && (later.dueAt === undefined || !isAwaited(effect)))
      );
    case 'show':
      return isShownLater(effect.change, laterInLane);
    case 'index-session':
    case 'open-pull-request':
    case 'look-at-issue':
      return laterInLane.length > 0;
    default:
      return false;
  }
}

/** Of plans and titles the last counts; addresses add up. */
function isShownLater({ plan, title, urls }: ThreadChange, later: Effect[]): boolean {
  const changes = later.flatMap((effect) => (effect.kind === 'show' ? [effect.change] : []));
  return (
    urls === undefined &&
    (plan === undefined || changes.some((change) => change.plan)) &&
    (title === undefined || changes.some((change) => change.title !== undefined))
  );
}

/** What one request to Linear carries: activities of a thread in their order, and what changes beside them. */
export type ThreadEffect = Extract<Effect, { kind: 'say' | 'show' }>;

export function isThreadEffect(effect: Effect): effect is ThreadEffect {
  return effect.kind === 'say' || effect.kind === 'show';
}

/** How urgent it is that an activity is in Linear, where nothing else was decided. */
export function urgencyOf({ content, ephemeral }: Activity): Urgency {
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

function describeChange({ plan, urls, title }: ThreadChange): string {
  const parts = [plan && 'the plan', urls?.map(({ label }) => label).join(', '), title && 'the title'];
  return `Showing ${parts.filter(Boolean).join(' and ')} in Linear`;
}

/** For people: what an effect was about. */
export function describeEffect(effect: Effect): string {
  switch (effect.kind) {
    case 'say':
      return `Posting a ${effect.activity.content.type} to Linear`;
    case 'show':
      return describeChange(effect.change);
    case 'open-thread':
      return 'Opening a thread in Linear';
    case 'start-issue':
      return 'Moving the issue to a started state';
    case 'look-at-issue':
      return 'Asking Linear for the state of the issue';
    case 'start-sandbox':
      return 'Starting the sandbox';
    case 'prompt-sandbox':
      return 'Sending the prompt to the sandbox';
    case 'answer-sandbox':
      return 'Sending the answer to Claude';
    case 'decide-sandbox':
      return 'Sending a permission to Claude';
    case 'stop-sandbox':
      return 'Stopping the sandbox';
    case 'find-room':
      return "Checking Claude's limits";
    case 'ask-place':
      return "Requesting a slot in the workspace's queue";
    case 'give-place':
      return "Releasing the slot in the workspace's queue";
    case 'open-pull-request':
      return 'Opening the pull request';
    case 'attach-pull-request':
      return 'Linking the pull request in Linear';
    case 'index-session':
      return 'Updating the list of sessions';
    case 'archive-turn':
      return `Archiving turn ${effect.turn}`;
  }
}
