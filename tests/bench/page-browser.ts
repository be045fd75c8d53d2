/** A browser whose pages are measured: when something is painted, how long its main thread is held up, what it keeps in memory. */
import type { Browser, CDPSession, Page } from 'playwright-core';
import * as z from 'zod';

/** A network and a machine. `cpu`: by what factor it is slower than this one. */
export interface Profile {
  latencyMs: number;
  kilobits: number;
  cpu: number;
  viewport: { width: number; height: number };
}

const DESKTOP = { width: 1280, height: 900 };
export const LOOPBACK: Profile = { latencyMs: 0, kilobits: 0, cpu: 1, viewport: DESKTOP };
export const SLOW_NETWORK: Profile = { latencyMs: 80, kilobits: 10_000, cpu: 1, viewport: DESKTOP };
/** As Lighthouse has it: a slow fourth generation network, and a phone four times slower than this machine. */
export const PHONE: Profile = { latencyMs: 150, kilobits: 1_638, cpu: 4, viewport: { width: 390, height: 800 } };

export interface Measured {
  page: Page;
  devtools: CDPSession;
  close(): Promise<void>;
}

/** Opens an empty page under a profile, with nothing in its cache. */
export async function openMeasured(browser: Browser, profile: Profile): Promise<Measured> {
  const context = await browser.newContext({ viewport: profile.viewport, locale: 'en-US' });
  const page = await context.newPage();
  const devtools = await context.newCDPSession(page);
  await devtools.send('Network.enable');
  await devtools.send('Network.setCacheDisabled', { cacheDisabled: true });
  if (profile.kilobits > 0) {
    const throughput = (profile.kilobits * 1000) / 8;
    await devtools.send('Network.emulateNetworkConditions', {
      offline: false,
      latency: profile.latencyMs,
      downloadThroughput: throughput,
      uploadThroughput: throughput,
    });
  }
  if (profile.cpu > 1) await devtools.send('Emulation.setCPUThrottlingRate', { rate: profile.cpu });
  return { page, devtools, close: () => context.close() };
}

/**
 * Milliseconds from the start of the navigation until a text is painted within the window.
 * @param selector of the elements that may have it
 */
export async function paintedAfter({ page }: Measured, url: string, selector: string, text: string): Promise<number> {
  await page.addInitScript(
    ({ selector: parts, text: wanted }) => {
      const look = () => {
        const found = [...document.querySelectorAll(parts)].slice(-40).some((part) => {
          if (!part.textContent?.includes(wanted)) return false;
          const { top, bottom } = part.getBoundingClientRect();
          return bottom > 0 && top < innerHeight;
        });
        // What is there in one frame is painted before the next.
        if (found) requestAnimationFrame(() => Object.assign(window, { paintedAt: performance.now() }));
        else requestAnimationFrame(look);
      };
      requestAnimationFrame(look);
    },
    { selector, text },
  );
  await page.goto(url, { waitUntil: 'commit' });
  const at = await page.waitForFunction(() => (window as unknown as { paintedAt?: number }).paintedAt, null, {
    timeout: 120_000,
  });
  return Number(await at.jsonValue());
}

const traceEvent = z.looseObject({
  name: z.string(),
  ph: z.string(),
  pid: z.number(),
  tid: z.number(),
  dur: z.number().optional(),
  /** The same in the processor's time of its thread. */
  tdur: z.number().optional(),
  args: z.unknown().optional(),
});

/** The longest task of a page's main thread, in ms: on the clock, and in processor time, which other processes do not lengthen. */
export interface Tasks {
  longestMs: number;
  longestOnClockMs: number;
}

/** Tasks of the page's main thread while `act` runs, by Chromium's own trace: what holds it up holds up its frames. */
export async function tasksDuring({ page, devtools }: Measured, act: () => Promise<void>): Promise<Tasks> {
  const collected: unknown[] = [];
  const take = ({ value }: { value: unknown[] }) => void collected.push(...value);
  devtools.on('Tracing.dataCollected', take);
  await devtools.send('Tracing.start', { transferMode: 'ReportEvents', categories: 'toplevel,devtools.timeline' });
  await act();
  const complete = new Promise((resolve) => devtools.once('Tracing.tracingComplete', resolve));
  await devtools.send('Tracing.end');
  await complete;
  devtools.off('Tracing.dataCollected', take);
  const events = collected.flatMap((event) => traceEvent.safeParse(event).data ?? []);
  // The page's thread is the one that laid it out or ran its scripts most.
  const busy = new Map<string, number>();
  for (const { name, pid, tid, dur = 0 } of events) {
    if (name !== 'FunctionCall' && name !== 'UpdateLayoutTree' && name !== 'FireAnimationFrame') continue;
    busy.set(`${pid}:${tid}`, (busy.get(`${pid}:${tid}`) ?? 0) + dur + 1);
  }
  const [main] = [...busy].toSorted(([, one], [, other]) => other - one)[0] ?? [];
  if (main === undefined) throw new Error(`the trace of ${page.url()} has no main thread`);
  const tasks = events.filter(({ name, pid, tid }) => `${pid}:${tid}` === main && name.endsWith('RunTask'));
  // A task that began before the trace has no processor time.
  const times = tasks.filter(({ tdur }) => tdur !== undefined);
  const longest = (values: number[]) => Math.round(Math.max(0, ...values) / 100) / 10;
  return {
    longestMs: longest(times.map(({ tdur = 0 }) => tdur)),
    longestOnClockMs: longest(times.map(({ dur = 0 }) => dur)),
  };
}

/** What the page's scripts keep in memory, in MB, after a collection of what they do not. */
export async function heapOf({ devtools }: Measured): Promise<number> {
  await devtools.send('HeapProfiler.enable');
  await devtools.send('HeapProfiler.collectGarbage');
  const { usedSize } = await devtools.send('Runtime.getHeapUsage');
  return usedSize / 1_000_000;
}
