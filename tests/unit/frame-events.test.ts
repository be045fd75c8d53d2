import { describe, expect, it } from 'vitest';
import type { SessionView, ViewerFrame } from '../../src/protocol/viewer.ts';
import { FrameEvents } from '../../src/routes/api/frame-events.ts';

const session = { id: 'a', turn: 1 } as SessionView;
const hello = (open: { block: string; text: string }[] = []): ViewerFrame => ({
  ...{ t: 'hello', protocol: 2, session, head: 0 },
  open: open.map((one) => ({ ...one, kind: 'text', turn: 1 })),
});
const delta = (b: string, o: number, x: string): ViewerFrame => ({ t: 'd', b, o, x });
const seal = (b: string, length: number): ViewerFrame => ({
  ...{ t: 'seal', b, length },
  entry: { seq: 7, at: 1, turn: 1, kind: 'text' },
});

/** What a program that reads the stream has in the end. */
function told(...frames: ViewerFrame[]) {
  const events = new FrameEvents();
  return frames
    .flatMap((frame) => events.take(frame))
    .filter((one) => !('text' in one && one.text.includes('session')));
}

const whole = (text: string) => ({
  text: `id: 7\nevent: entry\ndata: ${JSON.stringify({ seq: 7, at: 1, turn: 1, kind: 'text', text })}\n\n`,
});

describe('the event of a text that was streamed', () => {
  it('has all of it, also of a block that had begun before the program came', () => {
    expect(told(hello([{ block: 'b', text: 'He' }]), delta('b', 2, 'llo\n'), seal('b', 6))).toEqual([whole('Hello\n')]);
    const opened: ViewerFrame = { t: 'open', open: { block: 'c', kind: 'text', turn: 1, text: '' } };
    expect(told(hello(), opened, delta('c', 0, 'Hi'), seal('c', 2))).toEqual([whole('Hi')]);
  });

  it('is read from the journal if a piece of it was missed', () => {
    expect(told(hello(), delta('b', 5, 'lo'), seal('b', 7))).toEqual([{ missed: 7 }]);
    expect(told(hello([{ block: 'b', text: 'He' }]), hello(), seal('b', 2))).toEqual([{ missed: 7 }]);
  });

  it('does not come for a block that was dropped', () => {
    expect(told(hello([{ block: 'b', text: 'He' }]), { t: 'drop', blocks: ['b'] })).toEqual([]);
  });
});

it('a session is told when it has changed, and not again', () => {
  const events = new FrameEvents();
  const later = { ...session, turn: 2 };
  const all = [hello(), hello(), { t: 'session', session: later } as const].flatMap((frame) => events.take(frame));
  expect(all).toEqual([session, later].map((one) => ({ text: `event: session\ndata: ${JSON.stringify(one)}\n\n` })));
});
