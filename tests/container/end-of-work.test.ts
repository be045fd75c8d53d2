import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { EndOfWork } from '../../container/claude/end-of-work.ts';
import { TurnTracker } from '../../container/claude/turn-tracker.ts';

const MINUTE = 60_000;
const LIMITS = { helperMs: 30 * MINUTE, commandMs: 20_000 };

let tracker: TurnTracker;
let work: EndOfWork;
let told: string[];

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  told = [];
  tracker = new TurnTracker();
  work = new EndOfWork(tracker, LIMITS, {
    ended: () => told.push('ended'),
    overdue: (helpers) => told.push(`overdue: ${helpers.map(({ name }) => name).join()}`),
    stuck: () => told.push('stuck'),
  });
});
afterEach(() => {
  work.forget();
  vi.useRealTimers();
});

function read(line: object): void {
  tracker.read(JSON.stringify(line));
  work.look();
}

/** @returns whether the turn continues */
function result(queued = 0): boolean {
  tracker.read(JSON.stringify({ type: 'result', user_message_uuids: ['p'], queued_turn_count: queued }));
  return work.holdsAfterResult(queued > 0);
}

const init = { type: 'system', subtype: 'init' };
const task = (id: string, type: string, description: string) => ({ task_id: id, task_type: type, description });
const running = (...tasks: object[]) => ({ type: 'system', subtype: 'background_tasks_changed', tasks });
const done = (id: string) => ({ type: 'system', subtype: 'task_notification', task_id: id, status: 'completed' });

test('a turn without helpers ends with its result', () => {
  read(init);
  expect(result()).toBe(false);
  expect(work.isHeld).toBe(false);
});

test('if Claude is told that its helper is done, the result of that ends the turn', () => {
  read(init);
  read(running(task('h', 'local_agent', 'Count')));
  expect(result()).toBe(true);
  read(done('h'));
  read(running());
  expect(told).toEqual([]);
  read(init);
  vi.advanceTimersByTime(10 * MINUTE);
  expect(told).toEqual([]);
  expect(result()).toBe(false);
});

test('if the CLI does not tell Claude that a helper is done, the turn ends after a moment', () => {
  read(init);
  read(running(task('h', 'local_agent', 'Count')));
  result();
  read(done('h'));
  read(running());
  vi.advanceTimersByTime(4_000);
  expect(told).toEqual([]);
  vi.advanceTimersByTime(2_000);
  expect(told).toEqual(['ended']);
  expect(work.isHeld).toBe(false);
});

test('what ended while Claude was at work holds its result for a second at most', () => {
  read(init);
  read(running(task('h', 'local_agent', 'Count')));
  read(done('h'));
  read(running());
  expect(result()).toBe(true);
  vi.advanceTimersByTime(1_100);
  expect(told).toEqual(['ended']);
});

test('helpers are overdue half an hour after the last word, and a comment gives them that time again', () => {
  read(init);
  read(running(task('h', 'local_agent', 'Count')));
  result();
  vi.advanceTimersByTime(29 * MINUTE);
  work.asked();
  read(init);
  expect(result()).toBe(true);
  vi.advanceTimersByTime(29 * MINUTE);
  expect(told).toEqual([]);
  vi.advanceTimersByTime(1.5 * MINUTE);
  expect(told).toEqual(['overdue: Count']);
  vi.advanceTimersByTime(MINUTE);
  expect(told).toEqual(['overdue: Count', 'stuck']);
});

test('a clock that is set back or forward changes nothing about how long is waited', () => {
  read(init);
  read(running(task('h', 'local_agent', 'Count')));
  result();
  vi.setSystemTime(0);
  vi.advanceTimersByTime(29 * MINUTE);
  vi.setSystemTime(4e12);
  vi.advanceTimersByTime(30_000);
  expect(told).toEqual([]);
});

test('a command holds a result while it is young, counted from its own start', () => {
  read(init);
  read(running(task('b', 'local_bash', 'dev server')));
  vi.advanceTimersByTime(15_000);
  expect(result()).toBe(true);
  vi.advanceTimersByTime(5_100);
  expect(told).toEqual(['ended']);
  read(init);
  expect(result()).toBe(false);
});

test('a request that the CLI has begun already is waited for', () => {
  read(init);
  expect(result(1)).toBe(true);
  read(init);
  expect(result()).toBe(false);
});

test('lines about background work that are odd or incomplete change nothing', () => {
  read(init);
  for (const line of [running({}), { ...running(), tasks: 3 }, done(''), { type: 'system', subtype: 'task_started' }])
    read(line);
  expect(tracker.background.helpers).toEqual([]);
  expect(result()).toBe(false);
});
