import { describe, expect, test } from 'vitest';
import type { JournalEntry } from '../../src/protocol/journal.ts';
import type { OpenBlock, SessionView, ViewerFrame } from '../../src/protocol/viewer.ts';
import { applyFrame, beginWith, emptyTimeline, type Timeline } from '../../src/web/live/timeline.ts';
import { sessionView } from './support/session-view.ts';

/** Mulberry32: the same numbers in 0..1 for the same seed. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function view(change: Partial<SessionView> = {}): SessionView {
  return sessionView({ repository: 'acme/shop', branch: 'cyrus/shop-1', turnStartedAt: 0, ...change });
}

function notice(seq: number, text = `notice ${seq}`): JournalEntry {
  return { seq, at: seq, turn: 1, kind: 'notice', level: 'info', text };
}

/**
 * A session as the server keeps it: it writes entries and streams blocks at random, and gives every frame it would send
 * to a viewer that is connected. Text is any UTF-16, also halves of surrogate pairs, since deltas may be cut there.
 */
class Server {
  readonly entries: JournalEntry[] = [];
  open: OpenBlock[] = [];
  session = view();
  readonly #random: () => number;
  #blocks = 0;

  constructor(random: () => number) {
    this.#random = random;
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  step(): ViewerFrame[] {
    const choice = this.#random();
    const block = this.open[this.#below(this.open.length)];
    if (choice < 0.2 || block === undefined) {
      return [this.#random() < 0.5 ? this.#openBlock() : this.#write()];
    }
    if (choice < 0.25) return [this.#openBlock()];
    if (choice < 0.3) return [this.#write()];
    if (choice < 0.34) {
      this.session = view({ updatedAt: this.session.updatedAt + 1, reason: `reason ${this.#below(9)}` });
      return [{ t: 'session', session: this.session }];
    }
    if (choice < 0.37) {
      this.open = this.open.filter((other) => other !== block);
      return [{ t: 'drop', blocks: [block.block] }];
    }
    if (block.kind === 'tool-call') return this.#callOf(block);
    return [choice < 0.45 ? this.#seal(block) : this.#delta(block)];
  }

  /** What a viewer is sent when it connects with the last number it has. */
  greet(after: number): ViewerFrame[] {
    const frames: ViewerFrame[] = [
      { t: 'hello', session: this.session, head: this.entries.length, open: this.open.map((block) => ({ ...block })) },
    ];
    for (let at = after; at < this.entries.length; ) {
      const count = 1 + this.#below(5);
      frames.push({ t: 'entries', entries: this.entries.slice(at, at + count) });
      at += count;
    }
    return frames;
  }

  #push(entry: JournalEntry): JournalEntry {
    this.entries.push(entry);
    return entry;
  }

  #write(): ViewerFrame {
    const count = 1 + this.#below(3);
    const entries = Array.from({ length: count }, () => this.#push(notice(this.entries.length + 1)));
    return { t: 'entries', entries };
  }

  #openBlock(): ViewerFrame {
    const kind = (['text', 'thinking', 'tool-call'] as const)[this.#below(3)] ?? 'text';
    this.#blocks += 1;
    const open: OpenBlock = {
      block: `b${this.#blocks}`,
      kind,
      turn: 1,
      text: '',
      ...(kind === 'tool-call' ? { name: this.#random() < 0.5 ? 'Bash' : 'Read' } : {}),
      ...(this.#random() < 0.3 ? { parentToolUseId: 'agent' } : {}),
    };
    this.open.push(open);
    return { t: 'open', open: { ...open } };
  }

  #delta(block: OpenBlock): ViewerFrame {
    const text = Array.from({ length: 1 + this.#below(4) }, () =>
      String.fromCharCode(this.#random() < 0.2 ? 0xd800 + this.#below(0x800) : 0x20 + this.#below(0x500)),
    ).join('');
    const frame: ViewerFrame = { t: 'd', b: block.block, o: block.text.length, x: text };
    block.text += text;
    return frame;
  }

  #seal({ block, kind, text, parentToolUseId }: OpenBlock): ViewerFrame {
    if (kind === 'tool-call') throw new Error('a tool call is never sealed');
    this.open = this.open.filter((other) => other.block !== block);
    const seq = this.entries.length + 1;
    const head = { seq, at: seq, turn: 1, kind, ...(parentToolUseId === undefined ? {} : { parentToolUseId }) };
    this.#push({ ...head, text });
    return { t: 'seal', b: block, length: text.length, entry: head };
  }

  /** A tool call is not sealed: its block is dropped, its entry has all of it. */
  #callOf(block: OpenBlock): ViewerFrame[] {
    const { name = 'Bash', parentToolUseId } = block;
    this.open = this.open.filter((other) => other !== block);
    const seq = this.entries.length + 1;
    const parent = parentToolUseId === undefined ? {} : { parentToolUseId };
    const head = {
      seq,
      at: seq,
      turn: 1,
      kind: 'tool-call' as const,
      toolUseId: `t${seq}`,
      name,
      input: {},
      ...parent,
    };
    return [
      { t: 'drop', blocks: [block.block] },
      { t: 'entries', entries: [this.#push(head)] },
    ];
  }
}

/** Frames travel as JSON. */
function sent(frame: ViewerFrame): ViewerFrame {
  return JSON.parse(JSON.stringify(frame));
}

function follow(timeline: Timeline, frames: ViewerFrame[]): Timeline {
  let current = timeline;
  for (const frame of frames) {
    const applied = applyFrame(current, sent(frame));
    if (!applied.ok) throw new Error(applied.problem);
    current = applied.timeline;
  }
  return current;
}

function expectEqual(timeline: Timeline, server: Server): void {
  expect(timeline).toEqual({
    session: server.session,
    entries: server.entries,
    lastSeq: server.entries.length,
    head: server.entries.length,
    open: server.open,
  });
}

describe('a viewer', () => {
  test.each([1, 2, 3, 4, 5])(
    'that was cut off at 100 random moments shows exactly what an uninterrupted one shows (history %i)',
    (seed) => {
      const random = randomOf(seed);
      const server = new Server(random);
      let uninterrupted = follow(emptyTimeline, server.greet(0));
      let cutOff = follow(emptyTimeline, server.greet(0));
      for (let cut = 0; cut < 100; cut += 1) {
        const live = Array.from({ length: Math.floor(random() * 40) }, () => server.step()).flat();
        uninterrupted = follow(uninterrupted, live);
        cutOff = follow(cutOff, live);
        const missed = Array.from({ length: Math.floor(random() * 40) }, () => server.step()).flat();
        uninterrupted = follow(uninterrupted, missed);
        cutOff = follow(cutOff, server.greet(cutOff.lastSeq));
        expect(cutOff).toEqual(uninterrupted);
      }
      expectEqual(cutOff, server);
      expect(server.entries.length).toBeGreaterThan(500);
    },
  );

  test('that is cut off while it is still catching up continues where it was', () => {
    const random = randomOf(11);
    const server = new Server(random);
    for (let step = 0; step < 500; step += 1) server.step();
    let timeline = emptyTimeline;
    for (let tries = 0; timeline.lastSeq < server.entries.length; tries += 1) {
      timeline = follow(timeline, server.greet(timeline.lastSeq).slice(0, 4));
      if (tries > 500) throw new Error('the viewer never caught up');
    }
    expectEqual(timeline, server);
  });

  test('notices every lost delta, entry and seal, and recovers with the next connection', () => {
    for (let seed = 100; seed < 200; seed += 1) {
      const random = randomOf(seed);
      const server = new Server(random);
      let timeline = follow(emptyTimeline, server.greet(0));
      let lost: 'd' | 'entries' | 'seal' | null = null;
      let noticed = false;
      for (let step = 0; step < 400 && !noticed; step += 1) {
        for (const frame of server.step()) {
          if (lost === null && step > 50 && (frame.t === 'd' || frame.t === 'entries' || frame.t === 'seal')) {
            lost = frame.t;
            continue;
          }
          const applied = applyFrame(timeline, sent(frame));
          noticed ||= !applied.ok;
          timeline = applied.timeline;
        }
        // Until the loss is noticed nothing wrong was shown as finished.
        expect(timeline.entries).toEqual(server.entries.slice(0, timeline.lastSeq));
      }
      timeline = follow(timeline, server.greet(timeline.lastSeq));
      expectEqual(timeline, server);
    }
  });

  test('shows an entry that arrives twice once', () => {
    const server = new Server(randomOf(7));
    for (let step = 0; step < 200; step += 1) server.step();
    const timeline = follow(emptyTimeline, server.greet(0));
    expect(follow(timeline, server.greet(0))).toEqual(timeline);
  });

  test('changes nothing when a frame does not fit', () => {
    const open: OpenBlock = { block: 'b', kind: 'text', turn: 1, text: 'Hello', parentToolUseId: undefined };
    const timeline = follow(emptyTimeline, [
      { t: 'hello', session: view(), head: 0, open: [] },
      { t: 'entries', entries: [notice(1)] },
      { t: 'open', open },
    ]);
    const seal = { seq: 2, at: 2, turn: 1, kind: 'text' as const };
    const wrong: ViewerFrame[] = [
      { t: 'd', b: 'b', o: 4, x: '!' },
      { t: 'd', b: 'b', o: 6, x: '!' },
      { t: 'd', b: 'other', o: 0, x: '!' },
      { t: 'entries', entries: [notice(3)] },
      { t: 'entries', entries: [notice(2), notice(4)] },
      { t: 'seal', b: 'b', length: 4, entry: seal },
      { t: 'seal', b: 'other', length: 5, entry: seal },
      { t: 'seal', b: 'b', length: 5, entry: { ...seal, seq: 3 } },
    ];
    for (const frame of wrong) {
      const applied = applyFrame(timeline, frame);
      expect(applied, JSON.stringify(frame)).toMatchObject({ ok: false });
      expect(applied.timeline).toBe(timeline);
    }
  });

  test('starts over when the server has a shorter journal than was shown', () => {
    const timeline = follow(emptyTimeline, [{ t: 'entries', entries: [notice(1), notice(2)] }]);
    const applied = applyFrame(timeline, { t: 'hello', session: view(), head: 1, open: [] });
    expect(applied).toMatchObject({ ok: false, timeline: emptyTimeline });
  });

  test('has the newest entries at once, however long the journal is, and continues from there', () => {
    const server = new Server(randomOf(21));
    for (let step = 0; step < 300; step += 1) server.step();
    const newest = server.entries.slice(-50);
    const timeline = beginWith({ session: server.session, entries: newest, head: server.entries.length });
    for (let step = 0; step < 50; step += 1) server.step();
    const live = follow(timeline, server.greet(timeline.lastSeq));
    expect(live.entries).toEqual(server.entries.slice(server.entries.findIndex(({ seq }) => seq === newest[0]?.seq)));
    expect(live.lastSeq).toBe(server.entries.length);
  });

  test('shows a block once whose end a server without memory sends as an entry', () => {
    const streaming = follow(emptyTimeline, [
      { t: 'hello', session: view(), head: 0, open: [] },
      { t: 'open', open: { block: 'b', kind: 'text', turn: 1, text: '' } },
      { t: 'd', b: 'b', o: 0, x: 'The total ' },
    ]);
    const whole: JournalEntry = { seq: 1, at: 1, turn: 1, kind: 'text', text: 'The total was wrong.' };
    expect(follow(streaming, [{ t: 'entries', entries: [whole] }])).toMatchObject({ entries: [whole], open: [] });
    const other: JournalEntry = { ...whole, text: 'Something else.' };
    expect(follow(streaming, [{ t: 'entries', entries: [other] }]).open).toEqual(streaming.open);
  });

  test('takes a greeting in the middle of a connection as the truth about open blocks', () => {
    const timeline = follow(emptyTimeline, [
      { t: 'hello', session: view(), head: 0, open: [] },
      { t: 'open', open: { block: 'b', kind: 'tool-call', turn: 1, text: '', name: 'Bash' } },
      { t: 'hello', session: view(), head: 0, open: [] },
    ]);
    expect(timeline.open).toEqual([]);
  });

  test('digests 20,000 deltas of one block in well under a second', () => {
    let timeline = follow(emptyTimeline, [{ t: 'open', open: { block: 'b', kind: 'text', turn: 1, text: '' } }]);
    const began = performance.now();
    for (let at = 0; at < 20_000; at += 1) {
      const applied = applyFrame(timeline, { t: 'd', b: 'b', o: at * 3, x: 'abc' });
      expect(applied.ok).toBe(true);
      timeline = applied.timeline;
    }
    expect(timeline.open[0]?.text.length).toBe(60_000);
    expect(performance.now() - began).toBeLessThan(1000);
  });
});
