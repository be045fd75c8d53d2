/** Claude's limits as people read them. Pure. */
import type { SessionView } from '../../protocol/viewer.ts';
import { timeOfDay } from './format.ts';

type Window = NonNullable<SessionView['windows']>[number];

/** "5-hour window" for `5h`, "7-day window" for `7d`; another window by its own name. */
export function windowTitle(name: string): string {
  const [, count, unit] = /^(\d+)([hd])$/.exec(name) ?? [];
  return count ? `${count}-${unit === 'h' ? 'hour' : 'day'} window` : `Window ${name}`;
}

/** "63 %, resets 14:05". A window that has been reset since is empty. */
export function windowUse({ utilization, resetsAt }: Window, now: number): string {
  if (resetsAt !== null && resetsAt <= now) return '0 %';
  const used = utilization === null ? 'unknown' : `${Math.round(utilization * 100)} %`;
  return resetsAt === null ? used : `${used}, resets ${timeOfDay(resetsAt, now)}`;
}
