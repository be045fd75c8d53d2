/** What an issue session waits for at most, derived from its state: nothing is scheduled that could be forgotten. */
import { SECOND_LOOK_MS } from '../../../kernel/second-look.ts';
import { nextLook } from '../pull-request/following.ts';
import { currentTurn, threadsOf } from './phases.ts';
import { type SessionState, threadKnown } from './state.ts';

/** A sandbox with a turn in progress says something every 10 s; after this long it is looked for. */
export const SANDBOX_SILENCE_MS = 45_000;
/** A stop that the sandbox does not confirm is final after this long. */
export const STOP_LIMIT_MS = 10_000;
/** Committing and pushing may take this long. */
export const SAVE_LIMIT_MS = 180_000;
/** A turn's answer waits this long for its pull request. */
export const PROPOSAL_LIMIT_MS = 60_000;
/** Linear calls a session stale after 30 min without an activity (docs: linear.app/developers/agents). */
export const LINEAR_HEARTBEAT_MS = 10 * 60_000;

/** A request that Linear notified of opens a thread by itself if none has arrived after this long. */
export const THREAD_LIMIT_MS = 20_000;

/** A sandbox is not kept running longer than this for the answer to a question. */
export const PARK_MS = 15 * 60_000;

/** A tool that asks to be let run is denied after this long. */
export const PERMISSION_LIMIT_MS = 10 * 60_000;

/** A parked session asks this often whether an account has room earlier than expected. */
export const ROOM_POLL_MS = 10 * 60_000;
/** How often a queued session asks for its queue position, in case a notification was lost. */
export const SLOT_POLL_MS = 60_000;

/** What a sandbox server keeps of an issue that is over is deleted after this long: somebody may open it again at once. */
export const DISK_KEPT_OVER_MS = 3_600_000;
/** The same of any other session at rest; it goes on from its checkpoint. */
export const DISK_KEPT_MS = 14 * 24 * 3_600_000;

export type Deadline =
  | {
      name:
        | 'edit'
        | 'purge'
        | 'stop'
        | 'save'
        | 'proposal'
        | 'silence'
        | 'thread'
        | 'park'
        | 'permission'
        | 'resume'
        | 'room'
        | 'slot'
        | 'pull-request';
      at: number;
    }
  | { name: 'heartbeat'; at: number; agentSessionId: string };

/** Every deadline that the state implies; times in milliseconds since the epoch. */
export function deadlines(state: SessionState): Deadline[] {
  const { expectedThread } = state;
  const thread: Deadline[] = expectedThread ? [{ name: 'thread', at: expectedThread.since + THREAD_LIMIT_MS }] : [];
  const edit: Deadline[] = state.editDue ? [{ name: 'edit', at: state.editDue.at }] : [];
  const lookAt = nextLook(state);
  const look: Deadline[] = lookAt === null ? [] : [{ name: 'pull-request', at: lookAt }];
  return [...thread, ...edit, ...look, ...phaseDeadlines(state)];
}

function phaseDeadlines(state: SessionState): Deadline[] {
  const { phase, sandbox } = state;
  switch (phase.name) {
    case 'waiting': {
      const at = purgeAt(state, phase.since);
      return at === null ? [] : [{ name: 'purge', at }];
    }
    case 'asking':
      if (phase.about.kind === 'permission') return [{ name: 'permission', at: phase.since + PERMISSION_LIMIT_MS }];
      return phase.about.kind === 'claude' && phase.about.isLive ? [{ name: 'park', at: phase.since + PARK_MS }] : [];
    case 'parked':
      return [
        { name: 'resume', at: phase.until },
        { name: 'room', at: phase.askAt + ROOM_POLL_MS },
        ...heartbeats(state, phase.since, 2 * LINEAR_HEARTBEAT_MS),
      ];
    case 'queued':
      return [
        { name: 'slot', at: phase.askAt + SLOT_POLL_MS },
        ...heartbeats(state, phase.since, 2 * LINEAR_HEARTBEAT_MS),
      ];
    case 'stopping':
      return [{ name: 'stop', at: phase.since + STOP_LIMIT_MS }];
    case 'saving':
      if (phase.stopSent !== undefined) return [{ name: 'stop', at: phase.since + STOP_LIMIT_MS }];
      if (phase.proposes) return [{ name: 'proposal', at: phase.since + PROPOSAL_LIMIT_MS }];
      return [
        { name: 'save', at: phase.since + SAVE_LIMIT_MS },
        { name: 'silence', at: sandbox.heardAt + SANDBOX_SILENCE_MS },
      ];
    case 'starting':
      if (phase.isHeld) return heartbeats(state, phase.since, 2 * LINEAR_HEARTBEAT_MS);
      return whileAtWork(state, phase.since);
    case 'working':
      return whileAtWork(state, phase.since);
  }
}

/** When it is looked whether the files of a session at rest are to be deleted on its sandbox server; null: there are none there, or something still runs. */
function purgeAt(
  { sandbox, arrangement, background, queue, saveDue, overAt, purgeDueAt }: SessionState,
  since: number,
): number | null {
  // A container's disk ends with it.
  const isOnServer = arrangement?.placement !== undefined && arrangement.placement.kind !== 'container';
  if (!isOnServer || sandbox.streamId === null || queue.length > 0 || background || saveDue != null) return null;
  const kept = since + DISK_KEPT_MS;
  const at = overAt == null ? kept : Math.min(kept, Math.max(since, overAt) + DISK_KEPT_OVER_MS);
  return purgeDueAt === undefined ? at : Math.max(at, purgeDueAt + SECOND_LOOK_MS);
}

function whileAtWork(state: SessionState, since: number): Deadline[] {
  return [
    { name: 'silence', at: state.sandbox.heardAt + SANDBOX_SILENCE_MS },
    ...heartbeats(state, since, LINEAR_HEARTBEAT_MS),
  ];
}

/**
 * Whether the sandbox is known to be there and has something to do, so that its silence means trouble. What a start or a stop that is
 * not confirmed yet comes to is found out by these themselves.
 */
export function isSilenceTrouble({ phase, sandbox }: SessionState): boolean {
  if (sandbox.streamId === null) return false;
  if (phase.name === 'saving') return !phase.proposes && phase.stopSent === undefined;
  if (phase.name === 'starting') return phase.turn.startedAs === phase.turn.number;
  return phase.name === 'working';
}

/** For every thread of the turn that nothing was said to for so long, in ms. */
function heartbeats(state: SessionState, since: number, after: number): Deadline[] {
  const turn = currentTurn(state);
  return (turn ? threadsOf(turn) : []).map((agentSessionId) => ({
    name: 'heartbeat',
    agentSessionId,
    at: (threadKnown(state, agentSessionId)?.saidAt ?? since) + after,
  }));
}

/** The earliest deadline; null if nothing is awaited. */
export function nextDeadline(state: SessionState): number | null {
  const times = deadlines(state).map((deadline) => deadline.at);
  return times.length === 0 ? null : Math.min(...times);
}

/** The deadlines that have passed. */
export function dueDeadlines(state: SessionState, now: number): Deadline[] {
  return deadlines(state).filter((deadline) => deadline.at <= now);
}
