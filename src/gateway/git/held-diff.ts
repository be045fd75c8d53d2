/**
 * The diff that people are shown of a push that is held. The gateway makes it itself, from the objects that the push brings and
 * those that the host has: what is shown is what would be pushed, whatever the sandbox says of it.
 */
import { unifiedDiff } from '../../lib/line-diff.ts';
import { MAX_HELD_DIFF } from '../../protocol/held-push.ts';
import { entriesOf, FOLDER, type TreeEntry, UnreadableError } from './tree-entries.ts';

/** Most files that are looked at, changed or not. */
const MAX_FILES = 200;
const SUBMODULE = '160000';
const LINK = '120000';

/** Reads objects wherever they are; null: they cannot be read within bounds. */
export interface ObjectSource {
  treeAt: (id: string) => Promise<Uint8Array | null>;
  blobAt: (id: string) => Promise<Uint8Array | null>;
}

type Files = Map<string, Pick<TreeEntry, 'mode' | 'id'>>;

/**
 * @param before files and folders of the base, by path
 * @param after those of the head
 * @returns null if it is longer than people can read
 * @throws UnreadableError
 */
export async function diffOfHeld(before: Files, after: Files, source: ObjectSource): Promise<string | null> {
  const [old, fresh] = await Promise.all([expand(before, after, source), expand(after, before, source)]);
  const paths = [...new Set([...old.keys(), ...fresh.keys()])].sort();
  const parts: string[] = [];
  let length = 0;
  for (const path of paths) {
    const [was, is] = [old.get(path), fresh.get(path)];
    if (was && is && was.id === is.id && was.mode === is.mode) continue;
    const part = await diffOf(path, was, is, source);
    parts.push(part);
    length += part.length + 1;
    if (length > MAX_HELD_DIFF) return null;
  }
  return parts.join('\n');
}

/** The files in these, folders opened; what is the same on the other side is left closed. */
async function expand(files: Files, others: Files, { treeAt }: ObjectSource): Promise<Files> {
  const found: Files = new Map();
  const open = [...files].map(([path, entry]) => ({ path, ...entry, other: others.get(path)?.id ?? null }));
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { path, mode, id, other } = next;
    if (mode !== FOLDER) {
      found.set(path, { mode, id });
      if (found.size > MAX_FILES) throw new UnreadableError(`more than ${MAX_FILES} files`);
      continue;
    }
    if (id === other) continue;
    const beside = other === null ? [] : ((await entriesAt(other, treeAt).catch(() => null)) ?? []);
    const ids = new Map(beside.map((entry) => [entry.name, entry.id]));
    for (const entry of await entriesAt(id, treeAt)) {
      const at = { path: `${path}/${entry.name}`, mode: entry.mode, id: entry.id, other: ids.get(entry.name) ?? null };
      if (entry.id !== at.other || entry.mode !== FOLDER) open.push(at);
    }
  }
  return found;
}

async function entriesAt(id: string, treeAt: ObjectSource['treeAt']): Promise<TreeEntry[]> {
  const bytes = await treeAt(id);
  const entries = bytes && entriesOf(bytes, id.length / 2);
  if (!entries) throw new UnreadableError(`the folder ${id.slice(0, 10)}`);
  return entries;
}

async function diffOf(
  path: string,
  was: Pick<TreeEntry, 'mode' | 'id'> | undefined,
  is: Pick<TreeEntry, 'mode' | 'id'> | undefined,
  source: ObjectSource,
): Promise<string> {
  const lines = [`--- ${was ? `a/${path}` : '/dev/null'}`, `+++ ${is ? `b/${path}` : '/dev/null'}`];
  if (was?.mode !== is?.mode) lines.push(...modeText(was?.mode, is?.mode));
  if (was?.id !== is?.id) {
    const [before, after] = await Promise.all([textOf(path, was, source), textOf(path, is, source)]);
    lines.push(
      before === null || after === null
        ? `(no text: ${was?.id ?? 'nothing'} becomes ${is?.id ?? 'nothing'})`
        : unifiedDiff(before, after) || '(empty)',
    );
  }
  return lines.join('\n');
}

/** Said where it is more than an ordinary file that comes or goes. */
function modeText(was: string | undefined, is: string | undefined): string[] {
  const kind = (mode: string | undefined) =>
    mode === LINK ? 'a link' : mode === SUBMODULE ? 'a submodule' : mode === '100755' ? 'a program' : null;
  const [before, after] = [kind(was), kind(is)];
  if (before === after) return [];
  return [`(${before ?? (was ? 'a file' : 'nothing')} becomes ${after ?? (is ? 'a file' : 'nothing')})`];
}

/** Null for what is no text. */
async function textOf(
  path: string,
  entry: Pick<TreeEntry, 'mode' | 'id'> | undefined,
  { blobAt }: ObjectSource,
): Promise<string | null> {
  if (!entry) return '';
  if (entry.mode === SUBMODULE) return `Subproject commit ${entry.id}\n`;
  const bytes = await blobAt(entry.id);
  if (!bytes) throw new UnreadableError(`the file ${path.slice(0, 100)}`);
  if (bytes.includes(0)) return null;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}
