/** What the engine promises, in every place that it runs in. */
import { describe, expect, it } from 'vitest';
import { INTERRUPTION_LIMIT } from '../../../src/kernel/attempt.ts';
import { CRASH_POINTS } from '../../../src/kernel/platform.ts';
import { Courier, letter, MOST_TOGETHER, NOW, POLICY, passing, terminal } from './courier.ts';
import type { Disk } from './life.ts';

const MINUTE_MS = 60_000;
const AWAY = 'the road is closed';

/** @param inPlace gives a test empty storage */
export function engineSuite(place: string, inPlace: (test: (disk: Disk) => Promise<void>) => Promise<void>): void {
  const withCourier = (test: (courier: Courier) => Promise<void>) => () => inPlace((disk) => test(new Courier(disk)));

  describe(`an event, ${place},`, () => {
    it(
      'is stored with its effects before anybody hears of it, and the next life continues from both',
      withCourier(async (courier) => {
        courier.isHeld = () => true;
        await courier.hand([letter('a')]);
        courier.isHeld = () => false;
        courier.restart();
        expect(courier.engine.state?.seen).toEqual(['a']);
        await courier.pass(0);
        expect(courier.log).toEqual(['delivered a']);
        expect(courier.published).toEqual(['delivered a']);
      }),
    );

    it(
      'changes nothing if it cannot be stored, and those after it are taken in',
      withCourier(async (courier) => {
        await courier.hand([letter('a')]);
        courier.failWrites = 1;
        await expect(courier.hand([letter('b')])).rejects.toThrow('the storage is full');
        expect(courier.engine.state?.seen).toEqual(['a']);
        await courier.hand([letter('c')]);
        await courier.pass(MINUTE_MS);
        expect(courier.log).toEqual(['delivered a', 'delivered c']);
        expect(courier.attempts).toEqual([['a'], ['c']]);
      }),
    );

    it(
      'changes nothing if it is refused',
      withCourier(async (courier) => {
        expect(await courier.hand([letter('a')])).toBe(true);
        expect(await courier.hand([letter('a')])).toBe(false);
        expect(courier.log).toEqual(['delivered a']);
      }),
    );
  });

  describe(`an effect, ${place},`, () => {
    it(
      'is carried out after those before it in its lane, whatever other lanes wait for',
      withCourier(async (courier) => {
        courier.answer = ([first]) => (first?.id === 'a' && courier.now < NOW + 900 ? passing(AWAY) : undefined);
        await courier.hand([letter('a'), letter('b'), letter('c', { road: 'south' })]);
        expect(courier.arrived).toEqual(['c']);
        await courier.pass(MINUTE_MS);
        expect(courier.arrived).toEqual(['c', 'a', 'b']);
      }),
    );

    it(
      'is tried again after a wait that grows, until it succeeds',
      withCourier(async (courier) => {
        const times: number[] = [];
        courier.answer = () => {
          times.push(courier.now - NOW);
          return times.length < 3 ? passing(AWAY, { reason: 'Waiting for the road' }) : undefined;
        };
        await courier.hand([letter('a')]);
        await courier.pass(MINUTE_MS);
        expect(times).toEqual([0, 500, 1_500]);
        const late = 'late a: Waiting for the road';
        expect(courier.log).toEqual([late, late, 'delivered a']);
      }),
    );

    it(
      'is not tried again before the time that the other side named',
      withCourier(async (courier) => {
        courier.answer = () => (courier.attempts.length === 1 ? passing(AWAY, { retryAt: NOW + 30_000 }) : undefined);
        await courier.hand([letter('a')]);
        await courier.pass(29_999);
        expect(courier.attempts).toHaveLength(1);
        await courier.pass(1);
        expect(courier.log).toEqual(['delivered a']);
      }),
    );

    it(
      'is given up after its last attempt, which is told, and those behind it are carried out',
      withCourier(async (courier) => {
        courier.answer = ([first]) => (first?.id === 'a' ? passing(AWAY) : undefined);
        await courier.hand([letter('a'), letter('b')]);
        await courier.pass(MINUTE_MS);
        expect(courier.log).toEqual([`lost a after ${POLICY.attempts}: ${AWAY}`, 'delivered b']);
        expect(courier.reports).toContainEqual(expect.objectContaining({ kind: 'effect-given-up' }));
      }),
    );

    it.each([
      ['it is refused for good', () => terminal('no such address')],
      ['nothing that passes keeps it back', () => passing('no such address', { cause: 'unauthorized' })],
    ])('is given up at once if %s', (_, failure) =>
      inPlace(async (disk) => {
        const courier = new Courier(disk);
        courier.answer = failure;
        await courier.hand([letter('a')]);
        expect(courier.log).toEqual(['lost a after 1: no such address']);
      }),
    );

    it(
      'is tried again if what it came to cannot be stored',
      withCourier(async (courier) => {
        courier.answer = () => {
          if (courier.attempts.length === 1) courier.failWrites = 1;
          return undefined;
        };
        await courier.hand([letter('a')]);
        await courier.pass(MINUTE_MS);
        expect(courier.attempts).toEqual([['a'], ['a']]);
        expect(courier.log).toEqual(['delivered a']);
      }),
    );

    it(
      'is not carried out once its lane was cancelled, or a later one has made it pointless, or does the same',
      withCourier(async (courier) => {
        const dueAt = NOW + 1_000;
        await courier.hand([letter('a', { dueAt }), letter('b', { dueAt, road: 'south' })]);
        await courier.hand([letter('c', { dueAt, road: 'south' })], { cancelled: ['south'] });
        await courier.hand([letter('d', { dueAt, road: 'west', isNews: true })]);
        await courier.hand([
          letter('e', { dueAt, road: 'west', isNews: true }),
          letter('e', { dueAt, road: 'west', isNews: true }),
        ]);
        await courier.pass(MINUTE_MS);
        expect(courier.arrived).toEqual(['a', 'c', 'e']);
      }),
    );

    it.each([
      ['that fails then', async (_: Courier) => {}],
      ['when its program ends', async (courier: Courier) => courier.restart()],
    ])('under way while its lane is cancelled, %s, is not tried again', (_, meanwhile) =>
      inPlace(async (disk) => {
        const courier = new Courier(disk);
        const attempt = Promise.withResolvers<void>();
        courier.wait = attempt.promise;
        courier.answer = ([first]) => (first?.id === 'a' ? passing(AWAY) : undefined);
        void courier.hand([letter('a'), letter('b')]);
        courier.wait = null;
        void courier.hand([letter('c')], { cancelled: ['north'] });
        await meanwhile(courier);
        attempt.resolve();
        await courier.life.idle();
        await courier.pass(MINUTE_MS);
        expect(courier.attempts.flat().filter((id) => id === 'a')).toHaveLength(1);
        expect(courier.log).toEqual(['delivered c']);
      }),
    );

    it(
      'under way is tried again if it was cancelled by an event that could not be stored',
      withCourier(async (courier) => {
        const attempt = Promise.withResolvers<void>();
        courier.wait = attempt.promise;
        courier.answer = () => (courier.attempts.length === 1 ? passing(AWAY) : undefined);
        void courier.hand([letter('a')]);
        courier.wait = null;
        courier.throwAt = 'before-commit';
        await expect(courier.hand([letter('b')], { cancelled: ['north'] })).rejects.toThrow('the storage is full');
        attempt.resolve();
        await courier.life.idle();
        await courier.pass(MINUTE_MS);
        expect(courier.attempts).toEqual([['a'], ['a']]);
        expect(courier.log).toEqual(['delivered a']);
      }),
    );

    it(
      'under way while its lane is cancelled keeps its place and its outcome, though an event after that cannot be stored',
      withCourier(async (courier) => {
        const attempt = Promise.withResolvers<void>();
        courier.wait = attempt.promise;
        void courier.hand([letter('a')]);
        courier.wait = null;
        void courier.hand([letter('b')], { cancelled: ['north'] });
        courier.failWrites = 1;
        await expect(courier.hand([letter('c', { road: 'south' })])).rejects.toThrow('the storage is full');
        void courier.hand([letter('d')]);
        expect(courier.attempts).toEqual([['a']]);
        attempt.resolve();
        await courier.life.idle();
        await courier.pass(MINUTE_MS);
        expect(courier.log).toEqual(['delivered a', 'delivered b', 'delivered d']);
      }),
    );

    it(
      'that was cancelled while it is under way does not stand for one that is asked for after that',
      withCourier(async (courier) => {
        const attempt = Promise.withResolvers<void>();
        courier.wait = attempt.promise;
        let isFirst = true;
        courier.answer = ([first]) => {
          if (first?.id !== 'a' || !isFirst) return undefined;
          isFirst = false;
          return passing(AWAY);
        };
        void courier.hand([letter('a')]);
        courier.wait = null;
        void courier.hand([letter('b', { road: 'south' }), letter('a')], { cancelled: ['north'] });
        attempt.resolve();
        await courier.life.idle();
        await courier.pass(MINUTE_MS);
        expect(courier.attempts).toEqual([['a'], ['b'], ['a']]);
        expect(courier.log).toEqual(['delivered b', 'delivered a']);
      }),
    );

    it(
      'waits while it is held, and is looked at again every minute though nobody says that it is not any more',
      withCourier(async (courier) => {
        courier.isHeld = ({ id }) => id === 'a';
        await courier.hand([letter('a'), letter('b'), letter('c', { road: 'south' })]);
        await courier.pass(10 * MINUTE_MS);
        expect(courier.arrived).toEqual(['c']);
        courier.isHeld = () => false;
        await courier.pass(MINUTE_MS);
        expect(courier.arrived).toEqual(['c', 'a', 'b']);
      }),
    );

    it(
      'is tried at once when what it waited for is there again',
      withCourier(async (courier) => {
        courier.answer = () => (courier.attempts.length === 1 ? passing(AWAY, { retryAt: NOW + 1e6 }) : undefined);
        await courier.hand([letter('a'), letter('b', { road: 'south', dueAt: NOW + 1e6 })]);
        courier.engine.hurry(() => true);
        await courier.life.idle();
        expect(courier.arrived).toEqual(['a']);
      }),
    );

    it(
      'is kept whole, however long it is',
      withCourier(async (courier) => {
        courier.isHeld = () => true;
        let text = '';
        const long = letter('a', { text: 'ü'.repeat(1_200_000) });
        await courier.hand([long]);
        courier.answer = ([first]) => {
          text = first?.text ?? '';
          return undefined;
        };
        courier.restart();
        courier.isHeld = () => false;
        await courier.pass(MINUTE_MS);
        expect(text.length).toBe(1_200_000);
        expect(courier.life.sql.exec('SELECT 1 FROM pieces').toArray()).toEqual([]);
      }),
    );

    it(
      'of a version that is not known stays where it is, and holds nothing up',
      withCourier(async (courier) => {
        await courier.hand([letter('a')]);
        courier.life.sql.exec(
          'INSERT INTO outbox (id, effect, attempts, next_at) VALUES (77, \'{"kind":"parcel"}\', 0, 0)',
        );
        courier.restart();
        await courier.hand([letter('b')]);
        await courier.pass(MINUTE_MS);
        expect(courier.log).toEqual(['delivered a', 'delivered b']);
        expect(courier.reports).toContainEqual(
          expect.objectContaining({ kind: 'effect-unknown', id: 77, why: 'there is no effect "parcel"' }),
        );
        expect(courier.life.sql.exec('SELECT id FROM outbox').toArray()).toHaveLength(1);
      }),
    );
  });

  describe(`effects that travel together, ${place},`, () => {
    const gathered = (count: number) =>
      Array.from({ length: count }, (_, number) => letter(`s${number}`, { isGathered: true, dueAt: NOW + 1_000 }));

    it(
      'are one attempt, and what is due first takes along what is before it',
      withCourier(async (courier) => {
        await courier.hand([...gathered(MOST_TOGETHER - 1), letter('now', { isGathered: true })]);
        expect(courier.attempts).toEqual([['s0', 's1', 'now']]);
      }),
    );

    it(
      'are tried one by one if they are refused together, and only what is refused is lost',
      withCourier(async (courier) => {
        courier.answer = (letters) => (letters.some(({ id }) => id === 's1') ? terminal('no such address') : undefined);
        await courier.hand(gathered(3));
        await courier.pass(MINUTE_MS);
        expect(courier.attempts).toEqual([['s0', 's1', 's2'], ['s0'], ['s1'], ['s2']]);
        expect(courier.log).toEqual(['delivered s0', 'lost s1 after 1: no such address', 'delivered s2']);
      }),
    );

    it(
      'are not tried again if they are refused together after they were cancelled',
      withCourier(async (courier) => {
        const attempt = Promise.withResolvers<void>();
        courier.wait = attempt.promise;
        courier.answer = ([first]) => (first?.id === 's0' ? terminal('no such address') : undefined);
        void courier.hand(gathered(2).map((one) => ({ ...one, dueAt: NOW })));
        courier.wait = null;
        void courier.hand([letter('c')], { cancelled: ['north'] });
        attempt.resolve();
        await courier.life.idle();
        await courier.pass(MINUTE_MS);
        expect(courier.attempts).toEqual([['s0', 's1'], ['c']]);
        expect(courier.log).toEqual(['delivered c']);
      }),
    );

    it(
      'are condensed if they are too many',
      withCourier(async (courier) => {
        await courier.hand(gathered(40));
        await courier.pass(MINUTE_MS);
        expect(courier.attempts).toEqual([['s0 and 39 more']]);
      }),
    );

    it(
      'get one attempt at once for what a person waits for, though the lane waits after a failure',
      withCourier(async (courier) => {
        courier.answer = () => (courier.attempts.length < 2 ? passing(AWAY, { retryAt: NOW + 1e6 }) : undefined);
        await courier.hand([letter('a', { isGathered: true })]);
        await courier.hand([letter('b', { isGathered: true, isAwaited: true })]);
        expect(courier.attempts).toEqual([['a'], ['a', 'b']]);
        expect(courier.arrived).toEqual(['a', 'b']);
      }),
    );
  });

  describe(`time, ${place},`, () => {
    it(
      'wakes the program for a deadline of its state, also after a restart',
      withCourier(async (courier) => {
        await courier.hand([], { closesAt: NOW + 5 * MINUTE_MS });
        courier.restart();
        await courier.pass(5 * MINUTE_MS - 1);
        expect(courier.log).toEqual([]);
        await courier.pass(1);
        expect(courier.log).toEqual(['closed']);
      }),
    );

    it(
      'that is set back lets what waits continue waiting as long as before',
      withCourier(async (courier) => {
        courier.now += 60 * MINUTE_MS;
        await courier.hand([letter('a', { dueAt: courier.now + MINUTE_MS })]);
        courier.now -= 60 * MINUTE_MS;
        await courier.hand([letter('b', { road: 'south' })]);
        expect(courier.log).toEqual([`moved by ${-60 * MINUTE_MS}`, 'delivered b']);
        await courier.pass(MINUTE_MS);
        expect(courier.arrived).toEqual(['b', 'a']);
      }),
    );
  });

  describe(`a program that ends, ${place},`, () => {
    it.each(CRASH_POINTS)(
      'at %s has nothing lost, nothing out of order, and no outcome twice in the next life',
      (point) =>
        inPlace(async (disk) => {
          const courier = new Courier(disk);
          // A delay at first, so that the points of a retry are reached as well.
          courier.answer = ([first]) =>
            first?.id === 'b' && courier.attempts.flat().filter((id) => id === 'b').length < 2
              ? passing(AWAY, { reason: 'Waiting for the road' })
              : undefined;
          await courier.hand([letter('a')]);
          courier.crashAt = point;
          await courier.hand([letter('b'), letter('c'), letter('d', { road: 'south' })], { closesAt: NOW + 3_000 });
          await courier.pass(5 * MINUTE_MS);
          expect(courier.crashAt).toBeNull();
          expect(courier.lives).toBeGreaterThan(1);
          const outcomes = courier.log.filter((what) => !what.startsWith('late'));
          expect(outcomes.toSorted()).toEqual(['closed', 'delivered a', 'delivered b', 'delivered c', 'delivered d']);
          expect(outcomes.filter((what) => what.endsWith('b') || what.endsWith('c'))).toEqual([
            'delivered b',
            'delivered c',
          ]);
          expect(courier.arrived.length).toBeLessThanOrEqual(5);
          expect(courier.published).toEqual(courier.log);
          expect(courier.life.sql.exec('SELECT id FROM outbox').toArray()).toEqual([]);
        }),
    );

    it(
      'while an effect is carried out tries it again soon, waits longer each time, and gives it up in the end',
      withCourier(async (courier) => {
        const times: number[] = [];
        courier.answer = () => {
          times.push(courier.now - NOW);
          courier.crashAt = 'after-attempt';
          return undefined;
        };
        await courier.hand([letter('a', { isStubborn: true })]);
        await courier.pass(10 * MINUTE_MS);
        const waits = times.slice(1).map((time, index) => time - (times[index] ?? 0));
        expect(waits).toHaveLength(INTERRUPTION_LIMIT - 1);
        expect(waits[0]).toBeLessThanOrEqual(2_500);
        expect(waits).toEqual(waits.toSorted((a, b) => a - b));
        expect(waits.at(-1)).toBeGreaterThan(10_000);
        expect(courier.log).toEqual([`lost a after ${INTERRUPTION_LIMIT}: Cyrus crashed on every attempt`]);
      }),
    );

    it(
      'counts no attempt at an effect that was not due yet',
      withCourier(async (courier) => {
        courier.answer = () => passing(AWAY);
        await courier.hand([letter('a', { dueAt: NOW + 1_000 })]);
        courier.restart();
        await courier.pass(MINUTE_MS);
        expect(courier.attempts).toHaveLength(POLICY.attempts);
      }),
    );

    it(
      'loses what a later effect replaces anyway, and nothing else',
      withCourier(async (courier) => {
        const dueAt = NOW + 1_000;
        await courier.hand([letter('a', { dueAt, isPassing: true }), letter('b', { dueAt })]);
        courier.restart();
        await courier.pass(MINUTE_MS);
        expect(courier.arrived).toEqual(['b']);
      }),
    );
  });
}
