import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { LineSplitter, MAX_LINE_BYTES } from '../../container/claude/line-splitter.ts';
import { TurnTracker } from '../../container/claude/turn-tracker.ts';

const samples = join(import.meta.dirname, '../fixtures/claude-stream');

describe('the state of a turn, read from what real runs of the CLI printed', () => {
  for (const name of readdirSync(samples).filter((file) => file.endsWith('.jsonl'))) {
    const lines = readFileSync(join(samples, name), 'utf8').split('\n');
    const ended = lines.some((line) => line.includes('"type":"result"'));
    test(`${name}: ${ended ? 'every turn ends' : 'the turn is still open'}`, () => {
      const tracker = new TurnTracker();
      for (const line of lines) tracker.read(line);
      expect(tracker.busy).toBe(!ended);
      if (ended) expect(tracker.toolRunning).toBe(false);
    });
  }

  test('a prompt that was folded in is answered by the same result, a later one by the next', () => {
    const tracker = new TurnTracker();
    const prompts = [
      'ed652bb0-94e8-416b-81ab-2fb63b0b0495',
      '10a25266-3f1c-497b-a64a-521e0dfb0421',
      '1c1a9396-b989-4899-b35b-56fc3338647d',
    ];
    for (const prompt of prompts) tracker.delivered(prompt);
    const answered = readFileSync(join(samples, '02-multiturn-followup-while-running.jsonl'), 'utf8')
      .split('\n')
      .map((line) => tracker.read(line))
      .filter((meaning) => meaning?.kind === 'result')
      .map((meaning) => ('prompts' in meaning ? meaning.prompts : []));
    expect(answered).toEqual([prompts.slice(0, 2), prompts.slice(2)]);
    expect(tracker.busy).toBe(false);
  });
});

test('a prompt keeps its turn open until it is answered', () => {
  const tracker = new TurnTracker();
  tracker.delivered('a');
  expect(tracker.busy).toBe(true);
  tracker.read('{"type":"result","user_message_uuids":["b"]}');
  expect(tracker.busy).toBe(true);
  tracker.read('{"type":"result","user_message_uuids":["a"]}');
  expect(tracker.busy).toBe(false);
});

test('lines that are no JSON, or of an unknown kind, mean nothing', () => {
  const tracker = new TurnTracker();
  for (const line of ['', 'nonsense', '{}', '[]', 'null', '{"type":"from-the-future"}', '{"type":"assistant"}']) {
    expect(tracker.read(line)).toBeNull();
  }
  expect(tracker.busy).toBe(false);
});

test('lines come out whole however the stream is cut, and one that is too long is left out by its size', () => {
  const text = 'one\ntwo ü😀\n\nthree';
  const bytes = Buffer.from(text);
  for (let size = 1; size <= bytes.length; size++) {
    const lines: string[] = [];
    const splitter = new LineSplitter(
      (line) => lines.push(line),
      () => {},
    );
    for (let at = 0; at < bytes.length; at += size) splitter.push(bytes.subarray(at, at + size));
    splitter.end();
    expect(lines).toEqual(['one', 'two ü😀', 'three']);
  }
  const lines: string[] = [];
  const tooLong: number[] = [];
  const splitter = new LineSplitter(
    (line) => lines.push(line),
    (size) => tooLong.push(size),
  );
  const part = Buffer.alloc(1024 * 1024, 'x');
  for (let sent = 0; sent <= MAX_LINE_BYTES; sent += part.length) splitter.push(part);
  splitter.push(Buffer.from('\nnext\n'));
  expect(lines).toEqual(['next']);
  expect(tooLong).toEqual([MAX_LINE_BYTES + part.length]);
});
