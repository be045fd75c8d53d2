import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { PAGE_PROTOCOL } from '../../src/protocol/version.ts';
import { CLOSE_MORE, CLOSE_PROTOCOL, CLOSE_SIGNED_OUT, type ViewerFrame } from '../../src/protocol/viewer.ts';
import {
  HELLO_DEADLINE_MS,
  type LinkState,
  LiveConnection,
  PING_EVERY_MS,
  retryDelay,
  type Socket,
} from '../../src/web/live/connection.ts';
import { sessionView } from './support/session-view.ts';

const session = sessionView();
const hello: ViewerFrame = { t: 'hello', session, head: 0, open: [] };
const drop: ViewerFrame = { t: 'drop', blocks: [] };

/** The other end of a socket, in the hands of the test. */
class Line implements Socket {
  onmessage: Socket['onmessage'] = null;
  onclose: Socket['onclose'] = null;
  onerror: Socket['onerror'] = null;
  readonly sent: string[] = [];
  closed = false;

  send(data: string): void {
    this.sent.push(data);
  }

  close(): void {
    this.closed = true;
  }

  #socket(): WebSocket {
    return this as unknown as WebSocket; // What handlers are called on; they do not use it.
  }

  says(message: string | ViewerFrame): void {
    const data = typeof message === 'string' ? message : JSON.stringify(message);
    this.onmessage?.call(this.#socket(), new MessageEvent('message', { data }));
  }

  breaks(code = 1006, reason = ''): void {
    this.onclose?.call(this.#socket(), Object.assign(new Event('close'), { code, reason, wasClean: false }));
  }
}

function connect(onFrame: (frame: ViewerFrame) => string | null = () => null) {
  const lines: Line[] = [];
  const states: LinkState[] = [];
  const connection = new LiveConnection({
    open: () => {
      const line = new Line();
      lines.push(line);
      return line;
    },
    onFrame,
    onState: (state) => states.push(state),
    random: () => 1,
  });
  const line = (index: number): Line => {
    const found = lines[index];
    if (found === undefined) throw new Error(`there are ${lines.length} sockets so far`);
    return found;
  };
  return { connection, lines, line, states, state: () => states.at(-1)?.at };
}

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

describe('the live connection', () => {
  test('is live once the server has greeted it', () => {
    const { line, state } = connect();
    expect(state()).toBe('connecting');
    line(0).says(hello);
    expect(state()).toBe('live');
  });

  test('comes back by itself, however often it is lost', () => {
    const { lines, line } = connect();
    for (let time = 0; time < 50; time += 1) {
      line(time).breaks();
      vi.advanceTimersByTime(10_000);
      expect(lines.length).toBe(time + 2);
    }
  });

  test('waits longer with each failure, at most 10 seconds, and never in step with others', () => {
    const longest = Array.from({ length: 12 }, (_, failures) => retryDelay(failures, 1));
    const shortest = Array.from({ length: 12 }, (_, failures) => retryDelay(failures, 0));
    expect(longest.slice(0, 7)).toEqual([250, 500, 1000, 2000, 4000, 8000, 10_000]);
    expect(Math.max(...longest)).toBe(10_000);
    expect(shortest).toEqual(longest.map((delay) => delay / 2));
  });

  test('a connection is closed and opened again when a ping is not answered within 5 seconds', () => {
    const { lines, line, state } = connect();
    line(0).says(hello);
    vi.advanceTimersByTime(15_000);
    expect(line(0).sent).toEqual(['ping']);
    vi.advanceTimersByTime(4_999);
    expect(state()).toBe('live');
    vi.advanceTimersByTime(1);
    expect(state()).toBe('waiting');
    expect(line(0).closed).toBe(true);
    vi.advanceTimersByTime(250);
    expect(lines.length).toBe(2);
  });

  test('stays as long as each ping is answered', () => {
    const { lines, line, state } = connect();
    line(0).says(hello);
    for (let minute = 0; minute < 40; minute += 1) {
      vi.advanceTimersByTime(15_000);
      line(0).says('pong');
    }
    expect(line(0).sent.length).toBe(40);
    expect(state()).toBe('live');
    expect(lines.length).toBe(1);
  });

  test('is not waited for when the server never greets', () => {
    const { line, state } = connect();
    vi.advanceTimersByTime(HELLO_DEADLINE_MS);
    expect(state()).toBe('waiting');
    expect(line(0).closed).toBe(true);
  });

  test('is tried at once when the network or the page comes back', () => {
    const { connection, lines, line } = connect();
    for (let time = 0; time < 6; time += 1) {
      line(time).breaks();
      vi.advanceTimersByTime(10_000);
    }
    line(6).breaks();
    connection.wake();
    expect(lines.length).toBe(8);
  });

  test('that looks alive is asked at once when the page comes back', () => {
    const { connection, line, state } = connect();
    line(0).says(hello);
    connection.wake();
    expect(line(0).sent).toEqual(['ping']);
    connection.wake();
    expect(line(0).sent).toEqual(['ping']);
    vi.advanceTimersByTime(5_000);
    expect(state()).toBe('waiting');
  });

  test('of a person who is not signed in any more ends with that, and is not tried again', () => {
    const { lines, line, state } = connect();
    line(0).says(hello);
    line(0).breaks(CLOSE_SIGNED_OUT);
    expect(state()).toBe('signed-out');
    vi.advanceTimersByTime(60_000);
    expect(lines.length).toBe(1);
  });

  test('is given up when a frame does not fit, and nothing more is read from it', () => {
    const frames: string[] = [];
    const { line, state } = connect((frame) => {
      frames.push(frame.t);
      return frame.t === 'drop' ? 'it does not fit' : null;
    });
    line(0).says(hello);
    line(0).says(drop);
    line(0).says(drop);
    expect(state()).toBe('waiting');
    expect(line(0).closed).toBe(true);
    expect(frames).toEqual(['hello', 'drop']);
  });

  test.each([
    ['a frame before the greeting', [drop]],
    ['something that is no frame', [hello, '{"t":"surprise"}']],
    ['something that is no JSON', [hello, 'hello']],
  ])('does not trust %s', (_, messages) => {
    const { line, state } = connect();
    for (const message of messages) line(0).says(message);
    expect(state()).toBe('waiting');
  });

  test('that is refused again and again is tried ever more slowly', () => {
    const { lines, line } = connect((frame) => (frame.t === 'hello' ? null : 'it does not fit'));
    for (let time = 0; time < 7; time += 1) {
      line(time).says(hello);
      line(time).says(drop);
      vi.advanceTimersByTime(10_000);
    }
    line(7).says(hello);
    line(7).says(drop);
    vi.advanceTimersByTime(9_999);
    expect(lines.length).toBe(8);
  });

  test('that lasted a while comes back quickly', () => {
    const { lines, line } = connect();
    for (let time = 0; time < 7; time += 1) {
      line(time).breaks();
      vi.advanceTimersByTime(10_000);
    }
    line(7).says(hello);
    vi.advanceTimersByTime(6_000);
    line(7).breaks();
    vi.advanceTimersByTime(250);
    expect(lines.length).toBe(9);
  });

  test('that the server ends to continue in another one is said to be lost from then on, not from when the page was opened', () => {
    const { line, states } = connect();
    line(0).says(hello);
    for (let time = 0; time < 10; time += 1) {
      vi.advanceTimersByTime(PING_EVERY_MS);
      line(0).says('pong');
    }
    line(0).breaks(CLOSE_MORE);
    expect(states.at(-1)).toMatchObject({ at: 'connecting', since: Date.now() });
  });

  test('is not tried again when there is no such session', () => {
    const { connection, lines, line, state } = connect();
    line(0).breaks(4404);
    expect(state()).toBe('gone');
    connection.wake();
    vi.advanceTimersByTime(60_000);
    expect(lines.length).toBe(1);
  });

  test('ends for good when the page is left', () => {
    const { connection, lines, line, state } = connect();
    line(0).says(hello);
    connection.close();
    line(0).breaks();
    vi.advanceTimersByTime(60_000);
    expect(line(0).closed).toBe(true);
    expect(state()).toBe('closed');
    expect(lines.length).toBe(1);
  });
});

describe('page and server of different versions', () => {
  test('work together when they are one apart, and frames of an unknown kind are passed over', () => {
    const frames: ViewerFrame[] = [];
    const { lines, states } = connect((frame) => {
      frames.push(frame);
      return null;
    });
    lines[0]?.says({ ...hello, protocol: PAGE_PROTOCOL + 1 });
    lines[0]?.says('{"t":"confetti"}');
    lines[0]?.says(drop);
    expect(states.at(-1)).toEqual({ at: 'live' });
    expect(frames.map(({ t }) => t)).toEqual(['hello', 'drop']);
  });

  test('say that the page has to be loaded again when they are further apart, naming both', () => {
    const { lines, states } = connect();
    lines[0]?.says({ ...hello, protocol: PAGE_PROTOCOL + 2 });
    const words = `version ${PAGE_PROTOCOL} of the protocol and Cyrus version ${PAGE_PROTOCOL + 2}`;
    expect(states.at(-1)).toMatchObject({ at: 'waiting', problem: expect.stringContaining(words) });
    expect(states.at(-1)).toMatchObject({ problem: expect.stringContaining('reload the page') });
  });

  test('show the reason that the server gives for closing', () => {
    const { lines, states } = connect();
    lines[0]?.breaks(CLOSE_PROTOCOL, 'Cyrus speaks version 4');
    expect(states.at(-1)).toMatchObject({ at: 'waiting', problem: 'Cyrus speaks version 4' });
  });
});
