/**
 * `npm run deploy`: everything that can fail comes before the Worker changes. Builds the page, checks that the migrations of the
 * database are additive, bundles the Worker and builds the container image without uploading either, prints where the database can be
 * taken back to, brings it up to date where it exists, deploys, waits until the Worker is ready, and deletes old images. The first deploy
 * creates what is missing, so its migrations follow it; until they have run the Worker answers 503 and says why. Safe to repeat.
 * Arguments are handed on to `wrangler deploy`, e.g. `npm run deploy -- --secrets-file production.secrets`; `--name` deploys another one
 * beside it, e.g. for staging.
 */

import { deploy } from './operate/deploy-steps.ts';
import { machineWorld, optionsFor } from './operate/deploy-world.ts';

const HELP = `npm run deploy                   builds, checks, migrates, deploys and waits until the Worker is ready

  --name NAME            of the Worker, if it is not that of wrangler.toml, e.g. for staging

What else is given is handed on to \`wrangler deploy\`, e.g. --secrets-file production.secrets.`;

const args = process.argv.slice(2);
if (args.includes('--help') || args.includes('-h')) console.log(HELP);
else {
  const failed = await deploy(machineWorld(), optionsFor(args));
  if (failed !== null) {
    console.error(`cyrus: ${failed}`);
    process.exit(1);
  }
}
