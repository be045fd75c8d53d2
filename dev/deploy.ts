/**
 * `npm run deploy`: everything that can fail comes before the Worker changes. Builds the page, checks that the migrations of the
 * database are additive, bundles the Worker and builds the container image without uploading either, brings the database up to
 * date where it exists, then deploys. The first deploy creates the database, so its migrations follow it; until they have run
 * the Worker answers 503 and says why. Safe to repeat. Arguments are handed on to `wrangler deploy`, e.g.
 * `npm run deploy -- --secrets-file production.secrets`.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { notAdditive } from './checks/additive-migrations.ts';
import { type DeployHost, databaseName, deploy } from './deploy-steps.ts';
import { binary } from './processes.ts';
import { PROJECT } from './settings.ts';

const host: DeployHost = {
  run(command, args) {
    const { status, error } = spawnSync(binary(command), args, { cwd: PROJECT, stdio: 'inherit' });
    return status === 0 ? null : (error?.message ?? `exit code ${status}`);
  },
  read(command, args) {
    const { status, stdout } = spawnSync(binary(command), args, { cwd: PROJECT, encoding: 'utf8' });
    return status === 0 ? stdout : null;
  },
  tell: (words) => console.log(words),
};
const folder = join(PROJECT, 'migrations');
const problems = readdirSync(folder)
  .filter((name) => name.endsWith('.sql'))
  .flatMap((name) => notAdditive(readFileSync(join(folder, name), 'utf8')).map((why) => `${name}: ${why}`));
const configuration = readFileSync(join(PROJECT, 'wrangler.toml'), 'utf8');
const failed = deploy(host, process.argv.slice(2), databaseName(configuration), problems);
if (failed !== null) {
  console.error(`cyrus: ${failed}`);
  process.exit(1);
}
