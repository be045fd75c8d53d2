/** Who is at work and who waits in the queue (pure). Fair between people: nobody waits because somebody else asked for much. */
import * as z from 'zod';

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
});
export type LineEntry = z.infer<typeof lineEntrySchema>;

export const lineSchema = z.object({ working: z.array(lineEntrySchema), waiting: z.array(lineEntrySchema) });
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

/** Gives free slots to the next in the queue. */
export function admit(line: Line, cap: number, now: number): Line {
  const free = Math.max(0, cap - line.working.length);
  if (free === 0 || line.waiting.length === 0) return line;
  const admitted = orderOf(line).slice(0, free);
  return {
    working: [...line.working, ...admitted.map((entry) => ({ ...entry, since: now }))],
    waiting: line.waiting.filter((entry) => !admitted.includes(entry)),
  };
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
    return { working: [...line.working, entry], waiting: line.waiting.filter((one) => one.session !== session) };
  }
  if (line.waiting.some((one) => one.session === session)) {
    return { ...line, waiting: line.waiting.map(renewed) };
  }
  return { ...line, waiting: [...line.waiting, entry] };
}

/** A session leaves, with its turns up to this one; a later turn's slot stays. @returns the same line if nothing changes */
export function leave(line: Line, session: string, turn: number): Line {
  const stays = (entry: LineEntry) => entry.session !== session || entry.turn > turn;
  if (line.working.every(stays) && line.waiting.every(stays)) return line;
  return { working: line.working.filter(stays), waiting: line.waiting.filter(stays) };
}

/** The queue position of everybody who waits; 1 is next. */
export function positionsOf(line: Line): Map<string, number> {
  return new Map(orderOf(line).map(({ session }, index) => [session, index + 1]));
}
