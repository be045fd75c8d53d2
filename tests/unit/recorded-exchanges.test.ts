import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { eventBatchAnswerSchema, readEventBatch } from '../../src/protocol/sandbox/batches.ts';
import { sandboxCommandSchema } from '../../src/protocol/sandbox/commands.ts';
import { sandboxStatusSchema, startSessionSchema } from '../../src/protocol/sandbox/start.ts';
import { protocolMismatch, SANDBOX_PROTOCOL } from '../../src/protocol/version.ts';
import { currentTurn } from '../../src/session/lifecycle/model/phases.ts';
import { decodeFrame } from '../../src/web/live/decode.ts';
import { applyFrame, emptyTimeline } from '../../src/web/live/timeline.ts';
import { SessionPlay } from './support/session-play.ts';

const RECORDINGS = new URL('../fixtures/released-protocols/', import.meta.url);

const lineSchema = z.union([
  z.object({
    to: z.enum(['sandbox', 'worker']),
    method: z.string(),
    path: z.string(),
    body: z.unknown(),
    status: z.number(),
    answer: z.unknown(),
  }),
  z.object({ to: z.literal('page'), message: z.string() }),
]);
type Line = z.infer<typeof lineSchema>;
type Exchange = Exclude<Line, { to: 'page' }>;

const versions = readdirSync(RECORDINGS).filter((name) => existsSync(new URL(`${name}/session.jsonl`, RECORDINGS)));

/** A session that was recorded by `npm run e2e:versions -- --record`: a comment, a question and a stop. */
function recorded(version: string): Line[] {
  const text = readFileSync(new URL(`${version}/session.jsonl`, RECORDINGS), 'utf8');
  return text
    .trim()
    .split('\n')
    .map((line) => lineSchema.parse(JSON.parse(line)));
}

function exchanges(version: string): Exchange[] {
  return recorded(version).filter((line) => line.to !== 'page');
}

const isTo = (to: Exchange['to'], method: string, end: RegExp) => (line: Exchange) =>
  line.to === to && line.method === method && end.test(line.path);
const isStart = isTo('sandbox', 'PUT', /\/sessions\/\w+$/);
const isCommand = isTo('sandbox', 'POST', /\/commands$/);
const isBatch = isTo('worker', 'POST', /\/events$/);

it('the protocol has a recording of the present version and of the one before', () => {
  expect(versions).toEqual([String(SANDBOX_PROTOCOL - 1), String(SANDBOX_PROTOCOL)]);
});

