/**
 * What the server sent, checked. Newer servers may write journal entries of kinds this page does not know: those are
 * kept as `unknown` entries (with their number, time and turn), so that one of them never costs the whole connection.
 */
import * as z from 'zod';
import { parseJson } from '../../lib/parse-json.ts';
import { type JournalEntry, journalEntrySchema } from '../../protocol/journal.ts';
import { markedText, shownData, shownText } from '../../protocol/text/clean-text.ts';
import { visibleData, withoutDisguise } from '../../protocol/text/visible-text.ts';
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
  mayWork: z.boolean().default(true),
  saved: z.unknown().optional(),
});

/** What a page of the journal brings. `saved`: the newest entry that tells of saved work, where the page says one. */
export interface DecodedPage {
  session: SessionView;
  entries: JournalEntry[];
  head: number;
  /** Whether who looks may write to Claude and stop it. */
  mayWork: boolean;
  saved: SavedEntry | null;
}
export type SavedEntry = Extract<JournalEntry, { kind: 'saved' }>;

/** One journal entry, or null if not even number, time, turn and kind can be read. */
export function decodeEntry(value: unknown): JournalEntry | null {
  const known = journalEntrySchema.safeParse(value);
  if (known.success) return shownEntry(known.data);
  const envelope = numbered.safeParse(value);
  if (!envelope.success) return null;
  const { seq, at, turn, kind } = envelope.data;
  return { seq, at, turn, kind: 'unknown', type: shownText(kind), raw: shownText(JSON.stringify(value)) };
}

/**
 * What Claude says is compared with what was streamed of it, so it is cleaned where it is drawn (prose.tsx). What it calls is shown
 * as it is, hidden characters written out; all other text without them.
 */
function shownEntry(entry: JournalEntry): JournalEntry {
  if (entry.kind === 'text' || entry.kind === 'thinking') return entry;
  if (entry.kind === 'question' && entry.permission) return { ...shownData(entry), input: visibleData(entry.input) };
  if (entry.kind === 'tool-call') return { ...shownData(entry), input: shownData(entry.input, markedText) };
  // The name of a file is what people open or run: a character that turns it around is shown, not left out.
  if (entry.kind === 'saved') {
    const files = entry.files.map((file) => ({ ...file, path: withoutDisguise(file.path) }));
    return { ...shownData(entry), files };
  }
  if (entry.kind === 'tool-result' && entry.edit) {
    return { ...shownData(entry), edit: { ...shownData(entry.edit), path: withoutDisguise(entry.edit.path) } };
  }
  return shownData(entry);
}

/** Text that is being streamed keeps its length, by which frames follow each other: it is cleaned where it is drawn. */
function shownFrame(frame: ViewerFrame): ViewerFrame {
  switch (frame.t) {
    case 'hello':
    case 'session':
      return { ...frame, session: shownView(frame.session) };
    case 'entries':
      return { ...frame, entries: frame.entries.map(shownEntry) };
    default:
      return frame;
  }
}

/** What a tool asks to run comes with its hidden characters written out. */
function shownView(session: SessionView): SessionView {
  const { asked, ...rest } = session;
  return { ...shownData(rest), asked: asked && { ...shownData(asked), call: asked.call } };
}

/** A line of a WebSocket message as a frame; `unknown`: one of a kind that this page does not know; null if it is none. */
export function decodeFrame(text: string): ViewerFrame | 'unknown' | null {
  const value = parseJson(text);
  const kind = anyFrame.safeParse(value);
  if (kind.success && !KNOWN_FRAMES.has(kind.data.t)) return 'unknown';
  const frame = viewerFrameSchema.safeParse(value);
  if (frame.success) return shownFrame(frame.data);
  const lenient = entriesFrame.safeParse(value);
  if (!lenient.success) return null;
  const entries = decodeEntries(lenient.data.entries);
  return entries === null ? null : { t: 'entries', entries };
}

/** Body of `GET /api/sessions/:id`; null if it is none. */
export function decodePage(value: unknown): DecodedPage | null {
  const parsed = page.safeParse(value);
  if (!parsed.success) return null;
  const entries = decodeEntries(parsed.data.entries);
  if (entries === null) return null;
  const saved = decodeEntry(parsed.data.saved);
  const { session, head, mayWork } = parsed.data;
  return { session: shownView(session), entries, head, mayWork, saved: saved?.kind === 'saved' ? saved : null };
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
