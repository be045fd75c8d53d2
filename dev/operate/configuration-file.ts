/** The configuration that a deploy is made of: wrangler.toml, with the names of what it is stored in written out. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT } from '../settings.ts';
import { type Configuration, configurationOf } from './configuration.ts';

const OWN = join(PROJECT, 'wrangler.toml');

/**
 * Writes `wrangler.deploy.toml`. Wrangler finds a database or bucket that is there already only by its name in the file; without one it
 * makes another. With another name for the Worker everything is another deployment's.
 * @param name of the Worker; undefined: as wrangler.toml has it
 * @returns the file, and what it says
 */
export function writeDeployFile(name: string | undefined): { file: string; configuration: Configuration } {
  const { text, configuration } = deployConfiguration(readFileSync(OWN, 'utf8'), name);
  const file = join(PROJECT, 'wrangler.deploy.toml');
  if (!existsSync(file) || readFileSync(file, 'utf8') !== text) writeFileSync(file, text);
  return { file, configuration };
}

/** @param toml text of wrangler.toml */
export function deployConfiguration(
  toml: string,
  name: string | undefined,
): { text: string; configuration: Configuration } {
  const own = configurationOf(toml);
  const isOther = name !== undefined && name !== own.name;
  // Another deployment shares neither database nor bucket with the one of the file.
  const bare = isOther ? toml.replace(/^\s*(database_name|database_id|bucket_name)\s*=.*\n/gm, '') : toml;
  const configuration = configurationOf(bare, name);
  const named = bare
    .replace(/^name\s*=\s*".*"/m, `name = "${configuration.name}"`)
    .replace(/^(\[\[d1_databases\]\])$/m, withName('database_name', configuration.database, bare))
    .replace(/^(\[\[r2_buckets\]\])$/m, withName('bucket_name', configuration.bucket, bare));
  return { text: `# Written by npm run deploy from wrangler.toml.\n${named}`, configuration };
}

function withName(key: string, value: string, toml: string): string {
  return new RegExp(`^\\s*${key}\\s*=`, 'm').test(toml) ? '$1' : `$1\n${key} = "${value}"`;
}
