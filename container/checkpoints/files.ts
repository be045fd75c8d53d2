/**
 * Claude's files of a conversation: its transcript, those of its subagents, and what the CLI keeps beside them. Transcripts
 * are only appended to, so that of each only what is new has to be shipped. The CLI writes them about a tenth of a second
 * after it has printed the same (measured with CLI 2.1.330), hence the waiting.
 */
import { createHash, type Hash } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { pause, steadyNow } from '../clock.ts';
import { open } from '../files/inside.ts';

/** Longest wait for what was printed to be in the file. */
const WRITE_PATIENCE_MS = 1_500;
/** A file that has not grown for this long is written. */
const QUIET_MS = 150;
const LOOK_EVERY_MS = 20;
/** Beyond it the oldest are left out; a conversation with more is none that we know. */
const MAX_FILES = 50_000;
/** Larger files are left out: they would never be restored in time. */
const MAX_FILE_BYTES = 256 * 1024 * 1024;
/** With more files than this, small ones travel together. */
const FEW_FILES = 40;
const SMALL_BYTES = 64 * 1024;
/** So many files at most have an object of their own. */
const MAX_OWN = 400;
/** Read at once; what is left comes with the next call. */
const MAX_READ_BYTES = 64 * 1024 * 1024;
const NEWLINE = 0x0a;

/** A file as far as it is known. */
interface Known {
  bytes: number;
  hash: Hash;
  size: number;
  modifiedMs: number;
  packed: boolean;
}

/** What has changed of a file: `content` follows the first `from` bytes; with `from` 0 it replaces what was known. */
export interface FileChange {
  /** Below Claude's configuration directory, with slashes. */
  path: string;
  from: number;
  content: Buffer<ArrayBuffer>;
  /** Size and digest of the whole file with it. */
  bytes: number;
  sha256: string;
  /** It is small, one of many, and whole: it may travel with others. */
  packed: boolean;
  /** To be called once the change is stored. */
  keep: () => void;
}

export class ConversationFiles {
  readonly #directory: string;
  readonly conversationId: string;
  readonly #known = new Map<string, Known>();

  /**
   * @param directory Claude's configuration directory
   * @param conversationId its session id
   */
  constructor(directory: string, conversationId: string) {
    this.#directory = directory;
    this.conversationId = conversationId;
  }

  /** Forgets what is known of a file: all of it is new. */
  forget(path: string): void {
    this.#known.delete(path);
  }

