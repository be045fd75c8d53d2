import { describe, expect, it } from 'vitest';
import type { SessionEvent } from '../../src/session/lifecycle/model/events.ts';
import { histories, written } from '../histories.ts';
import { init, permission, question, result, SessionPlay, saved } from './support/session-play.ts';
import { World } from './support/world.ts';

const MINUTE = 60_000;
/** How far Linear's clock is ahead of the Worker's. */
const DIFFERENCES = [5 * MINUTE, -5 * MINUTE, 60 * MINUTE, -60 * MINUTE];
const inWords = (ms: number) => `${Math.abs(ms) / MINUTE} minutes ${ms > 0 ? 'ahead' : 'behind'}`;
const people = { author: 'Ada', person: { id: 'ada', email: null } } as const;

class Skewed {
  readonly play = new SessionPlay();
  readonly #ahead: number;

  constructor(ahead: number) {
    this.#ahead = ahead;
    // Far from the beginning of time, before which there is none.
    this.play.now += 24 * 60 * MINUTE;
    this.comment('p1', 'thread-1', 'Fix the cart');
    // Linear notifies of a mention, too.
    this.happens({ type: 'thread-expected', promptId: 'n1', commentId: 'p1', ...people, text: 'Fix the cart' });
    this.play.started();
    this.play.report(init);
  }

  /** Something happens in Linear, `late` ms before it is told here. */
  happens(event: Extract<SessionEvent, { at?: number }>, late = 500) {
    const { play } = this;
    return play.play({ ...event, at: play.now - late + this.#ahead });
  }

  comment(promptId: string, thread: string, text: string, late?: number) {
    return this.happens(
      { type: 'prompted', promptId, agentSessionId: thread, ...people, source: 'comment', text },
      late,
    );
  }

  stop(late?: number) {
    const id = `stop-${this.play.now}`;
    return this.happens(
      { type: 'stop-requested', id, agentSessionId: 'thread-1', author: 'Ada', source: 'comment' },
      late,
    );
  }

  ofPage(promptId: string, text: string) {
    const asked = { type: 'prompted', promptId, agentSessionId: null, author: 'Ada', person: null } as const;
    return this.play.play({ ...asked, source: 'page', text });
  }

  /** Stopped on the page so many ms ago, by this clock; the browser was offline until now. */
  stopOnPage(late: number) {
    const { play } = this;
    const stop = { type: 'stop-requested', id: `stop-${play.now}`, agentSessionId: null, author: 'Ada' } as const;
    return play.play({ ...stop, source: 'page', at: play.now - late });
  }

  how() {
    return Object.fromEntries((this.play.state.closed ?? []).map(({ id, how }) => [id, how]));
  }
}

describe.each(DIFFERENCES.map((ms) => [inWords(ms), ms] as const))(
  'a clock of Linear’s that is %s',
  (_words, ahead) => {
    it('lets a stop in Linear end what was asked on the page before it, and in Linear', () => {
      const { play, ...session } = new Skewed(ahead);
      void session;
      const skewed = new Skewed(ahead);
      skewed.ofPage('p2', 'And the sum');
      skewed.play.now += 2_000;
      expect(skewed.stop().some(({ kind }) => kind === 'stop-sandbox')).toBe(true);
      expect(skewed.play.state.phase).toMatchObject({
        name: 'stopping',
        turn: { prompts: [{ promptId: 'p1' }, { promptId: 'p2' }] },
      });
      expect(skewed.play.state.queue).toEqual([]);
      expect(play.state.phase.name).toBe('working');
    });

    it('lets a stop in Linear end what Claude began unasked before it', () => {
      const skewed = new Skewed(ahead);
      const { play } = skewed;
      play.report(result('Done.', ['p1']), saved(1));
      play.now += MINUTE;
      play.report(init);
      expect(play.state.phase).toMatchObject({ name: 'working', turn: { unasked: true } });
      play.now += 2_000;
      expect(skewed.stop().some(({ kind }) => kind === 'stop-sandbox')).toBe(true);
    });

    it('lets what was asked on the page after a stop in Linear continue, though the stop comes late', () => {
      const skewed = new Skewed(ahead);
      skewed.play.now += MINUTE;
      skewed.ofPage('p2', 'And the sum');
      skewed.play.now += 1_000;
      skewed.stop(20_000);
      expect(skewed.play.state.queue.map(({ promptId }) => promptId)).toEqual(['p2']);
    });

    it('lets a stop of the page that comes late end what was asked in Linear before it, and nothing that was asked after', () => {
      const skewed = new Skewed(ahead);
      const { play } = skewed;
      play.now += MINUTE;
      skewed.comment('p2', 'thread-1', 'And the sum');
      play.now += 10_000;
      const { lags, linearNow } = play.state;
      expect(skewed.stopOnPage(25_000).some(({ kind }) => kind === 'stop-sandbox')).toBe(true);
      expect(play.state.phase).toMatchObject({ name: 'stopping', turn: { prompts: [{ promptId: 'p1' }] } });
      expect(play.state.queue.map(({ promptId }) => promptId)).toEqual(['p2']);
      // It says nothing of Linear's clock.
      expect(play.state).toMatchObject({ lags, linearNow });
    });

    it('takes what is written in a thread while a question is open for its answer, and what was written before for none', () => {
      const skewed = new Skewed(ahead);
      const { play } = skewed;
      play.now += MINUTE;
      play.report(question());
      play.now += 10_000;
      skewed.comment('p2', 'thread-1', 'By the way, use tabs', 40_000);
      expect(play.state.phase.name).toBe('asking');
      const effects = skewed.comment('p3', 'thread-1', 'This');
      expect(effects.some(({ kind }) => kind === 'answer-sandbox')).toBe(true);
    });

    it('lets a yes allow only what was asked when it was written', () => {
      const skewed = new Skewed(ahead);
      const { play } = skewed;
      play.now += MINUTE;
      play.report(permission('one', 'npm publish'), permission('two', 'npm deprecate cart'));
      play.now += 10_000;
      skewed.comment('p2', 'thread-1', 'no');
      play.now += 10_000;
      // Written while the first was asked, and delivered when the second is.
      const late = skewed.comment('p3', 'thread-1', 'yes', 15_000);
      expect(late.some(({ kind }) => kind === 'decide-sandbox')).toBe(false);
      const effects = skewed.comment('p4', 'thread-1', 'yes');
      expect(effects).toContainEqual(expect.objectContaining({ kind: 'decide-sandbox', requestId: 'two' }));
    });

    const count = histories(200);
    it(`changes nothing of what holds for requests and stops, in ${written(count)} random histories`, () => {
      for (let seed = 1; seed <= count; seed++) {
        const world = new World(seed, false, ahead);
        world.live(80, { stop: 0.17 });
        world.settle();
        world.judge();
      }
    });
  },
);

it('a delivery that Linear repeats an hour later says nothing of its clock', () => {
  const skewed = new Skewed(0);
  skewed.stop(60 * MINUTE);
  skewed.ofPage('p2', 'And the sum');
  skewed.play.now += 2_000;
  expect(skewed.stop().some(({ kind }) => kind === 'stop-sandbox')).toBe(true);
});

it('a clock that is set right later is known by the next event', () => {
  const skewed = new Skewed(-5 * MINUTE);
  const { play } = skewed;
  play.now -= 5 * MINUTE;
  play.play({ type: 'clock-moved', by: -5 * MINUTE });
  expect(play.state.lags?.every((lag) => lag < 1_000)).toBe(true);
});
