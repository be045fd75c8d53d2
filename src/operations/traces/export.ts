/**
 * Sends the trace of each turn that was archived to an OpenTelemetry collector, with the look at the deployment. What could not be sent is
 * sent the next time; ids are those of the turn, so that one that is sent twice is the same trace.
 */
import { desc, gte } from 'drizzle-orm';
import type { Config } from '../../config/config.ts';
import { asError } from '../../lib/error.ts';
import { sha256 } from '../../lib/hex.ts';
import { parseJson } from '../../lib/parse-json.ts';
import { withTimeout } from '../../lib/timeout.ts';
import { log } from '../../observability/log.ts';
import { type JournalEntry, journalEntrySchema } from '../../protocol/journal.ts';
import { type Database, run } from '../../store/database.ts';
import { listObjects } from '../../store/keeping/session-objects.ts';
import { getTurnLog } from '../../store/logs.ts';
import { sessions } from '../../store/schema.ts';
import { operationsOf } from '../operations.ts';
import { traceOf } from './turn-trace.ts';

const HOUR_MS = 3_600_000;
/** A turn that lies there for longer, because the collector is away, is not sent any more. */
const GIVE_UP_MS = 24 * HOUR_MS;
/** The archive of a turn may be stored again within this time. */
const SETTLED_MS = 60_000;
const MOST_SESSIONS = 500;
const MOST_TURNS = 50;
/** A longer turn has more entries than anybody looks at in a trace, and they have to be in memory. */
const MOST_BYTES = 16 * 1024 * 1024;
const SEND_LIMIT_MS = 10_000;

interface Archived {
  row: { id: string; workspaceId: string; issue: string | null; repository: string | null };
  turn: number;
  uploadedAt: number;
}

/** @returns how many turns were sent @throws what D1, R2 and the object throw */
export async function exportTurns(env: Env, config: Config, database: Database): Promise<number> {
  const { otlp } = config;
  if (otlp === null) return 0;
  const now = Date.now();
  const operations = operationsOf(env);
  const since = await operations.tracedUntil(now, GIVE_UP_MS);
  let sent = 0;
  const archived = await archivedSince(env, database, since, now - SETTLED_MS);
  for (const [index, { row, turn, uploadedAt }] of archived.entries()) {
    const entries = await readableEntries(env, row.id, turn);
    const traceId = (await sha256(`${row.id} ${turn}`)).slice(0, 32);
    const { id: session, workspaceId: workspace, ...names } = row;
    const trace = traceOf({ traceId, session, workspace, turn, ...names, version: env.VERSION?.tag ?? '' }, entries);
    if (trace !== null && !(await send(otlp, JSON.stringify(trace)))) break;
    // Several may have been stored in the same millisecond: they are done together.
    if (archived[index + 1]?.uploadedAt !== uploadedAt) await operations.noteTraced(uploadedAt);
    sent += 1;
  }
  return sent;
}

/** The archives that were stored after a time, the oldest first. */
async function archivedSince(env: Env, database: Database, since: number, until: number): Promise<Archived[]> {
  const columns = {
    id: sessions.id,
    workspaceId: sessions.workspaceId,
    issue: sessions.issueIdentifier,
    repository: sessions.repositoryFullName,
  };
  // A turn is archived soon after its end, which changes the row.
  const recent = gte(sessions.updatedAt, since - HOUR_MS);
  const rows = await run(() =>
    database.orm.select(columns).from(sessions).where(recent).orderBy(desc(sessions.updatedAt)).limit(MOST_SESSIONS),
  );
  const found: Archived[] = [];
  for (const row of rows) {
    for await (const objects of listObjects(env.LOGS, 'logs', row.id)) {
      for (const { key, uploaded } of objects) {
        const turn = /\/(?:turn-)?(\d{1,9})\.jsonl\.gz$/.exec(key)?.[1];
        const uploadedAt = uploaded.getTime();
        if (turn !== undefined && uploadedAt > since && uploadedAt <= until)
          found.push({ row, turn: Number(turn), uploadedAt });
      }
    }
  }
  const sorted = found.toSorted((a, b) => a.uploadedAt - b.uploadedAt);
  const last = sorted[MOST_TURNS - 1]?.uploadedAt ?? until;
  return sorted.filter((each) => each.uploadedAt <= last);
}

/** Entries of a turn; none of an archive that cannot be read, so that those after it are sent. */
async function readableEntries(env: Env, session: string, turn: number): Promise<JournalEntry[]> {
  try {
    return await entriesOf(env, session, turn);
  } catch (error) {
    log('operations.trace_archive.failed', { session, turn, error: asError(error) });
    return [];
  }
}

async function entriesOf(env: Env, session: string, turn: number): Promise<JournalEntry[]> {
  const stream = await getTurnLog(env.LOGS, session, turn);
  if (!stream) return [];
  const entries: JournalEntry[] = [];
  const decoder = new TextDecoder();
  let rest = '';
  let bytes = 0;
  for await (const chunk of stream) {
    bytes += chunk.length;
    if (bytes > MOST_BYTES) break;
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      // What another version wrote, and this one cannot read, is left out.
      const entry = journalEntrySchema.safeParse(parseJson(line));
      if (entry.success) entries.push(entry.data);
    }
  }
  return entries;
}

/** @returns whether the collector has it, or will never take it */
async function send({ url, headers }: NonNullable<Config['otlp']>, body: string): Promise<boolean> {
  try {
    const { status, ok } = await withTimeout(SEND_LIMIT_MS, async (signal) => {
      const init = { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body, signal };
      const response = await fetch(`${url}/v1/traces`, { ...init, redirect: 'manual' });
      await response.body?.cancel();
      return response;
    });
    if (ok) return true;
    log('operations.trace_export.failed', { status });
    // A wrong credential is put right by somebody; the trace itself is not to blame.
    return status >= 400 && status < 500 && ![401, 403, 404, 408, 429].includes(status);
  } catch (error) {
    log('operations.trace_export.failed', { error: asError(error) });
    return false;
  }
}
