/** A deploy from this machine: what it acts on, and how it is asked for. */
import { existsSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import { parseJson } from '../../src/lib/parse-json.ts';
import { notAdditive } from '../checks/additive-migrations.ts';
import { PROJECT } from '../settings.ts';
import { writeDeployFile } from './configuration-file.ts';
import type { DeployOptions, DeployWorld } from './deploy-steps.ts';
import { machine } from './wrangler.ts';

const ASK_LIMIT_MS = 10_000;
const readySchema = z.object({ checks: z.array(z.object({ name: z.string(), ok: z.boolean(), words: z.string() })) });
const deployedSchema = z.looseObject({ type: z.literal('deploy'), targets: z.array(z.string()).nullish() });

export function machineWorld(): DeployWorld {
  // Wrangler writes what it did to this file, a line of JSON each.
  const output = join(mkdtempSync(join(tmpdir(), 'cyrus-deploy-')), 'wrangler.ndjson');
  process.env.WRANGLER_OUTPUT_FILE_PATH = output;
  return {
    ...machine,
    sleep: async (ms) => void (await sleep(ms)),
    targets() {
      const lines = existsSync(output) ? readFileSync(output, 'utf8').split('\n') : [];
      return lines.flatMap((line) => deployedSchema.safeParse(parseJson(line)).data?.targets ?? []);
    },
    async ask(url) {
      try {
        const response = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(ASK_LIMIT_MS) });
        const told = readySchema.safeParse(await response.json().catch(() => null));
        const failing = told.data?.checks.filter(({ ok }) => !ok).map(({ words }) => words) ?? [];
        return { status: response.status, words: failing.join('; ') || `it answered ${response.status}` };
      } catch {
        // Not there yet, or no network: the caller asks again.
        return null;
      }
    },
  };
}

/** @param args of the command line */
export function optionsFor(args: readonly string[]): DeployOptions {
  const at = args.findIndex((arg) => arg === '--name' || arg.startsWith('--name='));
  const given = args[at] ?? '';
  const isApart = given === '--name';
  const name = at < 0 ? undefined : isApart ? args[at + 1] : given.slice('--name='.length);
  const rest = at < 0 ? args : [...args.slice(0, at), ...args.slice(at + (isApart ? 2 : 1))];
  const commit = machine.read('git', ['rev-parse', 'HEAD']);
  const { CYRUS_URL: url } = process.env;
  return {
    ...writeDeployFile(name),
    args: rest,
    problems: brokenMigrations(),
    commit: commit.ok ? commit.out.trim() : null,
    url: url ? new URL(url).origin : null,
  };
}

function brokenMigrations(): string[] {
  const folder = join(PROJECT, 'migrations');
  const files = readdirSync(folder).filter((name) => name.endsWith('.sql'));
  return files.flatMap((name) => notAdditive(readFileSync(join(folder, name), 'utf8')).map((why) => `${name}: ${why}`));
}
