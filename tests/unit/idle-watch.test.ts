import { describe, expect, it } from 'vitest';
import { type Activity, IdleWatch } from '../../container/claude/idle-watch.ts';
import { steadyNow } from '../../container/clock.ts';

const MINUTE = 60_000;
const limits = { idleMs: 5 * MINUTE, silenceMs: 15 * MINUTE, toolSilenceMs: 60 * MINUTE };

/** What is to be done with a CLI that last gave output so many minutes ago. */
function causeAfter(minutes: number, more: Partial<Activity>): 'idle' | 'silent' | null {
  const at = steadyNow() - minutes * MINUTE;
  const activity = { busy: true, toolRunning: false, lastOutputAt: at, idleSince: at, apiSilenceMs: MINUTE, ...more };
  return new IdleWatch(limits, () => activity, expect.unreachable).cause();
}

describe('a CLI that says nothing', () => {
  it('in a turn is taken for hung after its limit, and later while a tool runs', () => {
    expect([causeAfter(14, {}), causeAfter(16, {})]).toEqual([null, 'silent']);
    expect([causeAfter(59, { toolRunning: true }), causeAfter(61, { toolRunning: true })]).toEqual([null, 'silent']);
  });

  it('is not taken for hung while Claude’s API still has time to answer, however long that was set', () => {
    const apiSilenceMs = 60 * MINUTE;
    expect([causeAfter(59, { apiSilenceMs }), causeAfter(61, { apiSilenceMs })]).toEqual([null, 'silent']);
  });

  it('between turns is ended as idle', () => {
    expect([causeAfter(4, { busy: false }), causeAfter(6, { busy: false })]).toEqual([null, 'idle']);
  });
});
