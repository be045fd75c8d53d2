/** What `npm start` says on a machine where something is in the way. */
import { execFile } from 'node:child_process';
import { mkdirSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { plainEnvironment } from '../../dev/processes.ts';
import { PROJECT } from '../../dev/settings.ts';
import { type Run, same } from './run.ts';

/** @param folder a place for files of its own */
export async function startProblems(run: Run, folder: string): Promise<void> {
  await run.promise('A taken port is named in one line', async () => {
    const taken = createServer();
    const port = await new Promise<number>((resolve) => {
      taken.listen(0, '127.0.0.1', () => {
        const address = taken.address();
        resolve(typeof address === 'object' && address !== null ? address.port : 0);
      });
    });
    const outcome = await start({ ...plainEnvironment(), CYRUS_PORT: String(port) });
    taken.close();
    same('npm start', outcome, {
      code: 1,
      lines: [`cyrus: Port ${port} for Cyrus is taken: stop what uses it, or choose another by CYRUS_PORT=…`],
    });
  });

  await run.promise('A missing git is named in one line', async () => {
    const directory = join(folder, 'no-git');
    mkdirSync(directory);
    for (const [name, target] of [
      ['node', process.execPath],
      ['sh', '/bin/sh'],
    ] as const)
      symlinkSync(target, join(directory, name));
    const outcome = await start({ ...plainEnvironment(), PATH: directory });
    same('npm start', outcome, {
      code: 1,
      lines: ['cyrus: git is missing (ENOENT): install it, e.g. `apt-get install git`.'],
    });
  });
}

/** What the npm script `start` runs, with all it prints on both outputs. */
function start(environment: Record<string, string>): Promise<{ code: number; lines: string[] }> {
  const command = 'node dev/preflight.cjs start && node dev/start.ts';
  return new Promise((resolve) => {
    const options = { cwd: PROJECT, env: environment, timeout: 20_000 };
    execFile('/bin/sh', ['-c', command], options, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
      resolve({ code, lines: `${stdout}${stderr}`.trim().split('\n') });
    });
  });
}
