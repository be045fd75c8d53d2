/**
 * Git's filter of Git LFS for the sandbox server's own commands (https://git-scm.com/docs/gitattributes, "Long Running Filter
 * Process"): content becomes a pointer, and a pointer whose object is on the disk becomes content. It reads no configuration and asks no host. A
 * pointer whose object is not here stays a pointer. Called as `filter.ts OWN SHARED`, the two folders of objects.
 */
import { createHash, randomUUID } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { findObject, type LfsStores, MAX_POINTER_BYTES, objectFile, pointerText, readPointer } from './store.ts';

const INPUT = 0;
const OUTPUT = 1;
/** Most content that one packet of git holds. */
const MAX_CONTENT = 65_516;
const COMMON = [process.execPath, join(import.meta.dirname, 'filter.ts')];

/** The command that git runs, for `filter.lfs.process`. */
export function filterCommand({ own, shared }: LfsStores): string {
  return [...COMMON, own, shared].map((part) => `'${part.replaceAll("'", "'\\''")}'`).join(' ');
}

/** Reads exactly so many bytes; null if the input ends before the first. */
function readBytes(length: number): Buffer | null {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; ) {
    const count = readSync(INPUT, bytes, at, length - at, null);
    if (count === 0) {
      if (at === 0) return null;
      throw new Error('gthe transfer was cut off within a packet');
    }
    at += count;
  }
  return bytes;
}

/** A packet's content; `flush` for the packet that ends a list, null if git is gone. */
function readPacket(): Buffer | 'flush' | null {
  const head = readBytes(4);
  if (head === null) return null;
  const length = Number.parseInt(head.toString('latin1'), 16);
  if (length === 0) return 'flush';
  return readBytes(length - 4) ?? Buffer.alloc(0);
}

function readList(): string[] | null {
  const lines: string[] = [];
  for (let packet = readPacket(); packet !== 'flush'; packet = readPacket()) {
    if (packet === null) return null;
    lines.push(packet.toString('utf8').replace(/\n$/, ''));
  }
  return lines;
}

function write(bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(OUTPUT, bytes, at);
}

function writePacket(content: Buffer): void {
  write(Buffer.from((content.length + 4).toString(16).padStart(4, '0')));
  write(content);
}

function writeList(lines: string[]): void {
  for (const line of lines) writePacket(Buffer.from(`${line}\n`));
  write(Buffer.from('0000'));
}

/** Answers with a file's content, or with what is in memory. */
function answer(content: Buffer | string): void {
  writeList(['status=success']);
  if (typeof content === 'string') {
    const file = openSync(content, 'r');
    const buffer = Buffer.alloc(MAX_CONTENT);
    try {
      for (let count = readSync(file, buffer); count > 0; count = readSync(file, buffer)) {
        writePacket(buffer.subarray(0, count));
      }
    } finally {
      closeSync(file);
    }
  } else if (content.length > 0) writePacket(content);
  write(Buffer.from('0000'));
  // Nothing went wrong on the way.
  writeList([]);
}

/** What git sends of one file: in memory while it is as short as a pointer, else in a file beside the objects. */
function receive(store: string): { head: Buffer; spool: string | null; oid: string; size: number } {
  const hash = createHash('sha256');
  let head = Buffer.alloc(0);
  let size = 0;
  let spool: { path: string; file: number } | null = null;
  for (let packet = readPacket(); packet !== 'flush'; packet = readPacket()) {
    if (packet === null) throw new Error('gthe transfer was cut off within a file');
    hash.update(packet);
    size += packet.length;
    if (spool === null && size < MAX_POINTER_BYTES) {
      head = Buffer.concat([head, packet]);
      continue;
    }
    if (spool === null) {
      const folder = join(store, 'tmp');
      mkdirSync(folder, { recursive: true });
      const path = join(folder, randomUUID());
      spool = { path, file: openSync(path, 'w', 0o600) };
      writeAll(spool.file, head);
    }
    writeAll(spool.file, packet);
  }
  if (spool) closeSync(spool.file);
  return { head, spool: spool?.path ?? null, oid: hash.digest('hex'), size };
}

function writeAll(file: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
}

/** Content becomes an object and its pointer. What is a pointer, or empty, stays as it is. */
function clean(stores: LfsStores): void {
  const { head, spool, oid, size } = receive(stores.own);
  if (spool === null && (size === 0 || readPointer(head) !== null)) {
    answer(head);
    return;
  }
  const target = objectFile(stores.own, oid);
  const isThere = findObject(stores, oid) !== null;
  if (!isThere) {
    mkdirSync(dirname(target), { recursive: true });
    if (spool !== null) renameSync(spool, target);
    else {
      const part = `${target}.${randomUUID()}`;
      const file = openSync(part, 'w', 0o600);
      writeAll(file, head);
      closeSync(file);
      renameSync(part, target);
    }
  } else if (spool !== null) rmSync(spool, { force: true });
  answer(Buffer.from(pointerText({ oid, size })));
}

function smudge(stores: LfsStores): void {
  const { head, spool } = receive(stores.own);
  const pointer = spool === null ? readPointer(head) : null;
  const object = pointer && findObject(stores, pointer.oid);
  answer(object ?? spool ?? head);
  if (spool !== null && existsSync(spool)) rmSync(spool, { force: true });
}

function main(stores: LfsStores): void {
  readList();
  writeList(['git-filter-server', 'version=2']);
  readList();
  writeList(['capability=clean', 'capability=smudge']);
  for (let head = readList(); head !== null; head = readList()) {
    if (head.includes('command=clean')) clean(stores);
    else if (head.includes('command=smudge')) smudge(stores);
    else {
      receive(stores.own);
      writeList(['status=error']);
    }
  }
}

const [, script, own, shared] = process.argv;
if (script?.endsWith('filter.ts') && own !== undefined && shared !== undefined) main({ own, shared });
