/**
 * `npm run restore`: stores a backup in an empty deployment that has the same ENCRYPTION_KEY. CYRUS_URL and ADMIN_TOKEN say which deployment, and
 * prove who asks; without them the local run is meant.
 */
import { open } from 'node:fs/promises';
import { openDeployment } from './admin/deployment.ts';
import { UsageProblem } from './admin/usage.ts';
import { parseCommand, runCommand } from './command-line.ts';
import { putArchive } from './operate/archive.ts';
import { tarEntries } from './operate/tar.ts';

const HELP = `npm run restore -- FILE     stores a backup (npm run backup) in an empty deployment with the same ENCRYPTION_KEY

  --url ADDRESS    of the deployment; else CYRUS_URL, else the local run`;

async function main(): Promise<void> {
  const options = { help: { type: 'boolean', short: 'h' }, url: { type: 'string' } } as const;
  const { values, positionals } = parseCommand({
    args: process.argv.slice(2),
    options,
    allowPositionals: true,
    strict: true,
  });
  const [file, ...more] = positionals;
  if (values.help) {
    console.log(HELP);
    return;
  }
  if (file === undefined || more.length > 0) throw new UsageProblem('Say which backup; see --help.');
  const handle = await open(file, 'r').catch(() => {
    throw new UsageProblem(`There is no file ${file}.`);
  });
  try {
    const deployment = await openDeployment(values.url, process.env);
    const read = async (at: number, length: number): Promise<Buffer> => {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, at);
      return buffer.subarray(0, bytesRead);
    };
    const { sessions, lost } = await putArchive(deployment, () => tarEntries(read));
    console.log(`${sessions} sessions are restored.`);
    for (const id of lost) console.log(`Not restored, because nobody knows its name: ${id}`);
  } finally {
    await handle.close();
  }
}

runCommand(main);
