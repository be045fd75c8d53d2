import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { JournalEntry } from '../../src/protocol/journal.ts';
import { CLOSE_MORE } from '../../src/protocol/viewer.ts';
import { SessionStore } from '../../src/web/live/session-store.ts';
import { sessionView } from './support/session-view.ts';

const HEAD = 2_000;
const session = sessionView();
const entry = (seq: number): JournalEntry => ({ seq, at: 1, turn: 1, kind: 'notice', level: 'info', text: 'x' });

/** The server's end of a socket, in the hands of the test. */
class Line {
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  close(): void {}
  send(): void {}
  says(frame: object): void {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }
}

let lines: Line[] = [];
/** Requests for earlier entries, by the number that they are asked before; the test answers them. */
let asked: { before: string; answer: (status?: number) => void }[] = [];
let store: SessionStore;

/** Answers of a request that is under way come in a few turns of the event loop. */
const settled = async () => {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};

function pageBefore(before: string): object {
  const end = before === 'end' ? HEAD + 1 : Math.min(Number(before), HEAD + 1);
  const from = Math.max(1, end - 300);
  return { session, entries: Array.from({ length: end - from }, (_, index) => entry(from + index)), head: HEAD };
}

beforeEach(async () => {
  lines = [];
  asked = [];
  vi.stubGlobal('window', new EventTarget());
  vi.stubGlobal('document', Object.assign(new EventTarget(), { hidden: false }));
  vi.stubGlobal('location', { href: 'https://cyrus.example/sessions/s' });
  // Everything that came is drawn in the next frame, which is now.
  vi.stubGlobal('requestAnimationFrame', (draw: () => void) => draw());
  vi.stubGlobal(
    'WebSocket',
    class extends Line {
      constructor() {
        super();
        lines.push(this);
      }
    },
  );
  vi.spyOn(globalThis, 'fetch').mockImplementation(async (input) => {
    const before = new URL(String(input), 'https://cyrus.example').searchParams.get('before') ?? '';
    if (before === 'end') return Response.json(pageBefore(before));
    return new Promise((resolve) => {
      const answer = (status = 200) =>
        resolve(status === 200 ? Response.json(pageBefore(before)) : new Response('{}', { status }));
      asked.push({ before, answer });
    });
  });
  store = new SessionStore('s');
  await settled();
  lines[0]?.says({ t: 'hello', session, head: HEAD, open: [] });
});

afterEach(() => {
  store.close();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

test('a page goes to the entry that was asked for last, in whatever order the answers come', async () => {
  void store.goTo(100);
  void store.goTo(900);
  expect(asked.map(({ before }) => before)).toEqual(['200', '1000']);
  asked[1]?.answer();
  await settled();
  asked[0]?.answer();
  await settled();
  const { target, entries, isPast } = store.getState();
  expect(target).toEqual({ seq: 900 });
  expect(isPast).toBe(true);
  expect(entries.some(({ seq }) => seq === 900)).toBe(true);
});

test('a reader who goes back to the newest entries stays there, and can read earlier ones', async () => {
  void store.goTo(100);
  store.goToNewest();
  asked[0]?.answer();
  await settled();
  expect(store.getState()).toMatchObject({ isPast: false, older: 'some', target: null });
});

test('earlier entries that cannot be read are asked for again by the reader or a new connection, not by what comes', async () => {
  void store.readOlder();
  asked[0]?.answer(503);
  await settled();
  lines[0]?.says({ t: 'entries', entries: [entry(HEAD + 1)] });
  expect(store.getState().entries.at(-1)?.seq).toBe(HEAD + 1);
  expect(store.getState().older).toBe('failed');
  void store.readOlder();
  asked[1]?.answer();
  await settled();
  expect(store.getState()).toMatchObject({ older: 'some' });
  expect(store.getState().entries[0]?.seq).toBe(HEAD + 1 - 600);
  void store.readOlder();
  asked[2]?.answer(503);
  await settled();
  expect(store.getState().older).toBe('failed');
  lines[0]?.onclose?.({ code: CLOSE_MORE });
  lines[1]?.says({ t: 'hello', session, head: HEAD + 1, open: [] });
  expect(store.getState().older).toBe('some');
});
