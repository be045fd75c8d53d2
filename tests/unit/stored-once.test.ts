import { describe, expect, it } from 'vitest';
import type { EventBatch } from '../../src/protocol/sandbox/batches.ts';
import { init, result, SessionPlay, saved } from './support/session-play.ts';

/** A session at work, and what its journal says the sandbox noticed. */
function working() {
  const play = new SessionPlay();
  play.prompt('p1');
  play.started();
  play.report(init);
  const take = (batch: EventBatch) => play.play({ type: 'sandbox-reported', batch });
  const noticed = () =>
    play.entries.flatMap(({ body }) => (body.kind === 'notice' && body.level === 'warning' ? [body.text] : []));
  const notices = (...texts: string[]) => play.batch(...texts.map((text) => ({ type: 'notice', text }) as const));
  return { play, take, noticed, notices };
}

describe('what a sandbox reports', () => {
  it('in a batch that begins with what is stored is taken from its first new event on, and each event once', () => {
    const { take, noticed, notices } = working();
    const [first, second] = [notices('one', 'two'), notices('three')];
    take(first);
    take({ ...second, events: [...first.events, ...second.events] });
    take(second);
    expect(noticed()).toEqual(['one', 'two', 'three']);
  });

  it('beyond a gap waits until what is missing has come', () => {
    const { play, take, noticed, notices } = working();
    const [first, second] = [notices('one'), notices('two')];
    const { cursor } = play.state.sandbox;
    take(second);
    expect(noticed()).toEqual([]);
    expect(play.state.sandbox.cursor).toBe(cursor);
    take(first);
    take(second);
    expect(noticed()).toEqual(['one', 'two']);
  });
});

describe('what still runs in the background when the work is saved', () => {
  it('is told on the page once, and no more once nothing runs', () => {
    const { play } = working();
    const background = { commands: ['dev server (npm run dev)'], endAfterMs: 300_000 };
    play.report(result('Done.', ['p1']), { ...saved(1), background } as never);
    const told = play.entries.flatMap(({ body }) =>
      body.kind === 'notice' && body.text.includes('npm run dev') ? [body.text] : [],
    );
    expect(told).toHaveLength(1);
    expect(play.state.background).toEqual(background);
    play.prompt('p2');
    play.report(init, result('Done.', ['p2']), saved(2));
    expect(play.state.background).toBeNull();
  });
});

describe('a wait for a limit of Claude’s', () => {
  it('is told on the page as in the threads', () => {
    const { play } = working();
    play.report(
      result("You've hit your 5-hour limit", ['p1'], {
        is_error: true,
        terminal_reason: 'api_error',
        api_error: 'usage_limit_reached',
        api_error_status: 429,
      }),
    );
    expect(play.state.phase.name).toBe('parked');
    const told = play.entries.flatMap(({ body }) => (body.kind === 'notice' ? [body.text] : []));
    expect(told.join()).toContain('is used up');
  });
});
