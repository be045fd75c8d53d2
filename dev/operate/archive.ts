/** Copies a deployment into an archive, and an archive into an empty deployment, through the admin API. */
import * as z from 'zod';
import { batches } from '../../src/lib/concurrency.ts';
import { parseJson } from '../../src/lib/parse-json.ts';
import {
  ARCHIVE_TABLES,
  ARCHIVE_VERSION,
  type ArchiveRow,
  objectsPageSchema,
  rowSchema,
  rowsPageSchema,
  type SessionArchivePage,
  sessionPageSchema,
  storedItemSchema,
} from '../../src/protocol/archive.ts';

/** A deployment, by its admin API. Paths are those below `/api/admin`. */
export interface ArchiveApi {
  ask<Schema extends z.ZodType>(
    method: string,
    path: string,
    schema: Schema,
    body?: unknown,
  ): Promise<z.output<Schema>>;
  /** Whether something is there. Others' refusals are thrown. */
  read(path: string): Promise<Uint8Array | null>;
  store(path: string, content: Uint8Array): Promise<void>;
}

/** Takes the entries of an archive. */
export type TakeEntry = (name: string, content: Uint8Array) => Promise<void>;
/** An entry that was read. */
export interface ReadEntry {
  name: string;
  content: () => Promise<Uint8Array>;
}

/** The archive lacks something, or does not fit. The message is a sentence for people. */
export class ArchiveProblem extends Error {
  override readonly name = 'ArchiveProblem';
}

const MANIFEST = 'manifest.json';
/** A session that is at work meanwhile is read again so often, then it is left out. */
const MOST_TRIES = 5;
/** A row whose session is not there is removed by the deployment, so these rows are stored after the sessions. */
const LAST_TABLE = 'sessions';
/** Sessions whose ids are asked for, and rows that are stored, by one request. */
const MOST_IDS_AT_ONCE = 200;
const MOST_ROWS_AT_ONCE = 100;
const KINDS = ['logs', 'patches', 'shared'] as const;

const manifestSchema = z.looseObject({
  version: z.literal(ARCHIVE_VERSION),
  /** Null: all of the deployment. */
  workspace: z.string().nullable(),
  /** Session ids with the names by which their objects are made again; null: one that cannot be. */
  sessions: z.record(z.string(), z.string().nullable()),
  entries: z.number(),
  /** Media types of objects, by their keys; left out by earlier versions. */
  types: z.record(z.string(), z.string()).default({}),
});
export type ArchiveManifest = z.infer<typeof manifestSchema>;

const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const lines = (values: readonly unknown[]) =>
  new TextEncoder().encode(values.map((value) => `${JSON.stringify(value)}\n`).join(''));
const numbered = (number: number) => String(number).padStart(6, '0');

/**
 * Reads a deployment, or one workspace of it without what is encrypted.
 * @param take is given one entry after the other, the manifest last
 * @returns the manifest
 * @throws DeploymentProblem, ArchiveProblem
 */
export async function takeArchive(
  api: ArchiveApi,
  { workspace, now }: { workspace: string | null; now: number },
  take: TakeEntry,
): Promise<ArchiveManifest> {
  let entries = 0;
  const put: TakeEntry = async (name, content) => {
    entries += 1;
    await take(name, content);
  };
  const ids: string[] = [];
  const scope = workspace === null ? '' : `&workspace=${encodeURIComponent(workspace)}`;
  for (const table of ARCHIVE_TABLES) {
    for (let after = 0, page = 1, more = true; more; page += 1) {
      const { rows, next } = await api.ask('GET', `/archive/tables/${table}?after=${after}${scope}`, rowsPageSchema);
      if (table === 'workspaces' && workspace !== null && rows.length === 0)
        throw new ArchiveProblem(`There is no workspace ${workspace}.`);
      if (table === 'sessions') ids.push(...rows.map(({ id }) => String(id)));
      if (rows.length > 0) await put(`tables/${table}/${numbered(page)}.jsonl`, lines(rows));
      more = next !== null;
      after = next ?? 0;
    }
  }
  const sessions: Record<string, string | null> = {};
  const types: Record<string, string> = {};
  for (const id of ids) {
    const parts = await takeSession(api, id);
    if (parts === null) continue;
    sessions[id] = parts[0]?.name ?? null;
    for (const [index, { items }] of parts.entries())
      await put(`sessions/${id}/${numbered(index + 1)}.jsonl`, lines(items));
    const kinds = workspace === null ? [...KINDS, 'checkpoints'] : KINDS;
    for (const prefix of [...kinds.map((kind) => `${kind}/${id}/`), `sessions/${id}/`])
      await takeObjects(api, prefix, put, types);
  }
  const manifest = { version: ARCHIVE_VERSION, workspace, sessions, entries, types } as const;
  await take(MANIFEST, json({ ...manifest, at: new Date(now).toISOString(), by: 'cyrus' }));
  return manifest;
}

/** All parts of a session as it is at one moment; null: there is none, or it was at work each time. */
async function takeSession(api: ArchiveApi, id: string): Promise<SessionArchivePage[] | null> {
  for (let tries = 0; tries < MOST_TRIES; tries += 1) {
    const parts: SessionArchivePage[] = [];
    for (let from: number | null = 0; from !== null; ) {
      const bytes = await api.read(`/archive/sessions/${id}?from=${from}`);
      if (bytes === null) return null;
      const part = sessionPageSchema.parse(parseJson(new TextDecoder().decode(bytes)));
      parts.push(part);
      from = part.next;
    }
    if (parts.every(({ revision }) => revision === parts[0]?.revision)) return parts;
  }
  throw new ArchiveProblem(
    `The session ${id} is at work: pause the deployment (npm run settings -- set PAUSED true), and repeat.`,
  );
}

