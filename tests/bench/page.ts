/**
 * `npm run bench:page`: the page of a session with 50,000 entries in Chromium, beside a plain page with the same text in the same run. The
 * real Worker, issue session and sockets in workerd; entries come in as a sandbox reports them. See docs/benchmarks.md.
 */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PROJECT } from '../../dev/settings.ts';
import type { SessionPage } from '../../src/protocol/api.ts';
import { launchBrowser } from '../e2e/stage.ts';
import { INIT } from './claude-lines.ts';
import { type Cyrus, type StartedSession, startCyrus } from './cyrus.ts';
import { type Bar, conclude, median, percentile, round } from './figures.ts';
import {
  heapOf,
  LOOPBACK,
  type Measured,
  openMeasured,
  PHONE,
  type Profile,
  paintedAfter,
  SLOW_NETWORK,
  tasksDuring,
} from './page-browser.ts';
import { callLines, markOf, pageLine } from './page-lines.ts';
import { type PageServer, startPageServer } from './page-server.ts';

const ENTRIES = 50_000;
/** Entries that come in a second while the page is watched, and for how long. */
const PER_SECOND = 200;
const SECONDS = 8;
const CALLS = 1_000;
const ROUNDS = 3;
const BATCH = 500;
const MOST_TASK_MS = 50;
const TYPED = 'a message that is typed while Claude is at work on the last one';

/** The sandbox's side of a session: reports numbered lines. */
class Reporter {
  readonly #cyrus: Cyrus;
  readonly #session: StartedSession;
  #seq = 0;

  constructor(cyrus: Cyrus, session: StartedSession) {
    this.#cyrus = cyrus;
    this.#session = session;
  }

  async report(lines: readonly string[]): Promise<void> {
    const { id, generation, bootId, streamId, token } = this.#session;
    const events = lines.map((line) => ({ type: 'line', line, seq: ++this.#seq, at: Date.now() }));
    const response = await fetch(`${this.#cyrus.url}/gateway/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify({ sessionId: id, generation, bootId, streamId, events }),
    });
    if (!response.ok) throw new Error(`the events were answered ${response.status}: ${await response.text()}`);
  }
}

const folder = mkdtempSync(join(tmpdir(), 'cyrus-bench-'));
const cyrus = await startCyrus(folder, { SESSION_MIB_AN_HOUR: '1024' });
const server = await startPageServer(join(PROJECT, 'dist', 'web'), cyrus.url);
const browser = await launchBrowser();
try {
  const session = await cyrus.startSession();
  const reporter = new Reporter(cyrus, session);
  const last = await fill(reporter);
  server.plain = await plainPage(cyrus, session);
  const url = `${server.url}/sessions/${session.id}`;
  const painted = {
    loopbackMs: await newest(LOOPBACK, url, last),
    slowNetworkMs: await newest(SLOW_NETWORK, url, last),
    phoneMs: await newest(PHONE, url, last),
  };
  const plain = await measurePlain(server, last);
  const watched = await measurePage(url, reporter);
  const atMost = (bar: string, measured: number, limit: number): Bar => ({ bar, measured, holds: measured <= limit });
  conclude(
    {
      bench: 'page',
      entries: ENTRIES,
      painted,
      tasks: { scrolling: watched.scrolling, jumping: watched.jumping, appending: watched.appending },
      inputP95Ms: watched.inputP95Ms,
      heapMb: watched.heapMb,
      leftTheEnd: watched.leftTheEnd,
      rowsInDocument: watched.rows,
      plain,
    },
    [
      atMost('newest entry painted within 1 s on loopback', painted.loopbackMs, 1_000),
      atMost('newest entry painted within 2 s at 80 ms and 10 Mbit', painted.slowNetworkMs, 2_000),
      atMost('newest entry painted within 4 s on the phone profile', painted.phoneMs, 4_000),
      atMost('no task over 50 ms while scrolling', watched.scrolling.longestMs, MOST_TASK_MS),
      atMost('no task over 50 ms while jumping', watched.jumping.longestMs, MOST_TASK_MS),
      atMost(`no task over 50 ms while ${PER_SECOND} entries a second come`, watched.appending.longestMs, MOST_TASK_MS),
      atMost('input to paint within 50 ms (p95)', watched.inputP95Ms, 50),
      atMost('heap at most 100 MB', watched.heapMb, 100),
      atMost(`following never lost in ${CALLS} tool calls`, watched.leftTheEnd, 0),
    ],
  );
} finally {
  await browser.close();
  await server.close();
  await cyrus.end();
  rmSync(folder, { recursive: true, force: true });
}

/** Has the sandbox report all entries, as one turn. @returns the text of the newest */
async function fill(reporter: Reporter): Promise<string> {
  await reporter.report([INIT]);
  for (let from = 1; from <= ENTRIES; from += BATCH) {
    const count = Math.min(BATCH, ENTRIES - from + 1);
    await reporter.report(Array.from({ length: count }, (_, index) => pageLine(from + index)));
  }
  return markOf(ENTRIES);
}

/** What a browser can do with the same text and no code of ours: one paragraph an entry. */
async function plainPage({ url }: Cyrus, { id }: StartedSession): Promise<string> {
  const parts: string[] = [];
  for (let after = 0; ; ) {
    const page = (await (await fetch(`${url}/api/sessions/${id}?after=${after}&limit=1000`)).json()) as SessionPage;
    for (const entry of page.entries) {
      const text = entry.kind === 'tool-call' ? JSON.stringify(entry.input) : 'text' in entry ? entry.text : entry.kind;
      parts.push(`<p>${text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')}</p>`);
    }
    after = page.entries.at(-1)?.seq ?? page.head;
    if (after >= page.head) break;
  }
  return `<!doctype html><meta charset="utf-8"><title>Plain</title><body>${parts.join('\n')}<textarea></textarea><script>
    scrollTo(0, document.body.scrollHeight);
  </script>`;
}

/** The median of some rounds, each in a browser that has nothing of the page. */
async function newest(profile: Profile, url: string, text: string): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const opened = await openMeasured(browser, profile);
    times.push(await paintedAfter(opened, url, '.vrow', text));
    await opened.close();
  }
  return round(median(times), 0);
}

async function measurePlain({ url }: PageServer, text: string) {
  const opened = await openMeasured(browser, LOOPBACK);
  const paintedMs = await paintedAfter(opened, `${url}/plain`, 'body > p:nth-last-of-type(-n+3)', text);
  const scrolling = await tasksDuring(opened, () => wheel(opened, -900, 40));
  await observeInput(opened);
  await opened.page.locator('textarea').pressSequentially(TYPED, { delay: 90, timeout: 120_000 });
  const inputP95Ms = await inputP95(opened);
  const heapMb = await heapOf(opened);
  await opened.close();
  return { paintedMs: round(paintedMs, 0), scrolling, inputP95Ms, heapMb: round(heapMb, 1) };
}

async function measurePage(url: string, reporter: Reporter) {
  const opened = await openMeasured(browser, LOOPBACK);
  const { page } = opened;
  await paintedAfter(opened, url, '.vrow', markOf(ENTRIES));
  await page.locator('.link-live').waitFor();
  const scrolling = await tasksDuring(opened, async () => {
    await wheel(opened, -900, 80);
    await wheel(opened, 900, 40);
  });
  const jumping = await tasksDuring(opened, async () => {
    for (const number of [1, 25_000, 49_000, 12_345]) await jumpTo(opened, number);
  });
  await page.locator('.activity').click();
  await page.waitForTimeout(500);
  await observeInput(opened);
  const appending = await tasksDuring(opened, async () => {
    const typed = page.locator('textarea').pressSequentially(TYPED, { delay: 90 });
    await append(reporter);
    await typed;
  });
  const inputP95Ms = await inputP95(opened);
  const heapMb = await heapOf(opened);
  const leftTheEnd = await followCalls(opened, reporter);
  const rows = await page.locator('.vrow').count();
  await opened.close();
  return {
    scrolling,
    jumping,
    appending,
    inputP95Ms,
    heapMb: round(heapMb, 1),
    leftTheEnd,
    rows,
  };
}

/** Turns the wheel over the page. @param delta for each turn, in px */
async function wheel({ page }: Measured, delta: number, turns: number): Promise<void> {
  const { width, height } = page.viewportSize() ?? { width: 800, height: 600 };
  await page.mouse.move(width / 3, height / 2);
  for (let turn = 0; turn < turns; turn += 1) {
    await page.mouse.wheel(0, delta);
    await page.waitForTimeout(30);
  }
}

/** Goes to an entry by its address, and waits until it is in sight. */
async function jumpTo({ page }: Measured, number: number): Promise<void> {
  await page.evaluate((seq) => {
    location.hash = `e${seq}`;
  }, number);
  await page.locator('.vrow-marked').first().waitFor({ timeout: 15_000 });
  await page.waitForTimeout(300);
}

/** Notes how long each key takes to be painted, by the browser's own measure. What it does not tell of took under 16 ms. */
async function observeInput({ page }: Measured): Promise<void> {
  await page.evaluate(() => {
    const inputs: number[] = [];
    Object.assign(window, { inputs });
    const observer = new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) if (entry.name === 'keydown') inputs.push(entry.duration);
    });
    observer.observe({ type: 'event', durationThreshold: 16, buffered: false } as PerformanceObserverInit);
  });
}

