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
  const count = (owner: string) => counts.get(owner) ?? 0;
  for (const { owner } of working) counts.set(owner, count(owner) + 1);
  const left = waiting.toSorted((a, b) => a.since - b.since);
  const order: LineEntry[] = [];
  while (left.length > 0) {
    const fewest = Math.min(...left.map(({ owner }) => count(owner)));
    const index = left.findIndex(({ owner }) => count(owner) === fewest);
    for (const next of left.splice(index, 1)) {
      order.push(next);
      counts.set(next.owner, count(next.owner) + 1);
    }
  }
  return order;
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
 * A session asks for a place. One that has a place keeps it, one that waits keeps its position.
 * @param isUnderWay something runs for it already: it is let in past the cap, for it cannot be held up any more
 */
export function join(line: Line, entry: LineEntry, isUnderWay: boolean): Line {
  const { session, turn } = entry;
  const renewed = (known: LineEntry) =>
    known.session === session ? { ...known, turn: Math.max(known.turn, turn) } : known;
  if (line.working.some((known) => known.session === session)) {
    return { ...line, working: line.working.map(renewed) };
  }
  if (isUnderWay) {
    return { working: [...line.working, entry], waiting: line.waiting.filter((known) => known.session !== session) };
  }
  if (line.waiting.some((known) => known.session === session)) {
    return { ...line, waiting: line.waiting.map(renewed) };
  }
  return { ...line, waiting: [...line.waiting, entry] };
}

/** A session leaves, with its turns up to this one; a later turn's place stays. */
export function leave(line: Line, session: string, turn: number): Line {
  const stays = (entry: LineEntry) => entry.session !== session || entry.turn > turn;
  return { working: line.working.filter(stays), waiting: line.waiting.filter(stays) };
}

/** Where everybody who waits stands; 1 is next. */
export function placesOf(line: Line): Map<string, number> {
  return new Map(orderOf(line).map(({ session }, index) => [session, index + 1]));
}
