import { describe, expect, it } from 'vitest';
import type { Answer } from '../../src/web/api.ts';
import { AnswerSender, type AnswerState } from '../../src/web/live/answer-sender.ts';
import { type KeptStop, StopSender, type StopState } from '../../src/web/live/stop-sender.ts';

const taken: Answer<true> = { ok: true, value: true, skew: 0 };
const away: Answer<true> = { ok: false, kind: 'unreachable', message: 'The server cannot be reached.' };
const closed: Answer<true> = { ok: false, kind: 'refused', message: 'That question was answered before, by Bob.' };

/** A page whose requests are answered one after the other by these. */
function stopping(answers: Answer<true>[]) {
  const posted: { id: string; ageMs?: number }[] = [];
  const states: StopState[] = [];
  let kept: KeptStop | null = null;
  let isEnded = false;
  const sender = new StopSender({
    post: async (stop) => {
      posted.push(stop);
      return answers[posted.length - 1] ?? taken;
    },
    pause: async () => {},
    keep: (stop) => {
      kept = stop;
    },
    onState: (state) => states.push(state),
    isEnded: () => isEnded,
  });
  return { sender, posted, states, kept: () => kept, end: () => (isEnded = true) };
}

describe('a stop that is pressed without a network', () => {
  it('is kept and sent under the same id until the server has it, and shown as such', async () => {
    const { sender, posted, states, kept } = stopping([away, away, taken]);
    await sender.ask();
    expect(new Set(posted.map(({ id }) => id)).size).toBe(1);
    expect(posted).toHaveLength(3);
    expect(states).toEqual([
      { at: 'sending' },
      { at: 'sending', message: 'The server cannot be reached.' },
      { at: 'sending', message: 'The server cannot be reached.' },
      { at: 'asked' },
    ]);
    expect(kept()).toBeNull();
  });

  it('is kept while the page is loaded again, and then says how long ago it was pressed', async () => {
    const before = stopping([away]);
    const sending = before.sender.ask();
    before.end();
    await sending;
    const stop = before.kept();
    if (!stop) throw new Error('nothing was kept');
    const after = stopping([taken]);
    await after.sender.send({ ...stop, at: Date.now() - 60_000 });
    expect(after.posted).toEqual([{ id: stop.id, ageMs: expect.any(Number) }]);
    expect(after.posted[0]?.ageMs).toBeGreaterThanOrEqual(60_000);
  });

  it('is not pressed a second time by a second press', async () => {
    const { sender, posted } = stopping([away, taken]);
    await Promise.all([sender.ask(), sender.ask()]);
    expect(new Set(posted.map(({ id }) => id)).size).toBe(1);
  });
});

describe('an answer to a question', () => {
  const answer = { question: 'r1', options: ['once'], text: 'Allow once' };

  it('is sent once, and never again by itself', async () => {
    const posted: unknown[] = [];
    const states: AnswerState[] = [];
    const post = async (one: unknown) => {
      posted.push(one);
      return away;
    };
    const sender = new AnswerSender({ post, onState: (state) => states.push(state) });
    expect(await sender.send(answer)).toBe(false);
    expect(posted).toEqual([{ ...answer, id: expect.any(String) }]);
    expect(states.at(-1)).toMatchObject({ at: 'failed', message: expect.stringContaining('answer again') });
  });

  it('that is under way when the connection is lost is given up', async () => {
    const states: AnswerState[] = [];
    const post = (_: unknown, signal: AbortSignal) =>
      new Promise<Answer<true>>((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    const sender = new AnswerSender({ post, onState: (state) => states.push(state) });
    const sending = sender.send(answer);
    sender.connectionLost();
    expect(await sending).toBe(false);
    expect(states.at(-1)).toMatchObject({ at: 'failed' });
  });

  it('that comes too late shows what the server says', async () => {
    const states: AnswerState[] = [];
    const sender = new AnswerSender({ post: async () => closed, onState: (state) => states.push(state) });
    expect(await sender.send(answer)).toBe(false);
    expect(states.at(-1)).toEqual({ at: 'failed', message: 'That question was answered before, by Bob.' });
  });
});
