/**
 * Looks through the objects of a pack for secrets before the git host has it: commits, files, names of files, tags. Objects are
 * unpacked, and deltas resolved where their base is in the pack; of others what they add is looked through.
 */
import type { BodyReader } from '../../lib/body-reader.ts';
import { PIECE_BYTES } from '../../lib/body-reader.ts';
import type { SecretSearch, Wanted } from '../secrets/secret-search.ts';
import { additionsOf, applyDelta } from './delta.ts';
import { InflateError, inflate, NeedsMoreBytes } from './inflate.ts';
import { readObjectHead } from './pack-commits.ts';
import { joined } from './push.ts';

/** Most that is held of a pack, in bytes; what comes after continues unread. */
const MAX_PACKED = 8 * 1024 ** 2;
/** Most that is unpacked of it, in bytes, and most of that which is kept to resolve deltas. */
const MAX_UNPACKED = 64 * 1024 ** 2;
const MAX_KEPT = 24 * 1024 ** 2;
const MAX_OBJECT = 16 * 1024 ** 2;

/** What came of a search. */
export interface PackSearch {
  /** The first secret that was met. */
  found: Wanted | null;
  /** All of the pack was read. */
  isWhole: boolean;
  /** Every byte read so far. */
  read: Uint8Array;
}

/**
 * @param read bytes that were read already; the pack begins at `at`
 * @param reader gives the rest; what is not needed is left in it
 * @param idLength hex digits of an id: 40, or 64 in a repository with SHA-256
 * @throws the reader's errors
 */
export async function searchPack(
  read: Uint8Array,
  at: number,
  reader: BodyReader,
  idLength: number,
  search: SecretSearch,
): Promise<PackSearch> {
  const pieces = [read];
  let held = read.byteLength - at;
  let isAll = false;
  while (held <= MAX_PACKED) {
    const piece = await reader.read(PIECE_BYTES);
    if (!piece) {
      isAll = true;
      break;
    }
    pieces.push(piece);
    held += piece.byteLength;
  }
  const bytes = pieces.length > 1 ? joined(pieces) : read;
  const { found, isWhole } = lookThrough(bytes.subarray(at), idLength, search);
  return { found, isWhole: isAll && isWhole, read: bytes };
}

function lookThrough(pack: Uint8Array, idLength: number, search: SecretSearch): Omit<PackSearch, 'read'> {
  if (pack.byteLength < 12 || new TextDecoder('latin1').decode(pack.subarray(0, 4)) !== 'PACK') {
    return { found: search.first(pack), isWhole: pack.byteLength === 0 };
  }
  const count = new DataView(pack.buffer, pack.byteOffset).getUint32(8);
  const known = new Map<number, Uint8Array>();
  let position = 12;
  let unpacked = 0;
  let kept = 0;
  let isWhole = true;
  try {
    for (let left = count; left > 0; left--) {
      const { size, at: data, base: buildsOn } = readObjectHead(pack, position, position, idLength);
      unpacked += size;
      if (size > MAX_OBJECT || unpacked > MAX_UNPACKED) return { found: null, isWhole: false };
      const { content, end } = inflate(pack, data, size);
      const isDelta = buildsOn !== null;
      const base = typeof buildsOn === 'number' ? known.get(buildsOn) : undefined;
      const made = !isDelta ? content : base && applyDelta(base, content, MAX_OBJECT);
      if (made !== undefined && isDelta) unpacked += made.byteLength;
      if (made === undefined) isWhole = false;
      const found = search.first(made ?? additionsOf(content));
      if (found !== null) return { found, isWhole };
      if (made !== undefined && kept + made.byteLength <= MAX_KEPT) {
        known.set(position, made);
        kept += made.byteLength;
      }
      position = end;
    }
    return { found: null, isWhole };
  } catch (error) {
    // The host will say what is wrong with it.
    if (error instanceof NeedsMoreBytes || error instanceof InflateError) return { found: null, isWhole: false };
    throw error;
  }
}
