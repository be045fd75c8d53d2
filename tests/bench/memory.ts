/**
 * `npm run bench:memory [MB]`: a turn of 500 MB of journal, with viewers who do not read, leaves the Worker's isolate small: while it
 * grows, while it is archived, and while its log is read. The whole runs in a heap of 110 MB, past which V8 ends workerd.
 * See docs/benchmarks.md.
 */

import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../dev/settings.ts';
import { sessionPageSchema } from '../../src/protocol/api.ts';
import { WorkerMemory } from '../soak/heap.ts';
import { type Bar, conclude, round } from './figures.ts';
import { startWorker } from './miniflare.ts';
import { BOOT_ID, beginSession, STREAM_ID, type StartedSandbox, startOutside } from './session-outside.ts';

const MEGABYTES = Number(process.argv[2] ?? 500);
const HEAP_LIMIT_MB = 110;
const MOST_MB = 64;
const RESULT_BYTES = 60_000;
/** Results in one batch: as many as a sandbox puts into one. */
const TOGETHER = 15;
const SAMPLE_EVERY_BATCHES = 20;
/** Longest wait for the archive of the turn. */
const ARCHIVE_LIMIT_MS = 30 * 60_000;

process.env.MINIFLARE_WORKERD_V8_FLAGS = `--max-old-space-size=${HEAP_LIMIT_MB}`;
const folder = mkdtempSync(join(tmpdir(), 'cyrus-bench-'));
const outside = await startOutside();
const inspectorPort = await freePort();
const variables = { LINEAR_API_URL: `${outside.url}/graphql`, SANDBOX_ENDPOINT_URL: outside.url, PAUSED: 'false' };
const worker = await startWorker(folder, variables, { inspectorPort });
const sockets: Socket[] = [];
const most = { growing: 0, archiving: 0, reading: 0 };
try {
  const sandbox = await beginSession(worker.url, outside);
  const memory = new WorkerMemory(inspectorPort, worker.url, () => process.pid);
  const sample = async (phase: keyof typeof most) => {
    const { heap } = await memory.sample();
    most[phase] = Math.max(most[phase], heap / 1e6);
  };
  sockets.push(await deafViewer(sandbox.id));
  const post = poster(sandbox);
  await post([{ type: 'cli-started', pid: 1, resumed: false }]);
  const batches = Math.ceil((MEGABYTES * 1e6) / (RESULT_BYTES * TOGETHER));
  for (let batch = 0; batch < batches; batch += 1) {
    await post(Array.from({ length: TOGETHER }, (_, number) => result(batch * TOGETHER + number)));
    if (batch % SAMPLE_EVERY_BATCHES !== 0) continue;
    await sample('growing');
    console.error(`${batch} of ${batches} batches, heap at most ${round(most.growing, 1)} MB`);
  }
  // One that joins a long journal, and does not read either.
  sockets.push(await deafViewer(sandbox.id));
  await sample('growing');
  const usage = { input_tokens: 10, output_tokens: 5 };
  const end = { type: 'result', subtype: 'success', is_error: false, result: 'Done.', num_turns: 2, duration_ms: 1 };
  const saved = { type: 'saved', turn: 1, branch: 'cyrus/eng-1', head: 'a'.repeat(40), commits: [], files: [] };
  await post([
    line({ ...end, duration_api_ms: 1, total_cost_usd: 0.01, usage, permission_denials: [] }),
    { ...saved, newCommits: 0, pushed: true, patchBytes: null },
  ]);
  const archived = await archive(sandbox.id, () => sample('archiving'));
  const logBytes = await readSlowly(sandbox.id, () => sample('reading'));
  const page = await fetch(`${worker.url}/api/sessions/${sandbox.id}?after=0&limit=1`);
  const { head } = sessionPageSchema.parse(await page.json());
  const entries = batches * TOGETHER;
  const bars: Bar[] = [
    ...Object.entries(most).map(([phase, measured]) => ({
      bar: `heap of the isolate below ${MOST_MB} MB while ${phase}`,
      measured: round(measured, 1),
      holds: measured < MOST_MB,
    })),
    { bar: 'every entry is in the journal', measured: head, holds: head > entries },
    { bar: 'the turn is archived', measured: archived, holds: archived > 0 },
    { bar: 'its log is read to the end', measured: logBytes, holds: logBytes > (entries * RESULT_BYTES) / 2 },
  ];
  conclude(
    { bench: 'memory', megabytes: MEGABYTES, heapLimitMb: HEAP_LIMIT_MB, heapMb: most, archived, logBytes },
    bars,
  );
} finally {
  for (const socket of sockets) socket.destroy();
  await worker.miniflare.dispose();
  outside.close();
  rmSync(folder, { recursive: true, force: true });
}

