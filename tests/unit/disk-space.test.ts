/** A sandbox server's disk that is full is called that, whatever fails because of it. */
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { diskOf, isDiskFull, refuseFullDisk } from '../../container/files/disk-space.ts';

const caught = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => null,
    (error: unknown) => error,
  );

describe('the disk of a sandbox server', () => {
  it('says how much of it is free; a folder that is not there says nothing', async () => {
    const space = await diskOf(tmpdir());
    expect(space?.freeMiB).toBeGreaterThan(0);
    expect(space?.totalMiB).toBeGreaterThanOrEqual(space?.freeMiB ?? 0);
    expect(await diskOf(join(tmpdir(), 'no', 'such', 'folder'))).toBeNull();
  });

  it('begins no session without the space for one, and names both figures', async () => {
    await refuseFullDisk(tmpdir(), 1);
    expect(await caught(refuseFullDisk(tmpdir(), Number.MAX_SAFE_INTEGER))).toMatchObject({
      status: 507,
      word: 'disk-full',
      message: expect.stringMatching(/^\d+ of \d+ MiB are free, and a session needs \d+\.$/),
    });
  });

  it.runIf(process.platform === 'linux')(
    'is recognized in the errors of files and in the output of programs',
    async () => {
      expect(isDiskFull(await caught(writeFile('/dev/full', 'x'.repeat(100_000))))).toBe(true);
      const program = promisify(execFile)('sh', ['-c', 'cat /proc/version > /dev/full']);
      expect(isDiskFull(await caught(program))).toBe(true);
      expect(isDiskFull(new Error('git failed', { cause: await caught(writeFile('/dev/full', 'x')) }))).toBe(true);
      expect(isDiskFull(await caught(writeFile('/no/such/folder', 'x')))).toBe(false);
    },
  );
});