describe.each(versions)('a whole session of version %s, as it was recorded', (version) => {
  it("is understood by this version's sandbox server: every start and every command", () => {
    const lines = exchanges(version);
    const starts = lines.filter(isStart);
    expect(starts.length).toBeGreaterThan(0);
    for (const { body } of starts) {
      const start = startSessionSchema.parse(body);
      expect(
        protocolMismatch({ name: 'the server', protocol: SANDBOX_PROTOCOL }, { name: 'it', protocol: start.protocol }),
      ).toBeNull();
    }
    const commands = lines.filter(isCommand).map(({ body }) => sandboxCommandSchema.parse(body));
    expect(new Set(commands.map(({ type }) => type))).toEqual(new Set(['prompt', 'answer', 'stop']));
  });

  it("is understood by this version's Worker: every status and every event, none of them unreadable", () => {
    const lines = exchanges(version);
    for (const { answer } of lines.filter(isStart)) expect(sandboxStatusSchema.safeParse(answer).success).toBe(true);
    const events = lines.filter(isBatch).flatMap(({ body }) => {
      const read = readEventBatch(body);
      if (!read.ok) throw new Error(read.why);
      return read.batch.events;
    });
    expect(events.filter(({ type }) => type === 'unreadable')).toEqual([]);
    const types = ['step', 'ready', 'line', 'cli-started', 'cli-exited', 'saved'];
    expect([...new Set(events.map(({ type }) => type))]).toEqual(expect.arrayContaining(types));
    for (const { answer } of lines.filter(isBatch)) expect(eventBatchAnswerSchema.safeParse(answer).success).toBe(true);
  });

  it('comes to the same end when its events are played to this version: three turns, the last of them stopped, nothing left open', () => {
    const play = playedBack(version);
    const ended = play.entries.flatMap(({ body }) => (body.kind === 'turn-ended' ? [body.outcome] : []));
    expect(ended).toEqual(['completed', 'completed', 'stopped']);
    expect(play.state.phase.name).toBe('waiting');
    expect(play.state.queue).toEqual([]);
    const calls = play.entries.flatMap(({ body }) => (body.kind === 'tool-call' ? [body.toolUseId] : []));
    expect(new Set(calls).size).toBe(calls.length);
    expect(calls.length).toBeGreaterThan(8);
  });

  it("is shown by this version's page: every frame fits onto the one before, and the journal has no gap", () => {
    let timeline = emptyTimeline;
    for (const line of recorded(version)) {
      if (line.to !== 'page') continue;
      for (const text of line.message.split('\n')) {
        const frame = decodeFrame(text);
        if (frame === null || frame === 'unknown') throw new Error(`not understood: ${text.slice(0, 200)}`);
        const applied = applyFrame(timeline, frame);
        if (!applied.ok) throw new Error(applied.problem);
        timeline = applied.timeline;
      }
    }
    expect(timeline.entries.map(({ seq }) => seq)).toEqual(timeline.entries.map((_, index) => index + 1));
    expect(timeline.entries.filter(({ kind }) => kind === 'unknown')).toEqual([]);
    expect(timeline.entries.filter(({ kind }) => kind === 'turn-ended')).toHaveLength(3);
  });
});

describe('what this version sends', () => {
  const keysOf = (value: unknown): string[] => Object.keys(Object(value));
  const [before, now] = versions;

  it('has everything that the version before sent: a server and a Worker of that one miss nothing', () => {
    const [old, present] = [exchanges(before ?? ''), exchanges(now ?? '')];
    const start = (lines: Exchange[]) => Object(lines.find(isStart)?.body);
    expect(keysOf(start(present))).toEqual(expect.arrayContaining(keysOf(start(old))));
    for (const part of ['gateway', 'repository', 'claude'])
      expect(keysOf(start(present)[part])).toEqual(expect.arrayContaining(keysOf(start(old)[part])));
    const batch = (lines: Exchange[]) => lines.find(isBatch);
    expect(keysOf(batch(present)?.body)).toEqual(expect.arrayContaining(keysOf(batch(old)?.body)));
    expect(keysOf(batch(present)?.answer)).toEqual(expect.arrayContaining(keysOf(batch(old)?.answer)));
    const event = (lines: Exchange[], type: string) =>
      lines
        .filter(isBatch)
        .flatMap(({ body }) => Object(body).events as { type: string }[])
        .find((one) => one.type === type);
    for (const type of ['ready', 'line', 'cli-started', 'cli-exited', 'saved'])
      expect(keysOf(event(present, type))).toEqual(expect.arrayContaining(keysOf(event(old, type))));
  });
});

/** Plays what the sandbox reported to the lifecycle, with what people did to bring the recorded commands about. */
function playedBack(version: string): SessionPlay {
  const play = new SessionPlay();
  const asked = new Set<string>();
  for (const line of exchanges(version)) {
    if (isCommand(line)) {
      const command = sandboxCommandSchema.parse(line.body);
      if (command.type === 'prompt' && !asked.has(command.id)) play.prompt(command.id);
      if (command.type === 'answer') play.prompt('the answer', 'thread-1', 'Ada', 'Blue');
      if (command.type === 'stop') play.stop();
      asked.add(command.id);
    } else if (isBatch(line)) {
      const read = readEventBatch(line.body);
      if (!read.ok) throw new Error(read.why);
      const { batch } = read;
      const { generation } = play.state.sandbox;
      if (currentTurn(play.state) || batch.events.length > 0)
        play.play({ type: 'sandbox-reported', batch: { ...batch, generation } });
    }
  }
  return play;
}
