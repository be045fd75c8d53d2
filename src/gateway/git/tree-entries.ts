/** The entries of a tree, as git stores it: `<mode> <name>\0<id>`, one after the other (git's Documentation, "tree object"). */
import { toHex } from '../../lib/hex.ts';

export interface TreeEntry {
  mode: string;
  name: string;
  id: string;
}

/** Mode of an entry that is a tree itself. */
export const FOLDER = '40000';

/** An object cannot be read: it is not known what a push would change. */
export class UnreadableError extends Error {
  override readonly name = 'UnreadableError';
}

/** @returns null if it is no tree */
export function entriesOf(bytes: Uint8Array, idBytes: number): TreeEntry[] | null {
  const entries: TreeEntry[] = [];
  const utf8 = new TextDecoder();
  for (let at = 0; at < bytes.byteLength; ) {
    const space = bytes.indexOf(0x20, at);
    const end = space < 0 ? -1 : bytes.indexOf(0, space);
    if (end < 0 || end + 1 + idBytes > bytes.byteLength) return null;
    const id = bytes.subarray(end + 1, end + 1 + idBytes);
    entries.push({
      // Git of long ago wrote a zero before it.
      mode: utf8.decode(bytes.subarray(at, space)).replace(/^0+/, ''),
      name: utf8.decode(bytes.subarray(space + 1, end)),
      id: toHex(id),
    });
    at = end + 1 + idBytes;
  }
  return entries;
}
