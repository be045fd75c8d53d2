import { expect, it } from 'vitest';
import { windowTitle, windowUse } from '../../src/web/text/limits.ts';
import { statusOf } from '../../src/web/text/status.ts';

const NOW = Date.UTC(2026, 10, 23, 9, 0);

it("the page names the windows of Claude's limits, also ones that are not known yet", () => {
  expect(['5h', '7d', '7d_oi'].map(windowTitle)).toEqual(['5-hour window', '7-day window', 'Window 7d_oi']);
});

it('the page says how much of a window is used and when it is reset', () => {
  const window = { name: '5h', utilization: 0.634, resetsAt: NOW + 3_600_000 };
  expect(windowUse(window, NOW)).toMatch(/^63 %, resets \d/);
  expect(windowUse({ ...window, resetsAt: null }, NOW)).toBe('63 %');
  expect(windowUse({ ...window, utilization: null, resetsAt: null }, NOW)).toBe('unknown');
  expect(windowUse(window, NOW + 3_600_000)).toBe('0 %');
});

it('the page shows a session that waits for a limit or for its place as one that rests', () => {
  const reason = "Claude's 5-hour limit is used up; continues at 14:05 UTC";
  expect(statusOf({ phase: 'parked', reason, lastOutcome: null })).toMatchObject({
    word: 'Parked',
    detail: reason,
    tone: 'waiting',
  });
  expect(statusOf({ phase: 'queued', reason: '3rd in the queue', lastOutcome: null })).toMatchObject({
    word: 'In the queue',
    detail: '3rd in the queue',
    tone: 'waiting',
  });
});
