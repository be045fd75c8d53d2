import { deflateSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { refusalToMove } from '../../../src/gateway/git/own-commits.ts';
import { readPackCommits } from '../../../src/gateway/git/pack-commits.ts';
import type { BodyReader } from '../../../src/lib/body-reader.ts';

const COMMIT_BYTES = 900_000;

/** A pack of commits with messages that nothing makes shorter, and a body that gives it a few bytes at a time. */
function packOf(commits: number): Buffer {
  const header = Buffer.alloc(12);
  header.write('PACK');
  header.writeUInt32BE(2, 4);
  header.writeUInt32BE(commits, 8);
  const objects = Array.from({ length: commits }, (_, at) => {
    const text = Buffer.alloc(COMMIT_BYTES, at + 1);
    text.write(`tree ${'1'.repeat(40)}\nparent ${'2'.repeat(40)}\n`);
    // Type 1 (commit), then the size in pieces of seven bits.
    const head: number[] = [(1 << 4) | (COMMIT_BYTES & 15) | 0x80];
    for (let rest = COMMIT_BYTES >> 4; rest > 0; rest >>= 7) head.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    return Buffer.concat([Buffer.from(head), deflateSync(text, { level: 0 })]);
  });
  return Buffer.concat([header, ...objects]);
}

function inPiecesOf(bytes: Buffer, size: number): BodyReader & { reads: number } {
  let at = 0;
  const reader = {
    reads: 0,
    read: async () => {
      reader.reads += 1;
      if (at >= bytes.length) return null;
      const piece = bytes.subarray(at, at + size);
      at += size;
      return new Uint8Array(piece);
    },
    cancel: async () => {},
  };
  return reader;
}

describe('what a push costs the gateway', () => {
  it('is told by its size, not by how few bytes come at a time', async () => {
    const pack = packOf(8);
    const timeOf = async (size: number) => {
      const { user } = process.cpuUsage();
      const { commits } = await readPackCommits(new Uint8Array(0), 0, inPiecesOf(pack, size), 40);
      expect(commits.size).toBe(8);
      return process.cpuUsage().user - user;
    };
    const large = await timeOf(64 * 1024);
    // Copying all for each of these pieces would move 400 GB.
    expect(await timeOf(64)).toBeLessThan(20 * large + 2_000_000);
  });

  it('stays within bounds for a commit with more parents than a call takes arguments', async () => {
    const [before, after] = ['a'.repeat(40), 'b'.repeat(40)];
    const parents = Array.from({ length: 300_000 }, (_, at) => at.toString(16).padStart(40, '0'));
    const own = {
      all: async () => new Map([[before, parents]]),
      add: async () => {},
      confirm: async () => {},
      branch: async () => 'cyrus/eng-1',
    };
    const update = { oldId: before, newId: after, ref: 'refs/heads/cyrus/eng-1' };
    const words = await refusalToMove(update, new Map([[after, parents.slice(1)]]), own, async () => false);
    expect(words).toContain(parents[0]?.slice(0, 7));
  });
});
