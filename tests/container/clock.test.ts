import { afterEach, describe, expect, test, vi } from 'vitest';
import { run, type Stage, setStage } from './stage.ts';

const HOUR_MS = 3_600_000;

let stage: Stage;
afterEach(async () => {
  vi.useRealTimers();
  await stage?.close();
});

/** Sets the time of day; timers go on as they are. */
function setWallClock(offsetMs: number): void {
  const time = Date.now() + offsetMs;
  vi.useFakeTimers({ toFake: ['Date'], now: time });
}

describe.each([
  ['back', -HOUR_MS],
  ['forward', HOUR_MS],
])('a wall clock that is set %s by an hour in the middle of a turn', (_, offsetMs) => {
  test('ends no turn and no CLI, loses nothing, and makes no duration wrong', async () => {
    stage = await setStage({ config: { shutdownMs: 500 } });
    await stage.start('shop-1');
    await stage.event('cli-started');
    await stage.prompt('shop-1', run('sleep 1; echo one > one.txt', 'echo two > two.txt'));
    await stage.event('line', ({ line }) => line.includes('"tool_use"'));
    setWallClock(offsetMs);
    const saved = await stage.event('saved');
    expect(saved).toMatchObject({ pushed: true });
    expect(saved.files.map(({ path }) => path).sort()).toEqual(['one.txt', 'two.txt']);
    expect(stage.eventsOf('cli-exited')).toEqual([]);
    for (const { durationMs } of stage.eventsOf('step')) {
      expect(durationMs ?? 0).toBeGreaterThanOrEqual(0);
      expect(durationMs ?? 0).toBeLessThan(60_000);
    }
    await stage.prompt('shop-1', '[script: no-change]', 2);
    expect(await stage.result(2)).toMatchObject({ is_error: false });
    expect(stage.eventsOf('cli-started')).toHaveLength(1);
  });
});
