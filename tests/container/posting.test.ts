import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { EventPoster } from '../../container/events/event-poster.ts';
import { EventJournal } from '../../container/events/journal.ts';
import { type EventBatch, eventBatchSchema } from '../../src/protocol/sandbox/batches.ts';
import { SANDBOX_PROTOCOL } from '../../src/protocol/version.ts';
import { eventually, type Stage, setStage } from './stage.ts';

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** A poster, and a gateway that answers every batch like this. `refuses`: with which status, if any, it refuses a batch */
async function post(answer: object, refuses: (batch: EventBatch) => number | null = () => null) {
  const batches: EventBatch[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const batch = eventBatchSchema.parse(JSON.parse(Buffer.concat(chunks).toString()));
    const refusal = refuses(batch);
    if (refusal !== null) {
      response.writeHead(refusal).end(JSON.stringify({ error: 'malformed', message: 'what is this?' }));
      return;
    }
    batches.push(batch);
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ stored: batch.events.at(-1)?.seq ?? 0, ...answer }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ends.push(async () => server.close());
  const dir = await mkdtemp(join(tmpdir(), 'cyrus-posting-'));
  ends.push(() => rm(dir, { recursive: true, force: true }));
  const journal = await EventJournal.open(dir);
  const poster = new EventPoster({
    journal,
    fresh: true,
    address: {
      sessionId: 's',
      generation: 1,
      bootId: crypto.randomUUID(),
      streamId: crypto.randomUUID(),
      gatewayUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      token: 't',
    },
    isBusy: () => true,
    onSuperseded: () => {},
    onReconnected: () => {},
  });
  ends.push(() => poster.stop());
  return { journal, poster, batches };
}

/** Events as Claude streams: one every 20 ms for this long. */
async function stream(journal: EventJournal, ms: number): Promise<void> {
  for (const until = performance.now() + ms; performance.now() < until; ) {
    journal.append({ type: 'line', line: '{"type":"stream_event"}' });
    await new Promise((done) => setTimeout(done, 20));
  }
}

const holds = (batch: EventBatch, words: string) => JSON.stringify(batch.events).includes(words);

describe('an event that the gateway will not have', () => {
  test.each([400, 413, 422])('becomes a notice, and those around it get through (HTTP %i)', async (status) => {
    const { journal, batches } = await post({}, (batch) => (holds(batch, 'odd') ? status : null));
    for (const text of ['before', 'odd', 'after', 'later']) journal.append({ type: 'stderr', text });
    const taken = () => batches.flatMap(({ events }) => events);
    await eventually(() => taken().length === 4, 'all events', 5_000);
    expect(taken().map(({ seq }) => seq)).toEqual([1, 2, 3, 4]);
    expect(taken()[1]).toMatchObject({ type: 'notice', text: expect.stringContaining(`HTTP ${status}`) });
    journal.append({ type: 'stderr', text: 'much later' });
    await eventually(() => taken().length === 5, 'what follows', 5_000);
  });

  test('is left out too if the gateway fails with it each time, and takes the others', async () => {
    const { journal, poster, batches } = await post({}, (batch) => (holds(batch, 'odd') ? 500 : null));
    for (const text of ['before', 'odd', 'after']) journal.append({ type: 'stderr', text });
    const taken = () => batches.flatMap(({ events }) => events);
    const hurry = setInterval(() => poster.kick(), 20);
    ends.push(async () => clearInterval(hurry));
    await eventually(() => taken().length === 3, 'all events', 10_000);
    expect(taken()[1]).toMatchObject({ type: 'notice', text: expect.stringContaining('HTTP 500') });
  });
});

describe('a wall clock that is set', () => {
  test.each([-3_600_000, 3_600_000])('by %i ms changes nothing of when events go out', async (by) => {
    const { journal, batches } = await post({ watched: true });
    const now = Date.now.bind(Date);
    journal.append({ type: 'stderr', text: 'before' });
    await eventually(() => batches.length === 1, 'the first batch', 2_000);
    Date.now = () => now() + by;
    ends.push(async () => {
      Date.now = now;
    });
    journal.append({ type: 'stderr', text: 'after' });
    await eventually(() => batches.flatMap(({ events }) => events).length === 2, 'the second', 2_000);
  });
});

describe('events', () => {
  test('go out about once a second while nobody watches', async () => {
    const { journal, batches } = await post({ watched: false });
    await stream(journal, 1_500);
    expect(batches.length).toBeLessThanOrEqual(4);
    await eventually(() => batches.flatMap(({ events }) => events).at(-1)?.seq === journal.lastSeq, 'the last event');
  });

  test.each([
    ['somebody watches', { watched: true }],
    ['a Worker of the first version does not say', {}],
  ])('go out at once while %s', async (_, answer) => {
    const { journal, batches } = await post(answer);
    await stream(journal, 600);
    expect(batches.length).toBeGreaterThan(8);
  });

  test('go out at once when somebody waits for them to be stored, such as a checkpoint', async () => {
    const { journal, poster, batches } = await post({ watched: false });
    journal.append({ type: 'notice', text: 'first' });
    await eventually(() => batches.length === 1, 'the first batch');
    journal.append({ type: 'notice', text: 'second' });
    await journal.flushed();
    const since = performance.now();
    expect(await poster.stored(2, 5_000)).toBe(true);
    expect(performance.now() - since).toBeLessThan(700);
  });

  test('say the version of the protocol', async () => {
    const { journal, batches } = await post({});
    journal.append({ type: 'notice', text: 'first' });
    await eventually(() => batches.length > 0, 'a batch');
    expect(batches[0]?.protocol).toBe(SANDBOX_PROTOCOL);
  });
});

describe('a start', () => {
  let stage: Stage;
  test('of a Worker that is too far away is refused with a message that names both versions, whatever its shape', async () => {
    stage = await setStage();
    ends.push(() => stage.close());
    const start = { ...stage.startBody(), protocol: SANDBOX_PROTOCOL + 2, claude: 'of another shape' };
    const refused = await stage.put('far-1', start);
    expect(refused.status).toBe(409);
    const refusal = await refused.text();
    expect(JSON.parse(refusal)).toMatchObject({ error: 'protocol' });
    expect(refusal).toContain(`version ${SANDBOX_PROTOCOL + 2}`);
    const near = await stage.put('near-1', { ...stage.startBody(), protocol: SANDBOX_PROTOCOL - 1 });
    expect(await near.json()).toMatchObject({ protocol: SANDBOX_PROTOCOL });
    await stage.event('cli-started');
  });
});