function line(object: object): object {
  return { type: 'line', line: JSON.stringify(object) };
}

/** A result of a tool, which does not compress well. */
function result(number: number): object {
  const content = randomBytes((RESULT_BYTES * 3) / 4).toString('base64');
  return line({
    type: 'user',
    message: { role: 'user', content: [{ type: 'tool_result', tool_use_id: `toolu_${number}`, content }] },
    parent_tool_use_id: null,
  });
}

/** Posts events as the sandbox does, numbered. */
function poster({ start: { generation, gateway } }: StartedSandbox): (events: object[]) => Promise<void> {
  let seq = 0;
  return async (events) => {
    const numbered = events.map((event) => ({ ...event, seq: ++seq, at: Date.now() }));
    const response = await fetch(`${worker.url}/gateway/events`, {
      method: 'POST',
      headers: { authorization: `Bearer ${gateway.token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ protocol: 2, generation, bootId: BOOT_ID, streamId: STREAM_ID, events: numbered }),
    });
    if (!response.ok) throw new Error(`a batch was answered ${response.status}: ${await response.text()}`);
    await response.body?.cancel();
  };
}

/** A viewer that connects and never reads. */
function deafViewer(id: string): Promise<Socket> {
  const { hostname, port } = new URL(worker.url);
  const socket = connect(Number(port), hostname);
  const key = randomBytes(16).toString('base64');
  socket.write(
    `GET /api/sessions/${id}/live?after=0&protocol=2 HTTP/1.1\r\nHost: ${hostname}\r\nUpgrade: websocket\r\n` +
      `Connection: Upgrade\r\nSec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n\r\n`,
  );
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.once('data', (data) => {
      socket.pause();
      if (String(data).startsWith('HTTP/1.1 101')) resolve(socket);
      else reject(new Error(`the viewer was refused: ${String(data).slice(0, 100)}`));
    });
  });
}

/** Waits until the turn's log is in R2. @returns its bytes, compressed; 0 where it never came */
async function archive(id: string, sample: () => Promise<void>): Promise<number> {
  const bucket = await worker.miniflare.getR2Bucket('LOGS');
  for (const until = Date.now() + ARCHIVE_LIMIT_MS; Date.now() < until; ) {
    await sample();
    const { objects } = await bucket.list({ prefix: `sessions/${id}/turn-` });
    const entries = objects.find(({ key }) => key.endsWith('.jsonl.gz'));
    const document = objects.find(({ key }) => key.endsWith('.md.gz') || key.endsWith('.md'));
    if (entries && document) return entries.size;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  return 0;
}

/** Reads the log by pieces, with pauses. @returns its bytes */
async function readSlowly(id: string, sample: () => Promise<void>): Promise<number> {
  const response = await fetch(`${worker.url}/api/sessions/${id}/log`);
  if (!response.body) return 0;
  let bytes = 0;
  let sampledAt = 0;
  for await (const piece of response.body) {
    bytes += piece.byteLength;
    if (bytes - sampledAt < 25e6) continue;
    sampledAt = bytes;
    await sample();
  }
  await sample();
  return bytes;
}