/** The 95th percentile of all keys that were pressed, in ms; 0: none took longer than a frame. */
async function inputP95({ page }: Measured): Promise<number> {
  const told = await page.evaluate(() => (window as unknown as { inputs: number[] }).inputs);
  const untold = Array.from({ length: Math.max(0, TYPED.length - told.length) }, () => 0);
  return percentile(
    [...told, ...untold].toSorted((one, other) => one - other),
    0.95,
  );
}

/** Entries come into the turn at an even rate. */
async function append(reporter: Reporter): Promise<void> {
  const since = performance.now();
  for (let sent = 0; sent < PER_SECOND * SECONDS; ) {
    const due = Math.min(PER_SECOND * SECONDS, Math.floor(((performance.now() - since) / 1_000) * PER_SECOND));
    const lines = Array.from({ length: due - sent }, (_, index) => pageLine(ENTRIES + 20 + sent + index));
    if (lines.length > 0) await reporter.report(lines);
    sent = due;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Calls come as fast as they are taken; counts the moments in which the page was not at its end. */
async function followCalls({ page }: Measured, reporter: Reporter): Promise<number> {
  const run = randomUUID().slice(0, 6);
  await page.evaluate(() => {
    const state = { left: 0, ended: false };
    Object.assign(window, { following: state });
    const box = document.querySelector('main.timeline');
    const look = () => {
      // The page itself says so when it no longer follows; and what is painted is its end.
      if (document.querySelector('.activity') !== null) state.left += 1;
      if (box !== null && box.scrollHeight - box.clientHeight - box.scrollTop > 400) state.left += 1;
      if (!state.ended) requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  });
  for (let call = 0; call < CALLS; call += 10) {
    const lines = Array.from({ length: 10 }, (_, index) => callLines(Number.parseInt(run, 16) * CALLS + call + index));
    await reporter.report(lines.flat());
  }
  await page.waitForTimeout(1_500);
  return page.evaluate(() => {
    const { following } = window as unknown as { following: { left: number; ended: boolean } };
    following.ended = true;
    return following.left;
  });
}
