/**
 * Whether a push changes what runs on the git host: the CI files of the head, as this reads them itself in the pack and at the
 * host, against those that the base has. Nothing that a sandbox says counts. What differs is pushed only where people have
 * allowed exactly these contents.
 */
import { sha256 } from '../../lib/hex.ts';
import { type HeldPush, heldMark } from '../../protocol/held-push.ts';
import { fitsPart, isWorkflowName } from '../../protocol/settings/workflow-paths.ts';
import { diffOfHeld } from './held-diff.ts';
import type { HostObjects } from './host-objects.ts';
import type { CommitGraph, PackBeginning } from './pack-commits.ts';
import { PackObjects } from './pack-objects.ts';
import type { RefUpdate } from './push.ts';
import { entriesOf, FOLDER, type TreeEntry, UnreadableError } from './tree-entries.ts';

/** What an admin has set, and what people have allowed. */
export interface WorkflowHold {
  /** The repository's base branch, and the session's if that is another. */
  bases: () => Promise<readonly string[]>;
  /** Further paths; see protocol/settings/workflow-paths.ts. */
  paths: readonly string[];
  /** Whether a person has allowed the contents with this fingerprint. */
  isAllowed: (fingerprint: string) => Promise<boolean>;
  /** Told of a push before it is refused: what people are to be shown of it. @returns why nobody is to be shown it; null: they are */
  onHeld: (held: HeldPush) => Promise<string | null>;
}

/** One CI file or folder of a tree: its path, its mode and its id in one text, so that any change of it shows. */
type WorkflowState = readonly string[];

const ZERO = /^0+$/;
const MAX_ENTRIES = 500;
const MAX_NAMED = 40;
/** A refusal is one line of at most 1,000 characters. */
const MAX_MARK = 700;
/** Commits of the host's on which a push builds that are asked about. */
const MAX_EDGES = 10;

/**
 * @param beginning of the pack; it is read on as far as needed, see `read`
 * @param known commits that the session has pushed before
 * @param isInHistory asks the host whether a commit is in the history of others that it has
 * @returns why the push is refused, or null; and every byte read so far
 */
export async function refusalToHeld(
  { oldId, newId }: RefUpdate,
  beginning: PackBeginning,
  host: HostObjects,
  hold: WorkflowHold,
  known: CommitGraph,
  isInHistory: (part: string, tips: readonly string[]) => Promise<boolean>,
): Promise<{ why: string | null; read: Uint8Array<ArrayBuffer> }> {
  const pack = new PackObjects(beginning.rest, newId.length);
  const judge = async (): Promise<string | null> => {
    const treeOf = async (commit: string) => beginning.trees.get(commit) ?? (await host.treeOf(commit));
    const treeAt = async (id: string) => (await pack.tree(id)) ?? (await host.tree(id));
    const blobAt = async (id: string) => (await pack.blob(id)) ?? (await host.blob(id));
    const stateAt = async (commit: string): Promise<WorkflowState> => {
      const tree = await treeOf(commit);
      if (tree === null) throw new UnreadableError(`the commit ${commit.slice(0, 10)}`);
      return await readState(tree, hold.paths, treeAt);
    };
    const head = await stateAt(newId);
    // What the branch has at the host already; the host itself refuses the push where it is elsewhere.
    if (!ZERO.test(oldId) && isSame(head, await stateAt(oldId))) return null;
    const tips: string[] = [];
    for (const base of await hold.bases()) {
      const tip = await host.tip(base);
      if (tip !== null) tips.push(tip);
    }
    if (tips.length === 0) throw new UnreadableError('the base branch');
    let against: WorkflowState | null = null;
    for (const tip of tips) {
      const state = await stateAt(tip);
      if (isSame(head, state)) return null;
      against ??= state;
    }
    // The base moves on: what the branch was begun from is the base's too.
    for (const edge of edgesOf(newId, [beginning.commits, known]).slice(0, MAX_EDGES)) {
      if (!(await isInHistory(edge, tips))) continue;
      const state = await stateAt(edge);
      if (isSame(head, state)) return null;
      against = state;
    }
    const fingerprint = await fingerprintOf(head);
    if (await hold.isAllowed(fingerprint)) return null;
    const files = changedPaths(against ?? [], head);
    const only = (state: WorkflowState) => new Map([...byPath(state)].filter(([path]) => files.includes(path)));
    const isReadable = isNameable(files, fingerprint);
    const diff = isReadable ? await diffOfHeld(only(against ?? []), only(head), { treeAt, blobAt }) : null;
    if (diff === null) return tooMuchWords(files);
    return (await hold.onHeld({ files, diff, fingerprint })) ?? heldText(files, fingerprint);
  };
  try {
    return { why: await judge(), read: pack.read };
  } catch (error) {
    if (!(error instanceof UnreadableError)) throw error;
    const why = `Cyrus could not see whether this push changes what runs on the git host (${error.message} could not be read), and such changes need a person's permission: push whole objects, with git -c pack.window=0 -c pack.depth=0 push --no-thin`;
    return { why, read: pack.read };
  }
}

