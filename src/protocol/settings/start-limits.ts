/** How many sessions may begin, how fast, and how long sandboxes may work: variables, each of which may be a setting. 0: no limit. */
import * as z from 'zod';

/** Times of so many starts are kept and counted exactly; a greater limit would not hold. */
const MOST_SESSIONS = 2_000;
const HOUR_MS = 60 * 60_000;

function count(usual: number, most: number, why: string) {
  const error = `must be a whole number from 0 (no limit) to ${most}${why}`;
  return z.coerce
    .string()
    .default('')
    .transform((text) => (text.trim() === '' ? usual : Number(text)))
    .pipe(z.number({ error }).int({ error }).min(0, { error }).max(most, { error }));
}
const sessions = () => count(0, MOST_SESSIONS, ': that many starts are counted exactly');
const minutes = () => count(0, 100_000_000, '');

export const startLimitVariables = {
  SESSIONS_A_PERSON_HOUR: sessions(),
  SESSIONS_A_PERSON_DAY: sessions(),
  SESSIONS_A_WORKSPACE_HOUR: sessions(),
  SESSIONS_A_WORKSPACE_DAY: sessions(),
  SANDBOX_MINUTES_DAY: minutes(),
  SANDBOX_MINUTES_MONTH: minutes(),
  STARTS_A_MINUTE: count(120, 10_000, ''),
};

export type StartLimitName = keyof typeof startLimitVariables;

/** Each limit by the name of its variable; 0: no limit. */
export type StartLimits = Readonly<Record<StartLimitName, number>>;

export const noStartLimits: StartLimits = {
  SESSIONS_A_PERSON_HOUR: 0,
  SESSIONS_A_PERSON_DAY: 0,
  SESSIONS_A_WORKSPACE_HOUR: 0,
  SESSIONS_A_WORKSPACE_DAY: 0,
  SANDBOX_MINUTES_DAY: 0,
  SANDBOX_MINUTES_MONTH: 0,
  STARTS_A_MINUTE: 0,
};

/** @param variables as the schema above has read them */
export function readStartLimits(variables: StartLimits): StartLimits {
  const names = Object.keys(noStartLimits) as StartLimitName[];
  return { ...noStartLimits, ...Object.fromEntries(names.map((name) => [name, variables[name]])) };
}

/** A limit that keeps a session from starting although it may be its turn. */
export interface ReachedLimit {
  name: StartLimitName;
  /** What it is set to. */
  most: number;
  /** When it lets the session start by itself; ms since the epoch. */
  until: number;
}

/** What the queue of a workspace answers a session that asks for a slot. */
export interface SlotAnswer {
  /** 0: it has the slot; 1: it is next in the queue, and so on. */
  position: number;
  /** The limit that it waits for; null: for a slot alone. */
  limit: ReachedLimit | null;
}

/** What is told if a limit holds a session up; begins as every reason of a wait does. Without a full stop. */
export function reachedLimitWords({ name, most }: ReachedLimit): string {
  const begun = `${most} new ${most === 1 ? 'session' : 'sessions'}`;
  switch (name) {
    case 'SESSIONS_A_PERSON_HOUR':
      return `Waiting: one person may begin ${begun} an hour`;
    case 'SESSIONS_A_PERSON_DAY':
      return `Waiting: one person may begin ${begun} a day`;
    case 'SESSIONS_A_WORKSPACE_HOUR':
      return `Waiting: the workspace may begin ${begun} an hour`;
    case 'SESSIONS_A_WORKSPACE_DAY':
      return `Waiting: the workspace may begin ${begun} a day`;
    case 'SANDBOX_MINUTES_DAY':
      return `Waiting: the day’s budget of ${most} sandbox minutes is used up`;
    case 'SANDBOX_MINUTES_MONTH':
      return `Waiting: the month’s budget of ${most} sandbox minutes is used up`;
    case 'STARTS_A_MINUTE':
      return 'Waiting: many sessions start now, a few at a time';
  }
}

/** When it goes on, and what an admin can do. @param now ms since the epoch */
export function reachedLimitRemedy({ name, until }: ReachedLimit, now: number): string {
  if (name === 'STARTS_A_MINUTE') return 'This one starts by itself.';
  const iso = new Date(Math.ceil(until / 60_000) * 60_000).toISOString();
  const time = `${until - now < 20 * HOUR_MS ? '' : `${iso.slice(0, 10)} `}${iso.slice(11, 16)} UTC`;
  return `This starts by itself at ${time} at the earliest, or once an admin raises ${name}.`;
}
