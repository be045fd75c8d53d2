/** What wrangler.toml says of a deployment, as far as commands need to know: read by its lines, since only simple values are asked for. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT } from '../settings.ts';

export interface Configuration {
  /** Name of the Worker. */
  name: string;
  /** Variables under `[vars]`. */
  variables: Record<string, string>;
  /** Secrets that a deploy requires. */
  requiredSecrets: string[];
  /** Classes that run in containers. */
  containers: string[];
  /** Name of the D1 database and of the R2 bucket: as configured, else as wrangler names what it provisions. */
  database: string;
  bucket: string;
}

export function readToml(): string {
  return readFileSync(join(PROJECT, 'wrangler.toml'), 'utf8');
}

/** @param name of the Worker, where it is deployed under another than the file's: `--name` */
export function configurationOf(toml: string, name?: string): Configuration {
  const own = /^name\s*=\s*"([^"]+)"/m.exec(toml)?.[1] ?? 'cyrus';
  const worker = name ?? own;
  const given = (key: string) => new RegExp(`^\\s*${key}\\s*=\\s*"([^"]+)"`, 'm').exec(toml)?.[1];
  return {
    name: worker,
    variables: variablesOf(toml),
    requiredSecrets: [...(/^required\s*=\s*\[(.*)\]/m.exec(toml)?.[1] ?? '').matchAll(/"([^"]+)"/g)].map(
      ([, secret = '']) => secret,
    ),
    containers: [...toml.matchAll(/^\[\[containers\]\]\n(?:(?!\[).*\n)*?class_name\s*=\s*"([^"]+)"/gm)].map(
      ([, name = '']) => name,
    ),
    database: given('database_name') ?? `${worker}-db`,
    bucket: given('bucket_name') ?? `${worker}-logs`,
  };
}

function variablesOf(toml: string): Record<string, string> {
  const section = /^\[vars\]\s*\n([\s\S]*?)(?=^\[)/m.exec(toml)?.[1] ?? '';
  const lines = [...section.matchAll(/^([A-Z][A-Z0-9_]*)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s#]+))/gm)];
  return Object.fromEntries(
    lines.map(([, name = '', text, bare = '']) => [name, text === undefined ? bare : text.replace(/\\(.)/g, '$1')]),
  );
}