/** The sandbox server reads the paths and the fingerprint from these words. */
function heldText(files: string[], fingerprint: string): string {
  const mark = heldMark({ files, fingerprint });
  return `this push changes what runs on the git host, which a person has to allow first ${mark}: it was not pushed, and a person is asked when you end your turn; undo these changes if they are not needed`;
}

/** Whether a refusal can name them in one line of plain characters. */
function isNameable(files: string[], fingerprint: string): boolean {
  const isShort = files.length <= MAX_NAMED && heldMark({ files, fingerprint }).length <= MAX_MARK;
  return isShort && !/]: |[^\x20-\x7e]/.test(files.join(' '));
}

function tooMuchWords(files: string[]): string {
  return `this push changes files that decide what runs on the git host, more files, or stranger names, than a person can judge at once, so it was not pushed: undo those that are not needed, or propose them in smaller steps (${files.length} changes)`;
}

/** Commits that the pushed history builds on and that are neither pushed now nor were before: the host has them. */
function edgesOf(id: string, graphs: readonly CommitGraph[]): string[] {
  const seen = new Set<string>();
  const edges: string[] = [];
  const open = [id];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (seen.has(next)) continue;
    seen.add(next);
    const parents = graphs.map((graph) => graph.get(next)).find((found) => found !== undefined);
    // One by one: a commit may name more parents than a call takes arguments.
    for (const parent of parents ?? []) open.push(parent);
    if (!parents) edges.push(next);
  }
  return edges;
}

async function readState(
  root: string,
  paths: readonly string[],
  treeAt: (id: string) => Promise<Uint8Array | null>,
): Promise<WorkflowState> {
  const state = new Set<string>();
  const read = async (id: string): Promise<TreeEntry[]> => {
    const bytes = await treeAt(id);
    const entries = bytes && entriesOf(bytes, id.length / 2);
    if (!entries) throw new UnreadableError(`the tree ${id.slice(0, 10)}`);
    return entries;
  };
  const note = (path: string, { mode, id }: TreeEntry) => {
    state.add(`${path}\0${mode} ${id}`);
    if (state.size > MAX_ENTRIES) throw new UnreadableError(`more than ${MAX_ENTRIES} files that are named`);
  };
  const walk = async (id: string, parts: readonly string[], above: string): Promise<void> => {
    const [part, ...rest] = parts;
    if (part === undefined) return;
    for (const entry of await read(id)) {
      if (part !== '**' && !fitsPart(entry.name, part)) continue;
      const path = `${above}${entry.name}`;
      // A link or a file where a folder is named leads elsewhere.
      if (rest.length === 0 || rest[0] === '**' || entry.mode !== FOLDER) note(path, entry);
      else await walk(entry.id, rest, `${path}/`);
    }
  };
  for (const entry of await read(root)) if (isWorkflowName(entry.name)) note(entry.name, entry);
  for (const path of paths) await walk(root, path.split('/'), '');
  return [...state].sort();
}

function isSame(a: WorkflowState, b: WorkflowState): boolean {
  return a.length === b.length && a.every((line, index) => line === b[index]);
}

/** Paths that differ, each once. */
function changedPaths(before: WorkflowState, after: WorkflowState): string[] {
  const known = new Set(before);
  const now = new Set(after);
  const lines = [...after.filter((line) => !known.has(line)), ...before.filter((line) => !now.has(line))];
  return [...new Set(lines.map((line) => line.slice(0, line.indexOf('\0'))))].sort();
}

function byPath(state: WorkflowState): Map<string, Pick<TreeEntry, 'mode' | 'id'>> {
  return new Map(
    state.map((line) => {
      const [path = '', rest = ''] = line.split('\0');
      const [mode = '', id = ''] = rest.split(' ');
      return [path, { mode, id }];
    }),
  );
}

function fingerprintOf(state: WorkflowState): Promise<string> {
  return sha256(state.join('\n'));
}
