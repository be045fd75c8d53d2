import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { TAR_END, TarProblem, tarEntries, tarHeader, tarPadding } from '../../dev/operate/tar.ts';

const id = 'a1'.repeat(32);
const FILES: [name: string, content: Buffer][] = [
  ['manifest.json', Buffer.from('{}')],
  [`objects/checkpoints/${id}/12/${'b'.repeat(64)}`, Buffer.alloc(512, 7)],
  [`sessions/${id}/000001.jsonl`, Buffer.from('größe\n'.repeat(300))],
  ['empty', Buffer.alloc(0)],
];

function archiveOf(files: typeof FILES): Buffer {
  const parts = files.flatMap(([name, content]) => [
    tarHeader({ name, size: content.length }),
    content,
    tarPadding(content.length),
  ]);
  return Buffer.concat([...parts, TAR_END]);
}

const reading = (archive: Buffer) => async (at: number, length: number) => archive.subarray(at, at + length);

it('an archive is one that tar itself lists and unpacks', () => {
  const folder = mkdtempSync(join(tmpdir(), 'cyrus-tar-'));
  try {
    const file = join(folder, 'archive.tar');
    writeFileSync(file, archiveOf(FILES));
    const names = execFileSync('tar', ['-tf', file], { encoding: 'utf8' }).trimEnd().split('\n');
    expect(names).toEqual(FILES.map(([name]) => name));
    for (const [name, content] of FILES) expect(execFileSync('tar', ['-xOf', file, name])).toEqual(content);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it('an archive is read back entry by entry, and one that is cut off, or is none, is refused', async () => {
  const archive = archiveOf(FILES);
  const read: [string, Buffer][] = [];
  for await (const { name, content } of tarEntries(reading(archive))) read.push([name, await content()]);
  expect(read).toEqual(FILES);
  const all = async (bytes: Buffer) => {
    for await (const { content } of tarEntries(reading(bytes))) await content();
  };
  for (const length of [100, 700, archive.length - 1_024]) {
    await expect(all(archive.subarray(0, length)), String(length)).rejects.toThrow(TarProblem);
  }
  await expect(all(Buffer.alloc(2_048, 'x'))).rejects.toThrow('no archive');
  expect(() => tarHeader({ name: 'x'.repeat(300), size: 1 })).toThrow('too long');
});
