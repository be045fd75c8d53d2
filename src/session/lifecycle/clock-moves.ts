/**
 * The wall clock may be set while sessions wait. Objects have no other clock, so what is waited for is moved along with it: a
 * wait lasts as long as it would have, and only displayed times differ. Pure; times in ms since the epoch.
 */
import { deadlines } from './model/deadlines.ts';
import { movedLags } from './model/linear-clock.ts';
import { isAtRest } from './model/retention.ts';
import { OPENING, type SessionState } from './model/state.ts';
import { movedFollowing } from './pull-request/following.ts';
import type { Request } from './requests.ts';

/** A clock that differs by less than this, in ms, was not set. */
const LEAST_MS = 1_000;
/** Alarms come in time; one that is later than this, in ms, was not late. */
const LATEST_MS = 30_000;
/** So late may one come, in ms, where the one before was taken for that of a clock that was set: machines are slow, too. */
const LATEST_AGAIN_MS = 10 * 60_000;

/**
 * By how much the clock was set back, as a negative number; 0: it was not.
 * @param last latest time that was seen before
 */
export function setBack(last: number, now: number): number {
  return last - now > LEAST_MS ? now - last : 0;
}

/**
 * By how much the clock seems to have been set forward; 0: it was not. The object is woken for every deadline, so one that passed
 * long ago was never waited for: the clock jumped over it, or the machine stood still and the sandbox with it. Either way what is
 * waited for gets the time that was left when the object was last awake.
 * @param isDoubted whether this was found just before, so that the alarm itself is slow
 */
export function setForward(state: SessionState, now: number, isDoubted: boolean): number {
  // Files of a session at rest are deleted after days, and GitHub is asked now and then: nobody waits for that, and a late alarm says nothing of the clock.
  const waited = deadlines(state).filter(({ name }) => name !== 'purge' && name !== 'pull-request');
  const due = waited.length === 0 ? null : Math.min(...waited.map(({ at }) => at));
  if (due === null || now - due <= (isDoubted ? LATEST_AGAIN_MS : LATEST_MS)) return 0;
  const by = now - state.updatedAt;
  return by > LEAST_MS ? by : 0;
}

/** What Linear told of has a time by Linear's clock. */
function movedRequest(request: Request, by: number): Request {
  const { person, askedAt } = request;
  return person !== undefined || askedAt === undefined ? request : { ...request, askedAt: askedAt + by };
}

/** What changes in the state: since when things are waited for. Times that others gave, such as a limit's reset, stay. */
export function afterClockMove(state: SessionState, by: number): Partial<SessionState> {
  const { phase, sandbox, expectedThread, alsoExpected, agentSessions, editDue, saveDue, overAt } = state;
  const { closedQuestions, queue, following, purgeDueAt } = state;
  const now = state.updatedAt + by;
  // Nobody waits for the end of a rest. It may have begun before the clock was set forward, which nothing noticed while nothing was waited for.
  const restSince = (at: number) => (by < 0 ? Math.min(at, now) : at + by);
  const moved = { ...phase, since: isAtRest(state) ? restSince(phase.since) : phase.since + by };
  // Once Linear's clock is known every request has its time by that.
  const asked = (request: Request) => (state.lags ? request : movedRequest(request, by));
  if ('turn' in moved) {
    const { startedAt, prompts } = moved.turn;
    moved.turn = { ...moved.turn, startedAt: startedAt + by, prompts: prompts.map(asked) };
  }
  if ('askAt' in moved) moved.askAt += by;
  if (moved.name === 'parked' && moved.waits) moved.until += by;
  if (moved.name === 'asking' && moved.about.kind === 'claude' && moved.about.askedAt !== undefined) {
    moved.about = { ...moved.about, askedAt: moved.about.askedAt + by };
  }
  if ((moved.name === 'saving' || moved.name === 'parked') && moved.halt) {
    moved.halt = { ...moved.halt, since: moved.halt.since + by };
  }
  return {
    phase: moved,
    queue: queue.map(asked),
    sandbox: { ...sandbox, heardAt: sandbox.heardAt + by },
    ...(expectedThread &&
      expectedThread.since !== OPENING && { expectedThread: { ...expectedThread, since: expectedThread.since + by } }),
    ...(alsoExpected && { alsoExpected: alsoExpected.map((one) => ({ ...one, since: one.since + by })) }),
    ...movedLags(state, by),
    ...(overAt && { overAt: restSince(overAt) }),
    ...(saveDue && { saveDue: saveDue + by }),
    ...(purgeDueAt !== undefined && { purgeDueAt: purgeDueAt + by }),
    // What people write is told from what they wrote before by these times.
    ...(closedQuestions && {
      closedQuestions: closedQuestions.map(({ askedAt, closedAt, ...rest }) => ({
        ...rest,
        askedAt: askedAt + by,
        closedAt: closedAt + by,
      })),
    }),
    ...(following && { following: movedFollowing(following, by) }),
    ...(editDue && { editDue: { ...editDue, first: editDue.first + by, at: editDue.at + by } }),
    agentSessions: Object.fromEntries(
      Object.entries(agentSessions).map(([id, { since, saidAt, pace, ...rest }]) => [
        id,
        {
          ...rest,
          since: since + by,
          saidAt: saidAt + by,
          pace: { ...pace, at: pace.at + by, flushAt: pace.flushAt === 0 ? 0 : pace.flushAt + by },
        },
      ]),
    ),
  };
}
