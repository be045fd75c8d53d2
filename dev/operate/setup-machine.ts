/** A setup from this machine: its files, its terminal, its programs. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { askHidden } from '../admin/secrets.ts';
import { PROJECT } from '../settings.ts';
import { configurationOf } from './configuration.ts';
import { deploy } from './deploy-steps.ts';
import { machineWorld, optionsFor } from './deploy-world.ts';
import type { SetupWorld } from './setup-steps.ts';

const TOML = join(PROJECT, 'wrangler.toml');
/** Of the deployment that the file's name is of; others have their name in it. */
const OWN_SECRETS = 'production.secrets';

export function machineSetup(): SetupWorld {
  const world = machineWorld();
  const fileOf = (name: string) =>
    name === configurationOf(readFileSync(TOML, 'utf8')).name ? OWN_SECRETS : `${name}.secrets`;
  return {
    ...world,
    toml: { read: () => readFileSync(TOML, 'utf8'), write: (text) => writeFileSync(TOML, text) },
    secrets: {
      file: fileOf,
      read(name) {
        const file = join(PROJECT, fileOf(name));
        if (!existsSync(file)) return {};
        const values = Object.entries(parseEnv(readFileSync(file, 'utf8')));
        return Object.fromEntries(values.flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])));
      },
      write(name, values) {
        const lines = Object.entries(values).map(([key, value]) => `${key}=${value}`);
        writeFileSync(join(PROJECT, fileOf(name)), `${lines.join('\n')}\n`, { mode: 0o600 });
      },
    },
    askSecret: askHidden,
    configurationOf,
    deploy: (name, args) => deploy(world, optionsFor(['--name', name, ...args])),
    address() {
      const [target] = world.targets();
      return target === undefined ? null : target.startsWith('http') ? target : `https://${target}`;
    },
  };
}
