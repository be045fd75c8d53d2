/** Archives as `tar` has them (POSIX ustar): written and read piece by piece, whatever their size. */

const BLOCK = 512;
const MOST_NAME = 100;
const MOST_PREFIX = 155;

/** An entry that is about to be written, or was met. */
export interface TarEntry {
  name: string;
  size: number;
}

/** A file is no archive, or is cut off. The message is a sentence for people. */
export class TarProblem extends Error {
  override readonly name = 'TarProblem';
}

/** The header of an entry. @throws TarProblem for a name that does not fit */
export function tarHeader({ name, size }: TarEntry): Buffer {
  const { prefix, rest } = split(name);
  const header = Buffer.alloc(BLOCK);
  const field = (text: string, at: number) => header.write(text, at, 'utf8');
  field(rest, 0);
  field('0000644\0', 100);
  field('0000000\0', 108);
  field('0000000\0', 116);
  field(`${size.toString(8).padStart(11, '0')}\0`, 124);
  field('00000000000\0', 136);
  field('        ', 148);
  field('0', 156);
  field('ustar\u000000', 257);
  field(prefix, 345);
  const sum = header.reduce((total, byte) => total + byte, 0);
  field(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}

/** What fills the last block of an entry. */
export function tarPadding(size: number): Buffer {
  return Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);
}

/** What an archive ends with. */
export const TAR_END = Buffer.alloc(2 * BLOCK);

function split(name: string): { prefix: string; rest: string } {
  if (Buffer.byteLength(name) <= MOST_NAME) return { prefix: '', rest: name };
  for (let at = name.indexOf('/'); at !== -1; at = name.indexOf('/', at + 1)) {
    const [prefix, rest] = [name.slice(0, at), name.slice(at + 1)];
    if (Buffer.byteLength(prefix) <= MOST_PREFIX && Buffer.byteLength(rest) <= MOST_NAME) return { prefix, rest };
  }
  throw new TarProblem(`The name ${name} is too long for an archive.`);
}

/**
 * The entries of an archive, each with its content.
 * @param read gives so many bytes from a place in the file, fewer at its end
 * @throws TarProblem
 */
export async function* tarEntries(
  read: (at: number, length: number) => Promise<Buffer>,
): AsyncGenerator<TarEntry & { content: () => Promise<Buffer> }, void, undefined> {
  for (let at = 0; ; ) {
    const header = await read(at, BLOCK);
    if (header.length < BLOCK) throw new TarProblem('The archive is cut off.');
    if (header.every((byte) => byte === 0)) return;
    const text = (from: number, length: number) => header.toString('utf8', from, from + length).split('\0')[0] ?? '';
    const size = Number.parseInt(text(124, 12), 8);
    if (text(257, 5) !== 'ustar' || !Number.isSafeInteger(size))
      throw new TarProblem('The file is no archive of Cyrus.');
    const prefix = text(345, MOST_PREFIX);
    const begin = at + BLOCK;
    const content = async () => {
      const bytes = await read(begin, size);
      if (bytes.length < size) throw new TarProblem('The archive is cut off.');
      return bytes;
    };
    yield { name: prefix === '' ? text(0, MOST_NAME) : `${prefix}/${text(0, MOST_NAME)}`, size, content };
    at = begin + Math.ceil(size / BLOCK) * BLOCK;
  }
}
