/**
 * `npm run bench:stream`: Claude's output on its way from a sandbox to many viewers. The sandbox's own journal and poster,
 * the real Worker and issue session in workerd, real WebSockets. See docs/benchmarks.md.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SessionPage } from '../../src/protocol/api.ts';
import type { JournalEntry } from '../../src/protocol/journal.ts';
import { type Line, lines, now } from './claude-lines.ts';
import { type Cyrus, startCyrus } from './cyrus.ts';
import { type Bar, conclude, percentile, round } from './figures.ts';
import { close, type Sandbox, setSandbox } from './stream-sandbox.ts';
import type { ViewerOrder, ViewerReport } from './stream-viewers.ts';

const EVENTS = 10_000;
/** Sent before, so that what is measured is not how three processes warm up. */
const WARM_UP = 1_000;
const VIEWERS = 100;
/** As many lines as a handful of models print together at full speed. */
const PER_SECOND = 500;
const MOST_P99_MS = 50;
const MOST_BYTES = 1.3;
const LEAST_INGEST = 2_000;

const folder = mkdtempSync(join(tmpdir(), 'cyrus-bench-'));
const viewers = fork(join(import.meta.dirname, 'stream-viewers.ts'));
const cyrus = await startCyrus(folder);
try {
  const paced = await measurePaced(cyrus);
  const alone = await measureIngest(cyrus, 0);
  const watched = await measureIngest(cyrus, VIEWERS);
  const bars: Bar[] = [
    {
      bar: `all ${VIEWERS} viewers have everything, in order`,
      measured: paced.complete,
      holds: paced.complete === VIEWERS,
    },
    { bar: `p99 from line to socket below ${MOST_P99_MS} ms`, measured: paced.p99Ms, holds: paced.p99Ms < MOST_P99_MS },
    {
      bar: `bytes for each viewer at most ${MOST_BYTES} times the text`,
      measured: paced.bytesToText,
      holds: paced.bytesToText <= MOST_BYTES,
    },
    { bar: `ingest of at least ${LEAST_INGEST} events a second`, measured: alone, holds: alone >= LEAST_INGEST },
  ];
  conclude(
    { bench: 'stream', events: EVENTS, viewers: VIEWERS, perSecond: PER_SECOND, paced, ingest: { alone, watched } },
    bars,
  );
} finally {
  viewers.kill();
  await cyrus.end();
  rmSync(folder, { recursive: true, force: true });
}

async function measurePaced(target: Cyrus) {
  const sandbox = await setSandbox(target, folder);
  await ask({ type: 'join', url: liveUrl(target, sandbox), count: VIEWERS });
  const made = lines();
  await send(sandbox, made, WARM_UP);
  const since = now();
  await send(sandbox, made, EVENTS);
  const entries = await journalOf(target, sandbox);
  const report = (await ask({ type: 'report', head: entries.length, since })) as ViewerReport;
  await ask({ type: 'leave' });
  await close(sandbox);
  const isSame = JSON.stringify(report.entries) === JSON.stringify(entries);
  const text = entries.reduce((sum, entry) => sum + textOf(entry), 0);
  return {
    complete: isSame ? report.complete : 0,
    p50Ms: round(percentile(report.latencies, 0.5), 1),
    p99Ms: round(percentile(report.latencies, 0.99), 1),
    bytesToText: round(Math.max(...report.bytes) / text),
    textBytes: text,
    messagesPerViewer: Math.round(report.messages / VIEWERS),
  };
}

/** Prints lines at the stated rate, and waits until all are stored. */
async function send({ journal, poster }: Sandbox, made: Generator<Line>, count: number): Promise<void> {
  const since = performance.now();
  for (let sent = 0; sent < count; ) {
    const due = Math.min(count, Math.floor(((performance.now() - since) / 1_000) * PER_SECOND));
    for (; sent < due; sent++) journal.append({ type: 'line', line: made.next().value() });
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  if (!(await poster.flush(30_000))) throw new Error('not everything was stored');
}

/** Lines that one object takes in, in events a second, with nothing to hold the sandbox back. */
async function measureIngest(target: Cyrus, watching: number): Promise<number> {
  const sandbox = await setSandbox(target, folder);
  if (watching > 0) await ask({ type: 'join', url: liveUrl(target, sandbox), count: watching });
  const made = lines();
  const since = performance.now();
  for (let sent = 0; sent < EVENTS; sent++) {
    sandbox.journal.append({ type: 'line', line: made.next().value() });
    if (sandbox.journal.congested) await sandbox.journal.flushed();
  }
  if (!(await sandbox.poster.flush(60_000))) throw new Error('not everything was stored');
  const perSecond = EVENTS / ((performance.now() - since) / 1_000);
  if (watching > 0) await ask({ type: 'leave' });
  await close(sandbox);
  return round(perSecond, 0);
}

function liveUrl({ url }: Cyrus, { session }: Sandbox): string {
  return `${url.replace('http', 'ws')}/api/sessions/${session.id}/live`;
}

async function ask(order: ViewerOrder): Promise<unknown> {
  viewers.send(order);
  const [answer] = await once(viewers, 'message');
  return answer;
}

async function journalOf({ url }: Cyrus, { session }: Sandbox): Promise<JournalEntry[]> {
  const entries: JournalEntry[] = [];
  for (;;) {
    const response = await fetch(`${url}/api/sessions/${session.id}?after=${entries.length}`);
    const page = (await response.json()) as SessionPage;
    entries.push(...page.entries);
    if (page.entries.length === 0 || entries.length >= page.head) return entries;
  }
}

/** Bytes of what a person reads of an entry. */
function textOf(entry: JournalEntry): number {
  if (entry.kind === 'tool-call') return Buffer.byteLength(JSON.stringify(entry.input));
  return 'text' in entry && typeof entry.text === 'string' ? Buffer.byteLength(entry.text) : 0;
}