  /** Forgets what is known of the small files that travel together. */
  forgetPacked(): void {
    for (const [path, { packed }] of this.#known) if (packed) this.#known.delete(path);
  }

  /**
   * What is new since the changes that were kept.
   * @param results ids of tool calls: the transcript is taken up to the last of their results; null: all that is there
   * @returns `more`: there is more than is read at once
   */
  async changes(results: string[] | null): Promise<{ changes: FileChange[]; more: boolean }> {
    const paths = await this.#list();
    let own = [...this.#known.values()].filter(({ packed }) => !packed).length;
    const changes: FileChange[] = [];
    let bytes = 0;
    for (const path of paths) {
      if (bytes > MAX_READ_BYTES) return { changes, more: true };
      const isMain = path.endsWith(`/${this.conversationId}.jsonl`);
      const mayBePacked = !isMain && paths.length > FEW_FILES;
      const change = await this.#change(path, isMain ? results : [], mayBePacked, isMain || own < MAX_OWN);
      if (!change) continue;
      if (!change.packed && !this.#known.has(path)) own += 1;
      changes.push(change);
      bytes += change.content.length;
    }
    return { changes, more: false };
  }

  async #change(
    path: string,
    results: string[] | null,
    mayBePacked: boolean,
    mayBeOwn: boolean,
  ): Promise<FileChange | null> {
    const file = join(this.#directory, path);
    const isTranscript = path.endsWith('.jsonl');
    const found = await stat(file).catch(() => null);
    if (!found || found.size > MAX_FILE_BYTES) return null;
    const known = this.#known.get(path);
    const isUnchanged = known?.size === found.size && known.modifiedMs === found.mtimeMs;
    // The main transcript may be about to grow.
    if (isUnchanged && (!isTranscript || results?.length === 0)) return null;
    const wasOwn = known !== undefined && !known.packed;
    const packed = !wasOwn && ((mayBePacked && found.size <= SMALL_BYTES) || !mayBeOwn);
    const isAppended = isTranscript && wasOwn && found.size >= known.bytes;
    const from = isAppended ? known.bytes : 0;
    const read = isTranscript ? await readNew(file, from, results) : await readFrom(file, 0);
    if (read.length === 0 && (from > 0 || isTranscript)) return null;
    const hash = (isAppended ? known.hash.copy() : createHash('sha256')).update(read);
    const bytes = from + read.length;
    return {
      path,
      from,
      content: read,
      bytes,
      sha256: hash.copy().digest('hex'),
      packed,
      keep: () => this.#known.set(path, { bytes, hash, size: found.size, modifiedMs: found.mtimeMs, packed }),
    };
  }

  /** Main transcript first. */
  async #list(): Promise<string[]> {
    const projects = join(this.#directory, 'projects');
    const found: string[] = [];
    for (const project of await readdir(projects).catch(() => [])) {
      const transcript = join(projects, project, `${this.conversationId}.jsonl`);
      if (await stat(transcript).catch(() => null)) found.push(transcript);
      const beside = join(projects, project, this.conversationId);
      const entries = await readdir(beside, { recursive: true, withFileTypes: true }).catch(() => []);
      for (const entry of entries) if (entry.isFile()) found.push(join(entry.parentPath, entry.name));
    }
    return found
      .map((path) => relative(this.#directory, path).split(sep).join('/'))
      .filter((path) => path.length <= 500)
      .slice(0, MAX_FILES);
  }
}

/** What follows `from` in a transcript: whole lines, up to the results that are waited for. */
async function readNew(file: string, from: number, results: string[] | null): Promise<Buffer<ArrayBuffer>> {
  const begun = steadyNow();
  let quietSince = begun;
  let size = -1;
  for (;;) {
    const read = await readFrom(file, from);
    const now = steadyNow();
    if (read.length !== size) {
      size = read.length;
      quietSince = now;
    }
    const isLate = now - begun > WRITE_PATIENCE_MS;
    if (results === null) {
      if (isLate || now - quietSince >= QUIET_MS) return wholeLines(read, read.length);
    } else {
      const end = endOfResults(read, results);
      if (end !== null) return wholeLines(read, end);
      if (isLate) return wholeLines(read, read.length);
    }
    await pause(LOOK_EVERY_MS);
  }
}

/** Where the last of the results ends; null while one of them is missing. Without any: the end. */
function endOfResults(read: Buffer, results: string[]): number | null {
  let end = results.length === 0 ? read.length : 0;
  for (const id of results) {
    const at = read.lastIndexOf(`"tool_use_id":"${id}"`);
    if (at < 0) return null;
    const lineEnd = read.indexOf(NEWLINE, at);
    if (lineEnd < 0) return null;
    end = Math.max(end, lineEnd + 1);
  }
  return end;
}

function wholeLines(read: Buffer<ArrayBuffer>, end: number): Buffer<ArrayBuffer> {
  return read.subarray(0, read.lastIndexOf(NEWLINE, Math.max(0, end - 1)) + 1);
}

async function readFrom(file: string, from: number): Promise<Buffer<ArrayBuffer>> {
  const handle = await open(file, 'r');
  try {
    const { size } = await handle.stat();
    const read = Buffer.alloc(Math.max(0, size - from));
    const { bytesRead } = await handle.read(read, 0, read.length, from);
    return read.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}
