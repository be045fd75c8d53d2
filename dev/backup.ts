/**
 * `npm run backup`: copies a deployment, or one workspace of it, into an archive. CYRUS_URL and ADMIN_TOKEN say which deployment, and prove who
 * asks; without them the local run is meant.
 */
import { open, rename } from 'node:fs/promises';
import { openDeployment } from './admin/deployment.ts';
import { UsageProblem } from './admin/usage.ts';
import { parseCommand, runCommand } from './command-line.ts';
import { takeArchive } from './operate/archive.ts';
import { TAR_END, tarHeader, tarPadding } from './operate/tar.ts';

const HELP = `npm run backup -- FILE                  everything: D1, the bucket, the objects of sessions. What is encrypted
                                        stays so: keep ENCRYPTION_KEY with it
npm run backup -- FILE --workspace ID   one workspace, without what is encrypted: for the people it is about

  --url ADDRESS    of the deployment; else CYRUS_URL, else the local run
npm run restore -- FILE stores a backup in an empty deployment.`;

async function main(): Promise<void> {
  const text = { type: 'string' } as const;
  const { values, positionals } = parseCommand({
    args: process.argv.slice(2),
    options: { help: { type: 'boolean', short: 'h' }, url: text, workspace: text },
    allowPositionals: true,
    strict: true,
  });
  const [file, ...more] = positionals;
  if (values.help) {
    console.log(HELP);
    return;
  }
  if (file === undefined || more.length > 0) throw new UsageProblem('Say which file to write; see --help.');
  const deployment = await openDeployment(values.url, process.env);
  // A backup that broke off does not take the place of the one before.
  const handle = await open(`${file}.part`, 'w', 0o600);
  try {
    const about = { workspace: values.workspace ?? null, now: Date.now() };
    const manifest = await takeArchive(deployment, about, async (name, content) => {
      await handle.write(tarHeader({ name, size: content.byteLength }));
      await handle.write(content);
      await handle.write(tarPadding(content.byteLength));
    });
    await handle.write(TAR_END);
    await handle.sync();
    const { sessions, entries } = manifest;
    const unnamed = Object.values(sessions).filter((name) => name === null).length;
    console.log(`${file}: ${Object.keys(sessions).length} sessions, ${entries} entries.`);
    if (unnamed > 0) console.log(`${unnamed} of the sessions can be read, and not restored: nobody knows their name.`);
  } finally {
    await handle.close();
  }
  await rename(`${file}.part`, file);
}

runCommand(main);
