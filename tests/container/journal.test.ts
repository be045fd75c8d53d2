import { appendFile, mkdtemp, readdir, readFile, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EventJournal } from '../../container/events/journal.ts';
import { type SandboxEvent, sandboxEventSchema } from '../../src/protocol/sandbox/events.ts';

let dir: string;
let journal: EventJournal;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cyrus-journal-'));
  journal = await EventJournal.open(dir);
});
afterEach(async () => {
  await journal.close();
  await rm(dir, { recursive: true, force: true });
});

async function add(count: number, text = 'text'): Promise<void> {
  for (let index = 0; index < count; index++) journal.append({ type: 'line', line: `${text} ${index}` });
  await journal.flushed();
}

async function readAll(from: number, maxEvents = 500, maxBytes = 1024 * 1024): Promise<SandboxEvent[]> {
  const all: SandboxEvent[] = [];
  for (let next = from; ; next = from + all.length) {
    const slice = await journal.read(next, maxEvents, maxBytes);
    if (!slice) return all;
    expect(slice.first).toBe(next);
    const events = sandboxEventSchema.array().parse(JSON.parse(`[${slice.json.toString('utf8')}]`));
    expect(events).toHaveLength(slice.count);
    all.push(...events);
  }
}

async function reopen(): Promise<void> {
  await journal.close();
  journal = await EventJournal.open(dir);
}

test('events are numbered from 1 and read back from any number', async () => {
  await add(10);
  expect((await readAll(1)).map((event) => event.seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  expect((await readAll(7)).map((event) => event.seq)).toEqual([7, 8, 9, 10]);
  expect(await journal.read(11, 500, 1000)).toBeNull();
});

test('a slice keeps to the number of events and of bytes, but a single larger event comes alone', async () => {
  await add(3, 'x'.repeat(600_000));
  await add(5);
  expect((await journal.read(1, 500, 1024 * 1024))?.count).toBe(1);
  expect((await journal.read(1, 500, 1000))?.count).toBe(1);
  expect((await journal.read(4, 2, 1024))?.count).toBe(2);
  expect(await readAll(1)).toHaveLength(8);
});

test('what was written is there after a restart, and numbering continues', async () => {
  await add(5);
  await reopen();
  expect(journal.lastSeq).toBe(5);
  await add(5);
  expect((await readAll(1)).map((event) => event.seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
});

test('a line that a crash cut off is as if it had never been', async () => {
  await add(5);
  await journal.close();
  const [name] = await readdir(dir);
  const path = join(dir, name ?? '');
  await appendFile(path, '{"seq":6,"at":1,"type":"li');
  journal = await EventJournal.open(dir);
  expect(journal.lastSeq).toBe(5);
  await journal.close();
  const { length } = await readFile(path);
  await truncate(path, length - 3);
  journal = await EventJournal.open(dir);
  expect(journal.lastSeq).toBe(4);
  await add(1);
  expect((await readAll(1)).map((event) => event.seq)).toEqual([1, 2, 3, 4, 5]);
});

test('acknowledged segments are deleted, and numbering survives even when all is acknowledged', async () => {
  for (let round = 0; round < 12; round++) await add(10, 'x'.repeat(100_000));
  expect((await readdir(dir)).length).toBeGreaterThan(2);
  await journal.acknowledge(60);
  expect((await readAll(61)).map((event) => event.seq)).toEqual(Array.from({ length: 60 }, (_, index) => index + 61));
  await journal.acknowledge(120);
  expect(await readdir(dir)).toHaveLength(1);
  await reopen();
  expect(journal.lastSeq).toBe(120);
  expect(journal.firstKept).toBeGreaterThan(1);
  await add(1);
  expect((await readAll(121)).map((event) => event.seq)).toEqual([121]);
});

test('a reader that lags by segments crosses them in order', async () => {
  for (let round = 0; round < 10; round++) await add(40, 'ü'.repeat(20_000 + round));
  expect((await readAll(1, 7)).map((event) => event.seq)).toEqual(Array.from({ length: 400 }, (_, index) => index + 1));
  expect((await readAll(399, 7)).map((event) => event.seq)).toEqual([399, 400]);
  expect((await readAll(200, 500))[0]?.seq).toBe(200);
});

test('line ends and odd characters in an event stay inside of it', async () => {
  const line = 'a\nb\r\u2028c\u0000d"\\ü😀';
  journal.append({ type: 'line', line });
  await journal.flushed();
  expect(await readAll(1)).toMatchObject([{ line }]);
});
