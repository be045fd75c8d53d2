/** Who is at work and who waits in the queue (pure). Fair between people: nobody waits because somebody else asked for much. */
import * as z from 'zod';
import { noStartLimits, type ReachedLimit, type StartLimits } from '../protocol/settings/start-limits.ts';
import { addWork } from './sandbox-minutes.ts';
import { limitOfAll, limitOfNew, noteStart, startHistorySchema } from './start-limits.ts';

export const lineEntrySchema = z.object({
  /** The session's object id. */
  session: z.string(),
  /** Who asked; the session itself if no person did. */
  owner: z.string(),
  /** Number of the turn it is for. */
  turn: z.number(),
  /** Since when it works or waits; ms since the epoch. */
  since: z.number(),
  /** Key of the issue, for the log; left out by earlier versions, or if it is not known. */
  issue: z.string().optional(),
  /** It never had a sandbox; left out by earlier versions. */
  isNew: z.boolean().optional(),
});
export type LineEntry = z.infer<typeof lineEntrySchema>;

export const lineSchema = z.object({
  working: z.array(lineEntrySchema),
  waiting: z.array(lineEntrySchema),
  ...startHistorySchema.shape,
});
export type Line = z.infer<typeof lineSchema>;

export const emptyLine: Line = { working: [], waiting: [] };

/**
 * The order of those who wait: by turns between owners: first the owner with the fewest sessions at work, of equals the one that has waited
 * longest.
 */
export function orderOf({ working, waiting }: Line): LineEntry[] {
  const counts = new Map<string, number>();
  const counted = (owner: string) => {
    const count = counts.get(owner) ?? 0;
    counts.set(owner, count + 1);
    return count;
  };
  for (const { owner } of working) counted(owner);
  return (
    waiting
      .toSorted((a, b) => a.since - b.since)
      // How many of the owner's are before it, at work or waiting: those with as many come by turns.
      .map((entry) => ({ entry, before: counted(entry.owner) }))
      .toSorted((a, b) => a.before - b.before)
      .map(({ entry }) => entry)
  );
}

/** Gives free slots to the next in the queue, of whom no limit holds up. @returns the same line if nothing changes */
export function admit(line: Line, cap: number, now: number, limits: StartLimits = noStartLimits): Line {
  let next = line;
  // Those whose new sessions a limit holds up: no start of others changes that.
  const heldUp = new Set<string>();
  for (const entry of orderOf(line)) {
    if (next.working.length >= cap || limitOfEverybody(next, limits, now) !== null) break;
    const start = startOf(entry);
    if (start.isNew && heldUp.has(start.owner)) continue;
    if (limitOfNew(next, start, limits, now) !== null) {
      heldUp.add(start.owner);
      continue;
    }
    next = {
      ...noteStart(next, start, limits, now),
      working: [...next.working, { ...entry, since: now }],
      waiting: next.waiting.filter((one) => one !== entry),
    };
  }
  return next;
}

/**
 * The limit that a session waits for.
 * @param session one that waits
 * @returns null: it waits for a slot alone
 */
export function limitOf(
  line: Line,
  session: string,
  { cap, limits, now }: { cap: number; limits: StartLimits; now: number },
): ReachedLimit | null {
  const entry = line.waiting.find((one) => one.session === session);
  if (entry === undefined) return null;
  const all = limitOfEverybody(line, limits, now);
  // Without a free slot a quicker pace would help nobody.
  const ofAll = all?.name === 'STARTS_A_MINUTE' && line.working.length >= cap ? null : all;
  return limitOfNew(line, startOf(entry), limits, now) ?? ofAll;
}

/** When a limit lets somebody who waits start although no slot is given back; null: nobody waits for a limit. */
export function nextStartAt(line: Line, cap: number, limits: StartLimits, now: number): number | null {
  if (line.waiting.length === 0 || line.working.length >= cap) return null;
  const all = limitOfEverybody(line, limits, now);
  if (all !== null) return all.until;
  const owners = new Map(line.waiting.map((entry) => [`${entry.owner} ${startOf(entry).isNew}`, entry]));
  const times = [...owners.values()].flatMap((entry) => limitOfNew(line, startOf(entry), limits, now)?.until ?? []);
  return times.length === 0 ? null : Math.min(...times);
}

function limitOfEverybody(line: Line, limits: StartLimits, now: number): ReachedLimit | null {
  const working = line.working.map(({ since }) => since);
  return limitOfAll(line, working, limits, now);
}

/** Earlier versions do not say whether a session is new: its first turn tells. */
function startOf({ owner, turn, isNew = turn <= 1 }: LineEntry) {
  return { owner, isNew };
}

/**
 * A session asks for a slot. One that has a slot keeps it, one that waits keeps its position.
 * @returns the same line if nothing changes
 * @param isUnderWay something runs for it already: it is let in past the cap, for it cannot be held up any more
 */
export function join(line: Line, entry: LineEntry, isUnderWay: boolean): Line {
  const { session, turn } = entry;
  const known = [...line.working, ...line.waiting].find((one) => one.session === session);
  // Who waits asks once a minute: an answer alone costs no row.
  if (known && known.turn >= turn && (!isUnderWay || line.working.includes(known))) return line;
  const renewed = (one: LineEntry) => (one.session === session ? { ...one, turn: Math.max(one.turn, turn) } : one);
  if (line.working.some((one) => one.session === session)) {
    return { ...line, working: line.working.map(renewed) };
  }
  if (isUnderWay) {
    return {
      ...line,
      working: [...line.working, entry],
      waiting: line.waiting.filter((one) => one.session !== session),
    };
  }
  if (line.waiting.some((one) => one.session === session)) {
    return { ...line, waiting: line.waiting.map(renewed) };
  }
  return { ...line, waiting: [...line.waiting, entry] };
}

/**
 * A session leaves, with its turns up to this one; a later turn's slot stays. What it used is added up.
 * @returns the same line if nothing changes
 */
export function leave(line: Line, session: string, turn: number, now: number): Line {
  const stays = (entry: LineEntry) => entry.session !== session || entry.turn > turn;
  if (line.working.every(stays) && line.waiting.every(stays)) return line;
  const gone = line.working.filter((entry) => !stays(entry));
  return {
    ...line,
    working: line.working.filter(stays),
    waiting: line.waiting.filter(stays),
    ...(gone.length > 0 && { used: gone.reduce((used, { since }) => addWork(used, since, now), line.used) }),
  };
}

/** The queue position of everybody who waits; 1 is next. */
export function positionsOf(line: Line): Map<string, number> {
  return new Map(orderOf(line).map(({ session }, index) => [session, index + 1]));
}
