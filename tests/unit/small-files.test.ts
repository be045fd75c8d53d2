/** What a session has written is read by the sandbox server, whose memory is everybody's. */
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { FileTooLargeError, onlyBelow, readText, readUpTo } from '../../container/files/inside.ts';

it('a file that is larger than it may be is not read into memory', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'cyrus-small-'));
  // A server that another test has started keeps to its own folder.
  onlyBelow(null);
  try {
    const file = join(folder, 'exclude');
    await writeFile(file, '*.log\n');
    expect((await readUpTo(file, 6))?.toString()).toBe('*.log\n');
    expect(await readUpTo(file, 5)).toBeNull();
    await writeFile(file, '');
    expect((await readUpTo(file, 5))?.toString()).toBe('');
    // Larger than any text that node takes.
    await truncate(file, 1024 ** 4);
    expect(await readUpTo(file, 256 * 1024)).toBeNull();
    await expect(readText(file, 256 * 1024)).rejects.toThrow(FileTooLargeError);
    await expect(readUpTo(join(folder, 'missing'), 5)).rejects.toThrow('ENOENT');
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
