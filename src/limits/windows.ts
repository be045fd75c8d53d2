/**
 * The windows of a subscription's limits, as Claude's API tells of them in the headers of every answer
 * (`anthropic-ratelimit-unified-…`, as CLI 2.1.330 reads them). Pure; times in ms since the epoch.
 */
import { z } from 'zod';

export const windowSchema = z.object({
  /** `5h`, `7d`, or one that is not known yet. */
  name: z.string(),
  /** Share used, 0 to 1 and beyond; null: not said. */
  utilization: z.number().nullable(),
  /** When it is reset; null: not said. */
  resetsAt: z.number().nullable(),
  /** `allowed`, `allowed_warning`, `rejected`, or another word. */
  status: z.string().nullable(),
});
export type Window = z.infer<typeof windowSchema>;

export const windowsSchema = z.object({
  /** When the API said so. */
  at: z.number(),
  status: z.string(),
  /** When what stands in the way is reset; null: not said. */
  resetsAt: z.number().nullable(),
  windows: z.array(windowSchema),
});
/** What is known of a token's limits. */
export type Windows = z.infer<typeof windowsSchema>;

const PREFIX = 'anthropic-ratelimit-unified-';
/** Latest reset that is believed, counted from now. */
const LATEST_MS = 40 * 24 * 3_600_000;
const MAX_WINDOWS = 10;

/** Reads the headers of an answer. @returns null where there are none, as with an API key */
export function readWindows(headers: Headers, now: number): Windows | null {
  const status = headers.get(`${PREFIX}status`);
  if (status === null) return null;
  const names = new Set<string>();
  for (const [name] of headers) {
    const window = /^anthropic-ratelimit-unified-([\w.]{1,20})-(?:utilization|reset|status)$/.exec(name)?.[1];
    // `overage` is about paid use beyond the plan, which this deployment does not count on.
    if (window && window !== 'overage' && names.size < MAX_WINDOWS) names.add(window);
  }
  return {
    at: now,
    status: word(status),
    resetsAt: time(headers.get(`${PREFIX}reset`), now),
    windows: [...names].sort().map((name) => ({
      name,
      utilization: share(headers.get(`${PREFIX}${name}-utilization`)),
      resetsAt: time(headers.get(`${PREFIX}${name}-reset`), now),
      status: headers.has(`${PREFIX}${name}-status`) ? word(headers.get(`${PREFIX}${name}-status`) ?? '') : null,
    })),
  };
}

function word(text: string): string {
  return text.slice(0, 40);
}

function share(text: string | null): number | null {
  const number = text === null || text.trim() === '' ? Number.NaN : Number(text);
  return Number.isFinite(number) && number >= 0 ? number : null;
}

/** Headers count seconds. */
function time(text: string | null, now: number): number | null {
  const ms = text === null || text.trim() === '' ? Number.NaN : Number(text) * 1000;
  return Number.isFinite(ms) && ms > 0 && ms < now + LATEST_MS ? ms : null;
}

/** The windows as they stand now: one whose reset has passed is empty again. */
export function current({ windows }: Windows, now: number): Window[] {
  return windows.map((window) =>
    window.resetsAt !== null && window.resetsAt <= now
      ? { ...window, utilization: 0, resetsAt: null, status: 'allowed' }
      : window,
  );
}

/** A limit that does not say when it is reset is believed for this long. */
const UNNAMED_RESET_MS = 10 * 60_000;

/**
 * When there is room again.
 * @returns `now` where there is, else the time; where nothing is known there is room
 */
export function roomAt(windows: Windows | null, now: number): number {
  if (windows === null || windows.status !== 'rejected') return now;
  const rejected = windows.windows.filter(({ status, resetsAt }) => status === 'rejected' && resetsAt !== null);
  const resets = rejected.length > 0 ? rejected.map(({ resetsAt }) => resetsAt ?? 0) : [windows.resetsAt];
  const last = Math.max(...resets.map((reset) => reset ?? windows.at + UNNAMED_RESET_MS));
  return Math.max(now, last);
}

/** The share that is left of the scarcest window, 0 to 1; 1 where nothing is known. */
export function leftOf(windows: Windows | null, now: number): number {
  if (windows === null) return 1;
  if (roomAt(windows, now) > now) return 0;
  const used = current(windows, now).map(({ utilization }) => utilization ?? 0);
  return Math.max(0, 1 - Math.max(0, ...used));
}

/** The names the headers have for windows are short; the CLI has others for the same. */
const SAME: Record<string, string> = { five_hour: '5h', seven_day: '7d' };

/** One name for a window, whichever way it came. */
export function windowName(name: string): string {
  return SAME[name] ?? name;
}
