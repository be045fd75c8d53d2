/**
 * `npm run deploy`: builds the page, deploys the Worker, then brings the database up to date. Safe to repeat. The Worker
 * goes first because its first deploy creates the database; until the migrations have run it answers 503 and says why.
 * Arguments are handed on to `wrangler deploy`, e.g. `npm run deploy -- --secrets-file production.secrets`.
 */
import { spawnSync } from 'node:child_process';
import { binary } from './processes.ts';
import { PROJECT } from './settings.ts';

const steps: [what: string, command: string, args: string[]][] = [
  ['Building the page', 'vite', ['build', '--config', 'src/web/vite.config.ts', '--logLevel', 'warn']],
  ['Deploying the Worker and the container image', 'wrangler', ['deploy', ...process.argv.slice(2)]],
  ['Bringing the database up to date', 'wrangler', ['d1', 'migrations', 'apply', 'DB', '--remote']],
];

for (const [what, command, args] of steps) {
  console.log(`\n${what}`);
  const { status, error } = spawnSync(binary(command), args, { cwd: PROJECT, stdio: 'inherit' });
  if (status !== 0) {
    console.error(
      `cyrus: ${what} failed${error ? ` (${error.message})` : ''}. Nothing after it was done; mend it and run npm run deploy again.`,
    );
    process.exit(1);
  }
}
