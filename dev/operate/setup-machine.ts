/** A setup from this machine: its files, its terminal, its programs. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { askHidden } from '../admin/secrets.ts';
import { PROJECT } from '../settings.ts';
import { configurationOf, readToml } from './configuration.ts';
import { addressOf, deploy } from './deploy-steps.ts';
import { machineWorld, optionsFor } from './deploy-world.ts';
import { withSecrets } from './secrets-file.ts';
import type { SetupWorld } from './setup-steps.ts';

const TOML = join(PROJECT, 'wrangler.toml');
/** Of the deployment that the file's name is of; others have their name in it. */
const OWN_SECRETS = 'production.secrets';

export function machineSetup(): SetupWorld {
  const world = machineWorld();
  const fileOf = (name: string) => (name === configurationOf(readToml()).name ? OWN_SECRETS : `${name}.secrets`);
  return {
    ...world,
    toml: { read: readToml, write: (text) => writeFileSync(TOML, text) },
    secrets: {
      file: fileOf,
      read(name) {
        const file = join(PROJECT, fileOf(name));
        if (!existsSync(file)) return {};
        const values = Object.entries(parseEnv(readFileSync(file, 'utf8')));
        return Object.fromEntries(values.flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])));
      },
      add(name, fresh) {
        const file = join(PROJECT, fileOf(name));
        const before = existsSync(file) ? readFileSync(file, 'utf8') : '';
        writeFileSync(file, withSecrets(before, fresh), { mode: 0o600 });
      },
    },
    askSecret: askHidden,
    configurationOf,
    deploy: (name, args) => deploy(world, optionsFor(['--name', name, ...args])),
    address: () => addressOf(world.targets()),
  };
}