/** @param types is given those of the objects */
async function takeObjects(
  api: ArchiveApi,
  prefix: string,
  put: TakeEntry,
  types: Record<string, string>,
): Promise<void> {
  for (let cursor: string | null = '', more = true; more; ) {
    const path: string = `/archive/objects?prefix=${encodeURIComponent(prefix)}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`;
    const page: z.output<typeof objectsPageSchema> = await api.ask('GET', path, objectsPageSchema);
    for (const { key, type } of page.objects) {
      if (type !== null) types[key] = type;
      const content = await api.read(`/archive/object?key=${encodeURIComponent(key)}`);
      // One that was removed meanwhile is missed by nobody.
      if (content) await put(`objects/${key}`, content);
    }
    cursor = page.next;
    more = page.next !== null;
  }
}

/**
 * Stores an archive in an empty deployment. Ids of sessions belong to a deployment, so they become those that their names have there.
 * @param entries those of the archive, each time it is called from the beginning
 * @returns how many sessions were stored, and the ids of those that could not be, because nobody knows their name
 * @throws DeploymentProblem, ArchiveProblem
 */
export async function putArchive(
  api: ArchiveApi,
  entries: () => AsyncIterable<ReadEntry>,
): Promise<{ sessions: number; lost: string[] }> {
  const manifest = await manifestOf(entries());
  if (manifest.workspace !== null)
    throw new ArchiveProblem(
      'This is an export of one workspace, without its secrets: restore takes a backup of a deployment.',
    );
  await api.ask('POST', '/archive/begin', z.object({ isEmpty: z.literal(true) }));
  const named = Object.entries(manifest.sessions).flatMap(([id, name]) => (name === null ? [] : [{ id, name }]));
  const names = new Map(named.map(({ id, name }) => [id, name]));
  const ids = new Map<string, string>();
  const idsSchema = z.object({ ids: z.array(z.string()) });
  for (const part of batches(named, MOST_IDS_AT_ONCE)) {
    const answer = await api.ask('POST', '/archive/ids', idsSchema, { names: part.map(({ name }) => name) });
    for (const [index, { id }] of part.entries()) ids.set(id, answer.ids[index] ?? id);
  }
  // 64 hex digits are long enough to be nothing else.
  const translated = (text: string) => text.replace(/[0-9a-f]{64}/g, (id) => ids.get(id) ?? id);
  const last = await lastParts(entries());
  const putRows = async (table: string, text: string) => {
    const rows = linesOf(text, rowSchema).filter((row) => isKnown(table, row, ids));
    for (const part of batches(rows, MOST_ROWS_AT_ONCE)) {
      await api.ask('POST', `/archive/tables/${table}`, z.looseObject({}), { rows: part });
    }
  };
  for await (const { name, content } of entries()) {
    const [kind = '', id = '', file = ''] = name.split('/');
    const text = async () => translated(new TextDecoder().decode(await content()));
    if (kind === 'tables') {
      if (id !== LAST_TABLE) await putRows(id, await text());
    } else if (kind === 'sessions' && names.has(id)) {
      const items = linesOf(await text(), storedItemSchema);
      const which = { isFirst: file === `${numbered(1)}.jsonl`, isLast: last.get(id) === name };
      await api.ask('POST', '/archive/sessions', z.looseObject({}), { name: names.get(id), items, ...which });
    } else if (kind === 'objects') {
      const before = name.slice('objects/'.length);
      const type = manifest.types[before];
      const query = new URLSearchParams({ key: translated(before), ...(type !== undefined && { type }) });
      await api.store(`/archive/object?${query}`, await content());
    }
  }
  for await (const { name, content } of entries()) {
    if (name.startsWith(`tables/${LAST_TABLE}/`)) {
      await putRows(LAST_TABLE, translated(new TextDecoder().decode(await content())));
    }
  }
  return { sessions: names.size, lost: Object.keys(manifest.sessions).filter((id) => !names.has(id)) };
}

/** Columns that name a session. */
const SESSION_COLUMN: Readonly<Record<string, string>> = { sessions: 'id', pull_requests: 'session_id' };

/** Rows of a session that could not be stored would lead to nothing. */
function isKnown(table: string, row: ArchiveRow, ids: ReadonlyMap<string, string>): boolean {
  const column = SESSION_COLUMN[table];
  return column === undefined || [...ids.values()].some((id) => id === row[column]);
}

async function manifestOf(entries: AsyncIterable<ReadEntry>): Promise<ArchiveManifest> {
  let count = 0;
  for await (const { name, content } of entries) {
    if (name !== MANIFEST) {
      count += 1;
      continue;
    }
    const manifest = manifestSchema.safeParse(parseJson(new TextDecoder().decode(await content())));
    if (!manifest.success) throw new ArchiveProblem('The archive has a manifest that this version does not know.');
    if (manifest.data.entries !== count) throw new ArchiveProblem('The archive is not whole.');
    return manifest.data;
  }
  throw new ArchiveProblem('The archive has no manifest: it is not whole.');
}

async function lastParts(entries: AsyncIterable<ReadEntry>): Promise<Map<string, string>> {
  const last = new Map<string, string>();
  for await (const { name } of entries) {
    const [kind, id] = name.split('/');
    if (kind === 'sessions' && id !== undefined) last.set(id, name);
  }
  return last;
}

function linesOf<Schema extends z.ZodType>(text: string, schema: Schema): z.output<Schema>[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => schema.parse(parseJson(line)));
}
