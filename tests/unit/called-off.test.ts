import { describe, expect, it } from 'vitest';
import type { SandboxEventBody } from '../../src/protocol/sandbox/events.ts';
import {
  aborted,
  crashed,
  init,
  line,
  permission,
  question,
  result,
  SessionPlay,
  saved,
  usedUp,
} from './support/session-play.ts';

const reading = (id: string) =>
  line({ type: 'command_lifecycle', command_uuid: id, state: 'started', uuid: `${id}-started` });

/** Claude has read the first request, and its CLI tells what it reads. */
function atWork(...more: string[]): SessionPlay {
  const play = new SessionPlay();
  play.prompt('p1');
  play.started();
  play.report(reading('p1'), init);
  for (const [index, id] of more.entries()) play.prompt(id, `thread-${index + 2}`);
  return play;
}

const ended = (turn: number, unread: string[] = []): SandboxEventBody => ({
  type: 'cli-exited',
  code: null,
  signal: 'SIGKILL',
  duringTurn: true,
  cause: 'stop',
  turn,
  prompts: { read: [], unread },
});

const closed = (play: SessionPlay) => Object.fromEntries((play.state.closed ?? []).map(({ id, how }) => [id, how]));

describe('a stop while the work is saved, of what Claude has of the next turn,', () => {
  it('is told once a limit has parked the turn in between, and leaves nothing behind', () => {
    const play = atWork('p2', 'p3');
    play.report(result('one', ['p1']));
    play.report(usedUp(['p2']));
    play.stop(null);
    play.report(saved(1));
    expect(play.state.phase.name).toBe('parked');
    expect(closed(play).p3, 'it may still be read').toBeUndefined();
    play.report(ended(2, ['p3']));
    expect(closed(play).p3).toBe('stopped');
    expect(play.state.queue).toEqual([]);
    expect(play.closings('thread-3')).toHaveLength(1);
  });

  it('is confirmed by the end that a second stop brings, if there were two', () => {
    const play = atWork('p2');
    play.report(result('one', ['p1']), reading('p2'), result('two', ['p2']));
    play.prompt('p3', 'thread-3');
    play.report(saved(1));
    expect(play.state.phase).toMatchObject({ name: 'saving', turn: { number: 2 } });
    play.stop('thread-3');
    play.report(saved(2));
    const { phase } = play.state;
    const stops = play.effects.flatMap((effect) => (effect.kind === 'stop-sandbox' ? [effect.turn] : []));
    expect(phase.name).toBe('stopping');
    play.report(ended(stops.at(-1) ?? 0, ['p3']));
    play.report({ ...saved(3), after: 99 } as SandboxEventBody);
    expect(closed(play).p3).toBe('stopped');
  });
});

describe('a stop while a turn waits for a limit', () => {
  it('is final once the process that may continue with what else it was given has ended', () => {
    const play = atWork('p2');
    play.report(usedUp(['p1']));
    expect(play.state.phase.name).toBe('parked');
    play.stop();
    expect(play.state.phase.name, 'p2 may still be read').toBe('stopping');
    play.report(ended(1, ['p2']));
    play.report({ ...saved(1), after: 99 } as SandboxEventBody);
    expect(play.state.phase.name).toBe('waiting');
    expect(closed(play)).toEqual({ p1: 'stopped', p2: 'stopped' });
    for (const thread of ['thread-1', 'thread-2']) expect(play.closings(thread)).toHaveLength(1);
  });

  it('is final at once if nothing runs any more', () => {
    const play = atWork('p2');
    play.report(usedUp(['p1']));
    play.report(ended(1, ['p2']));
    play.stop();
    expect(play.state.phase.name).toBe('waiting');
  });
});

describe('a stop while a question stays open whose process is gone', () => {
  it('ends the process that what was on its way may have begun', () => {
    const play = atWork();
    play.report(question());
    const from = play.effects.length;
    play.prompt('p2', 'thread-2', 'Bob', 'do something else');
    play.report({ ...crashed, prompts: { read: ['p1'], unread: [] } } as SandboxEventBody);
    expect(play.state.phase).toMatchObject({ name: 'asking', about: { isLive: false } });
    play.stop();
    expect(play.state.phase.name).toBe('stopping');
    expect(play.kinds(play.effects.slice(from))).toContain('stop-sandbox');
  });
});

describe('a question that is asked while a stop is carried out', () => {
  it('is asked if the process continues for what was asked after the stop', () => {
    const play = atWork();
    play.stop();
    play.prompt('p2', 'thread-2');
    play.report(permission('q1'));
    play.deadline(11_000);
    play.started();
    play.report(reading('p2'), init);
    expect(play.state.phase).toMatchObject({ name: 'asking', about: { requestId: 'q1' } });
  });

  it('is forgotten with its process', () => {
    const play = atWork();
    play.stop();
    play.report(permission('q1'), aborted(['p1']), ended(1));
    play.report({ ...saved(1), after: 99 } as SandboxEventBody);
    expect(play.state.openQuestions ?? []).toEqual([]);
    expect(play.kinds(play.effects)).not.toContain('decide-sandbox');
  });
});

describe('a request that waits behind work that nobody asked for', () => {
  it('is handed over again if the sandbox of that work is lost with its disk', () => {
    const play = atWork();
    play.report(result('one', ['p1']));
    play.report(saved(1));
    play.report(init);
    expect(play.state.phase).toMatchObject({ name: 'working', turn: { unasked: true } });
    play.prompt('p2', 'thread-2');
    const from = play.effects.length;
    play.play({ type: 'sandbox-ended', generation: 1 });
    const again = play.effects.slice(from);
    expect(again).toContainEqual(expect.objectContaining({ kind: 'start-sandbox', generation: 2 }));
    expect(again).toContainEqual(expect.objectContaining({ kind: 'prompt-sandbox', promptId: 'p2' }));
    play.restartNumbers();
    play.started('5b7d9a3e-0000-4000-8000-000000000003');
    play.report(reading('p2'), init, result('two', ['p2']));
    play.report(saved(3));
    expect(play.closings('thread-2')).toEqual([expect.stringContaining('two')]);
  });
});
