/**
 * The wall clock may be set while sessions wait. Objects have no other clock, so what is waited for is moved along with it: a
 * wait lasts as long as it would have, and only displayed times differ. Pure; times in ms since the epoch.
 */
import type { SessionState } from './state.ts';

/** A clock that differs by less than this, in ms, was not set. */
const LEAST_MS = 1_000;

/**
 * By how much the clock was set back, as a negative number; 0: it was not.
 * @param last latest time that was seen before
 */
export function setBack(last: number, now: number): number {
  return last - now > LEAST_MS ? now - last : 0;
}

/** What changes in the state: since when things are waited for. Times that others gave, such as a limit's reset, stay. */
export function afterClockMove(state: SessionState, by: number): Partial<SessionState> {
  const { phase, sandbox, expectedThread, agentSessions, askedAt } = state;
  const moved = { ...phase, since: phase.since + by };
  if ('turn' in moved) moved.turn = { ...moved.turn, startedAt: moved.turn.startedAt + by };
  if ('askAt' in moved) moved.askAt += by;
  return {
    phase: moved,
    sandbox: { ...sandbox, heardAt: sandbox.heardAt + by },
    ...(expectedThread && { expectedThread: { ...expectedThread, since: expectedThread.since + by } }),
    ...(askedAt !== undefined && { askedAt: askedAt + by }),
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
