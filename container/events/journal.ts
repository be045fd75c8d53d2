/**
 * The numbered events of one stream, on disk until the issue session has stored them.
 *
 * Events are JSON lines in segment files named by their first number. They are written before they are posted, and
 * read back from the file for posting: memory holds only what waits for the running write, however long the gateway is
 * away. A segment is deleted once all of it is acknowledged; the newest always stays, because it carries the numbering
 * over a restart. There is no fsync: a killed process loses nothing, and what a lost machine takes, it takes with the
 * whole worktree.
 */
import { type FileHandle, mkdir, open, readdir, readFile, truncate, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { parseJson } from '../../src/lib/parse-json.ts';
import type { SandboxEventBody } from '../../src/protocol/sandbox/events.ts';
import { log } from '../log.ts';

const SEGMENT_BYTES = 4 * 1024 * 1024;
const READ_BYTES = 256 * 1024;
const CONGESTED_BYTES = 8 * 1024 * 1024;
const NEWLINE = 0x0a;
const COMMA = 0x2c;
const numberSchema = z.object({ seq: z.number().int().positive() });

/** Consecutive events, as the elements of a JSON array without its brackets. */
export interface EventSlice {
  first: number;
  count: number;
  json: Buffer;
}

interface Segment {
  /** Number of its first event, also while it is still empty. */
  first: number;
  path: string;
  bytes: number;
}

interface Cursor {
  seq: number;
  segment: Segment;
  offset: number;
}

export class EventJournal {
  readonly #dir: string;
  readonly #segments: Segment[];
  #writer: FileHandle;
  #pending: string[] = [];
  #pendingBytes = 0;
  #lastSeq: number;
  #writtenSeq: number;
  #running: Promise<void> | null = null;
  #reader: { path: string; file: FileHandle } | null = null;
  #cursor: Cursor | null = null;
  #closed = false;
  /** Called after each write; `written` has moved. */
  onWritten: () => void = () => {};

  private constructor(dir: string, segments: Segment[], writer: FileHandle, lastSeq: number) {
    this.#dir = dir;
    this.#segments = segments;
    this.#writer = writer;
    this.#lastSeq = lastSeq;
    this.#writtenSeq = lastSeq;
  }

  /**
   * Opens a stream's directory, creating it where it is new. A line cut off by a crash is removed: it was never posted.
   * @param dir one directory for each stream
   */
  static async open(dir: string): Promise<EventJournal> {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    const firsts = (await readdir(dir))
      .map((name) => /^(\d+)\.jsonl$/.exec(name)?.[1])
      .filter((digits) => digits !== undefined)
      .map(Number)
      .sort((a, b) => a - b);
    if (firsts.length === 0) firsts.push(1);
    const segments = firsts.map((first) => ({ first, path: segmentPath(dir, first), bytes: 0 }));
    const newest = segments[segments.length - 1];
    if (!newest) throw new Error('a journal has at least one segment');
    const writer = await open(newest.path, 'a', 0o600);
    for (const segment of segments) segment.bytes = (await fileBytes(segment.path)) ?? 0;
    const { lastSeq, bytes } = await repair(newest);
    newest.bytes = bytes;
    return new EventJournal(dir, segments, writer, lastSeq);
  }

  /** Last number given to an event. */
  get lastSeq(): number {
    return this.#lastSeq;
  }

  /** Last number that is in the file, and may be posted. */
  get written(): number {
    return this.#writtenSeq;
  }

  /** First number still on disk. */
  get firstKept(): number {
    return this.#segments[0]?.first ?? 1;
  }

  /** True while the disk does not keep up: producers should pause until `flushed()`. */
  get congested(): boolean {
    return this.#pendingBytes > CONGESTED_BYTES;
  }

  /**
   * Numbers an event and sends it on its way to the disk.
   * @param at milliseconds since the epoch
   * @returns its number
   */
  append(body: SandboxEventBody, at = Date.now()): number {
    this.#lastSeq += 1;
    const text = `${JSON.stringify({ seq: this.#lastSeq, at, ...body })}\n`;
    this.#pending.push(text);
    this.#pendingBytes += text.length;
    if (!this.#running && !this.#closed) this.#running = this.#write();
    return this.#lastSeq;
  }

  /** Resolves when everything appended so far is in the file. */
  async flushed(): Promise<void> {
    await this.#running;
  }

  /**
   * Reads what may be posted next.
   * @param from first number wanted
   * @param maxEvents most events of the slice
   * @param maxBytes most bytes of the slice; a single larger event comes alone
   * @returns null when nothing from `from` on has been written
   */
  async read(from: number, maxEvents: number, maxBytes: number): Promise<EventSlice | null> {
    if (from > this.#writtenSeq) return null;
    const written = this.#writtenSeq;
    const start = await this.#seek(from);
    const segment = start.segment;
    const next = this.#segments[this.#segments.indexOf(segment) + 1];
    const lastHere = next ? Math.min(written, next.first - 1) : written;
    const wanted = Math.min(maxEvents, lastHere - from + 1);
    const file = await this.#open(segment.path);
    let data = Buffer.alloc(0);
    let count = 0;
    let end = 0;
    let scanned = 0;
    while (count < wanted) {
      const room = Buffer.allocUnsafe(Math.max(READ_BYTES, data.length));
      const { bytesRead } = await file.read(room, 0, room.length, start.offset + data.length);
      if (bytesRead === 0) throw new Error(`event ${from + count} is missing in ${segment.path}`);
      data = data.length === 0 ? room.subarray(0, bytesRead) : Buffer.concat([data, room.subarray(0, bytesRead)]);
      let full = false;
      for (let at = data.indexOf(NEWLINE, scanned); at >= 0 && count < wanted; at = data.indexOf(NEWLINE, scanned)) {
        if (count > 0 && at > maxBytes) {
          full = true;
          break;
        }
        data[at] = COMMA;
        end = at;
        scanned = at + 1;
        count += 1;
      }
      if (full) break;
      if (count < wanted) scanned = data.length;
    }
    this.#cursor = { seq: from + count, segment, offset: start.offset + end + 1 };
    return { first: from, count, json: data.subarray(0, end) };
  }

  /**
   * Everything up to a number is stored elsewhere; segments that hold nothing newer are deleted.
   * @param seq last stored number
   */
  async acknowledge(seq: number): Promise<void> {
    for (;;) {
      const [oldest, second] = this.#segments;
      if (!oldest || !second || second.first > seq + 1) return;
      this.#segments.shift();
      if (this.#cursor?.segment === oldest) this.#cursor = null;
      if (this.#reader?.path === oldest.path) await this.#closeReader();
      await unlink(oldest.path).catch((error: unknown) => log('events.segment_removal.failed', { error }));
    }
  }

  /** Writes what is left and closes the files. Nothing may be appended afterwards. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#running;
    await this.#closeReader();
    await this.#writer.close();
  }

  /** One write at a time; what is appended meanwhile joins the next. */
  async #write(): Promise<void> {
    let delayMs = 100;
    while (this.#pending.length > 0) {
      const upTo = this.#lastSeq;
      const data = Buffer.from(this.#pending.join(''));
      this.#pending = [];
      this.#pendingBytes = data.length;
      const first = this.#writtenSeq + 1;
      for (;;) {
        try {
          await this.#writeOut(data, first);
          break;
        } catch (error) {
          log('events.disk_write.failed', { error, dir: this.#dir });
          if (this.#closed) break;
          await new Promise((done) => setTimeout(done, delayMs));
          delayMs = Math.min(delayMs * 2, 5_000);
        }
      }
      delayMs = 100;
      this.#pendingBytes = this.#pending.reduce((sum, text) => sum + text.length, 0);
      this.#writtenSeq = upTo;
      this.onWritten();
    }
    this.#running = null;
  }

  async #writeOut(data: Buffer, first: number): Promise<void> {
    let segment = this.#newest();
    if (segment.bytes >= SEGMENT_BYTES) {
      const path = segmentPath(this.#dir, first);
      const writer = await open(path, 'a', 0o600);
      await this.#writer.close();
      this.#writer = writer;
      segment = { first, path, bytes: 0 };
      this.#segments.push(segment);
    }
    try {
      for (let done = 0; done < data.length; ) {
        const { bytesWritten } = await this.#writer.write(data, done);
        done += bytesWritten;
      }
    } catch (error) {
      // A disk that filled up took part of it: back to the last whole line, so that the next try does not double it.
      await truncate(segment.path, segment.bytes).catch(() => {});
      throw error;
    }
    segment.bytes += data.length;
  }

  #newest(): Segment {
    const newest = this.#segments[this.#segments.length - 1];
    if (!newest) throw new Error('a journal has at least one segment');
    return newest;
  }

  /** Where an event lies: usually right behind the last one read, else found by walking its segment. */
  async #seek(seq: number): Promise<Cursor> {
    const holder = this.#segments.findLast((segment) => segment.first <= seq);
    if (!holder) throw new Error(`event ${seq} is no longer kept`);
    if (this.#cursor?.seq === seq && this.#cursor.segment === holder) return this.#cursor;
    const file = await this.#open(holder.path);
    const chunk = Buffer.allocUnsafe(READ_BYTES);
    let at = holder.first;
    let position = 0;
    while (at < seq) {
      const { bytesRead } = await file.read(chunk, 0, chunk.length, position);
      if (bytesRead === 0) throw new Error(`event ${seq} is missing in ${holder.path}`);
      const filled = chunk.subarray(0, bytesRead);
      let used = bytesRead;
      for (let end = filled.indexOf(NEWLINE); end >= 0; end = filled.indexOf(NEWLINE, end + 1)) {
        at += 1;
        if (at === seq) {
          used = end + 1;
          break;
        }
      }
      position += used;
    }
    return { seq, segment: holder, offset: position };
  }

  async #open(path: string): Promise<FileHandle> {
    if (this.#reader?.path === path) return this.#reader.file;
    await this.#closeReader();
    const file = await open(path, 'r');
    this.#reader = { path, file };
    return file;
  }

  async #closeReader(): Promise<void> {
    const reader = this.#reader;
    this.#reader = null;
    await reader?.file.close();
  }
}

function segmentPath(dir: string, first: number): string {
  return join(dir, `${String(first).padStart(12, '0')}.jsonl`);
}

async function fileBytes(path: string): Promise<number | null> {
  const file = await open(path, 'r').catch(() => null);
  if (!file) return null;
  try {
    return (await file.stat()).size;
  } finally {
    await file.close();
  }
}

/** Cuts off an incomplete last line. Returns the last number in the segment (one before its first when empty). */
async function repair(segment: Segment): Promise<{ lastSeq: number; bytes: number }> {
  const data = await readFile(segment.path);
  let end = data.length;
  while (end > 0) {
    const lineEnd = data.lastIndexOf(NEWLINE, end - 1);
    if (lineEnd !== end - 1) {
      end = lineEnd + 1;
      continue;
    }
    const lineStart = end >= 2 ? data.lastIndexOf(NEWLINE, end - 2) + 1 : 0;
    const parsed = readNumber(data.subarray(lineStart, end - 1));
    if (parsed !== null) {
      if (end < data.length) await truncate(segment.path, end);
      return { lastSeq: parsed, bytes: end };
    }
    end = lineStart;
  }
  if (data.length > 0) await truncate(segment.path, 0);
  return { lastSeq: segment.first - 1, bytes: 0 };
}

function readNumber(line: Buffer): number | null {
  const parsed = numberSchema.safeParse(parseJson(line.toString('utf8')));
  return parsed.success ? parsed.data.seq : null;
}
