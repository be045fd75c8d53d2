/**
 * What the server sent, checked. Newer servers may write journal entries of kinds this page does not know: those are
 * kept as `unknown` entries (with their number, time and turn), so that one of them never costs the whole connection.
 */
import { z } from 'zod';
import { type JournalEntry, journalEntrySchema } from '../../protocol/journal.ts';
import { parseJson } from '../../protocol/parse-json.ts';
import { type SessionView, sessionViewSchema, type ViewerFrame, viewerFrameSchema } from '../../protocol/viewer.ts';

const numbered = z.looseObject({
  seq: z.number().int().positive(),
  at: z.number().int().nonnegative(),
  turn: z.number().int().nonnegative(),
  kind: z.string(),
});
const anyFrame = z.looseObject({ t: z.string() });
const KNOWN_FRAMES = new Set<string>(viewerFrameSchema.options.map((option) => option.shape.t.value));
const entriesFrame = z.object({ t: z.literal('entries'), entries: z.array(z.unknown()) });
const page = z.object({
  session: sessionViewSchema,
  entries: z.array(z.unknown()),
  head: z.number().int().nonnegative(),
});

/** One journal entry, or null where not even number, time, turn and kind can be read. */
export function decodeEntry(value: unknown): JournalEntry | null {
  const known = journalEntrySchema.safeParse(value);
  if (known.success) return known.data;
  const envelope = numbered.safeParse(value);
  if (!envelope.success) return null;
  const { seq, at, turn, kind } = envelope.data;
  return { seq, at, turn, kind: 'unknown', type: kind, raw: JSON.stringify(value) };
}

/** A line of a WebSocket message as a frame; `unknown`: one of a kind that this page does not know; null where it is none. */
export function decodeFrame(text: string): ViewerFrame | 'unknown' | null {
  const value = parseJson(text);
  const kind = anyFrame.safeParse(value);
  if (kind.success && !KNOWN_FRAMES.has(kind.data.t)) return 'unknown';
  const frame = viewerFrameSchema.safeParse(value);
  if (frame.success) return frame.data;
  const lenient = entriesFrame.safeParse(value);
  if (!lenient.success) return null;
  const entries = decodeEntries(lenient.data.entries);
  return entries === null ? null : { t: 'entries', entries };
}

/** Body of `GET /api/sessions/:id`; null where it is none. */
export function decodePage(value: unknown): { session: SessionView; entries: JournalEntry[]; head: number } | null {
  const parsed = page.safeParse(value);
  if (!parsed.success) return null;
  const entries = decodeEntries(parsed.data.entries);
  return entries === null ? null : { ...parsed.data, entries };
}

function decodeEntries(values: unknown[]): JournalEntry[] | null {
  const entries: JournalEntry[] = [];
  for (const value of values) {
    const entry = decodeEntry(value);
    if (entry === null) return null;
    entries.push(entry);
  }
  return entries;
}
