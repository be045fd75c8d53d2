/**
 * The windows of a subscription's limits, as Claude's API tells of them in the headers of every answer
 * (`anthropic-ratelimit-unified-…`, as CLI 2.1.330 reads them). Pure; times in ms since the epoch.
 */
import * as z from 'zod';
import { ownValue } from '../lib/own-value.ts';

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
  /** When what is in the way is reset; null: not said. */
  resetsAt: z.number().nullable(),
  windows: z.array(windowSchema),
  /** The request was served beyond the plan all the same: it is paid for. Left out: it was not. */
  beyondPlan: z.literal(true).optional(),
});
/** What is known of a token's limits. */
export type Windows = z.infer<typeof windowsSchema>;

const PREFIX = 'anthropic-ratelimit-unified-';
/** Latest reset that is believed, counted from now. */
const LATEST_MS = 40 * 24 * 3_600_000;
const MAX_WINDOWS = 10;

/** Reads the headers of an answer. @returns null if there are none, as with an API key */
export function readWindows(headers: Headers, now: number): Windows | null {
  const status = headers.get(`${PREFIX}status`);
  if (status === null) return null;
  const names = new Set<string>();
  for (const [name] of headers) {
    const window = /^anthropic-ratelimit-unified-([\w.]{1,20})-(?:utilization|reset|status)$/.exec(name)?.[1];
    // `overage` is about paid use beyond the plan, see `isBeyondPlan`.
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

/**
 * Whether an answer was given beyond the plan, as usage credits: the limit is used up, and paid use is allowed. Nobody is asked
 * before (CLI 2.1.330 reads the same headers). Of a refusal it says nothing.
 */
export function isBeyondPlan(headers: Headers): boolean {
  const status = headers.get(`${PREFIX}status`);
  const overage = headers.get(`${PREFIX}overage-status`);
  const inUse = headers.get(`${PREFIX}overage-in-use`);
  // What decided on the request was not a window of the plan.
  const claim = headers.get(`${PREFIX}representative-claim`);
  return (
    inUse === 'true' ||
    claim === 'overage' ||
    (status === 'rejected' && (overage === 'allowed' || overage === 'allowed_warning'))
  );
}

/** Headers by which the API says that the plan's limit is used up, for a request that is not sent there. */
export function usedUpHeaders({ windows, resetsAt }: Windows, until: number): Record<string, string> {
  const seconds = (ms: number) => String(Math.ceil(ms / 1000));
  const rejected = windows.find(({ status }) => status === 'rejected');
  const headers: Record<string, string> = {
    [`${PREFIX}status`]: 'rejected',
    [`${PREFIX}reset`]: seconds(resetsAt ?? until),
    [`${PREFIX}representative-claim`]: ownValue(LONG, rejected?.name ?? '') ?? 'five_hour',
    [`${PREFIX}overage-status`]: 'rejected',
    [`${PREFIX}overage-disabled-reason`]: 'org_level_disabled',
    'x-should-retry': 'false',
  };
  for (const window of windows) {
    if (window.status !== null) headers[`${PREFIX}${window.name}-status`] = window.status;
    if (window.resetsAt !== null) headers[`${PREFIX}${window.name}-reset`] = seconds(window.resetsAt);
    if (window.utilization !== null) headers[`${PREFIX}${window.name}-utilization`] = String(window.utilization);
  }
  return headers;
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

/** The windows as they are now: one whose reset has passed is empty again. */
export function current({ windows }: Windows, now: number): Window[] {
  return windows.map((window) =>
    window.resetsAt !== null && window.resetsAt <= now
      ? { ...window, utilization: 0, resetsAt: null, status: 'allowed' }
      : window,
  );
}

/** A limit that does not say when it is reset is believed for this long. */
const UNNAMED_RESET_MS = 10 * 60_000;

/** The family of models that a window is of: `opus` of `7d_opus`; null: it is of all. */
function familyOf(name: string): string | null {
  return /(?:^|_)(opus|sonnet|haiku|fable)$/.exec(name)?.[1] ?? null;
}

/** Whether a window limits a model. @param model alias or full name; null: some model, so that only what limits all counts */
function limits({ name }: Window, model: string | null): boolean {
  const family = familyOf(name);
  return family === null || model?.toLowerCase().includes(family) === true;
}

/**
 * When there is room again, for a model.
 * @param model alias or full name; null: for some model
 * @returns `now` where there is, else the time; if nothing is known there is room
 */
export function roomAt(windows: Windows | null, now: number, model: string | null = null): number {
  if (windows === null || windows.status !== 'rejected') return now;
  const all = windows.windows.filter(({ status, resetsAt }) => status === 'rejected' && resetsAt !== null);
  const rejected = all.filter((window) => limits(window, model));
  // What is used up is another model's.
  if (all.length > 0 && rejected.length === 0) return now;
  const resets = rejected.length > 0 ? rejected.map(({ resetsAt }) => resetsAt ?? 0) : [windows.resetsAt];
  const last = Math.max(...resets.map((reset) => reset ?? windows.at + UNNAMED_RESET_MS));
  return Math.max(now, last);
}

/**
 * The share that is left of the scarcest window that limits a model, 0 to 1; 1 if nothing is known.
 * @param model alias or full name; null: some model
 */
export function leftOf(windows: Windows | null, now: number, model: string | null = null): number {
  if (windows === null) return 1;
  if (roomAt(windows, now, model) > now) return 0;
  const limiting = current(windows, now).filter((window) => limits(window, model));
  const used = limiting.map(({ utilization }) => utilization ?? 0);
  return Math.max(0, 1 - Math.max(0, ...used));
}

/** The names the headers have for windows are short; the CLI has others for the same. */
const SAME: Record<string, string> = { five_hour: '5h', seven_day: '7d' };
const LONG: Record<string, string> = Object.fromEntries(Object.entries(SAME).map(([long, short]) => [short, long]));

/** One name for a window, whichever way it came. */
export function windowName(name: string): string {
  return ownValue(SAME, name) ?? name;
}
