/** Runs a bundled Worker in workerd itself, without the layers that `wrangler dev` puts in front of it. */
import { spawn } from 'node:child_process';
import { createHash, createHmac } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { binary, plainEnvironment, run } from '../../dev/processes.ts';
import { PROJECT } from '../../dev/settings.ts';

/** A Worker as workerd takes it. */
export interface Bundle {
  /** The one module `wrangler deploy --dry-run` wrote. */
  module: string;
  /** Binding name to Durable Object class, each with its own SQLite. */
  objects: Record<string, string>;
  variables: Record<string, string>;
}

export interface Running {
  url: string;
  pid: number;
  /** Ends workerd and deletes what it stored. */
  end(): Promise<void>;
}

/**
 * Bundles a Worker the way a deploy does.
 * @param config wrangler configuration, relative to the project
 * @param entry name of its entry file
 * @param instead entry file in the place of the configuration's, relative to the project
 * @returns path of the module
 */
export async function bundle(config: string, entry: string, folder: string, instead?: string): Promise<string> {
  // A bundle needs the page's folder, although no benchmark loads the page.
  mkdirSync(join(PROJECT, 'dist', 'web'), { recursive: true });
  const script = instead === undefined ? [] : [instead];
  const args = ['deploy', ...script, '--dry-run', '--containers-rollout=none', '--config', config, '--outdir', folder];
  await run(binary('wrangler'), args, { ...plainEnvironment(), CI: 'true', WRANGLER_SEND_METRICS: 'false' });
  return join(folder, entry.replace(/\.ts$/, '.js'));
}

/**
 * The id that workerd gives an object of this name (github.com/cloudflare/workerd, src/workerd/server/actor-id-impl.c++).
 * @param uniqueKey of the object's namespace
 */
export function objectId(uniqueKey: string, name: string): string {
  const key = createHash('sha256').update(uniqueKey).digest();
  const base = createHmac('sha256', key).update(name).digest().subarray(0, 16);
  return Buffer.concat([base, createHmac('sha256', key).update(base).digest().subarray(0, 16)]).toString('hex');
}

const listeningSchema = z.object({ event: z.literal('listen'), port: z.number() });

/** Starts workerd with empty storage on the local disk, on a free port. */
export async function startWorkerd({ module, objects, variables }: Bundle): Promise<Running> {
  const folder = mkdtempSync(join(tmpdir(), 'cyrus-bench-'));
  const disk = join(folder, 'objects');
  mkdirSync(disk);
  const config = join(folder, 'config.capnp');
  writeFileSync(config, configText({ module, objects, variables }, disk));
  const child = spawn(binary('workerd'), ['serve', config, '--control-fd=3', '--import-path=/'], {
    // The Worker's log is not looked at: a line for each webhook.
    stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
    env: plainEnvironment(),
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const control = child.stdio[3];
  if (!control || !('read' in control)) throw new Error('workerd has no control channel');
  for await (const line of createInterface({ input: control })) {
    const { port } = listeningSchema.parse(JSON.parse(line));
    return {
      url: `http://127.0.0.1:${port}`,
      pid: child.pid ?? 0,
      async end() {
        child.kill('SIGKILL');
        await ended;
        rmSync(folder, { recursive: true, force: true });
      },
    };
  }
  throw new Error('workerd ended before it listened');
}

/** workerd's own configuration language (github.com/cloudflare/workerd, src/workerd/server/workerd.capnp). */
function configText({ module, objects, variables }: Bundle, disk: string): string {
  const text = (value: string) => JSON.stringify(value);
  const bindings = [
    ...Object.entries(variables).map(([name, value]) => `(name = ${text(name)}, text = ${text(value)})`),
    ...Object.entries(objects).map(([name, type]) => `(name = ${text(name)}, durableObjectNamespace = ${text(type)})`),
  ];
  const namespaces = Object.values(objects).map(
    (type) => `(className = ${text(type)}, uniqueKey = ${text(`bench-${type}`)}, enableSql = true)`,
  );
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .worker),
    (name = "disk", disk = (path = ${text(disk)}, writable = true)),
    (name = "internet", network = (allow = ["public", "private"], tlsOptions = (trustBrowserCas = true))),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
const worker :Workerd.Worker = (
  modules = [(name = ${text(basename(module))}, esModule = embed ${text(module)})],
  compatibilityDate = "2026-10-01",
  bindings = [${bindings.join(', ')}],
  durableObjectNamespaces = [${namespaces.join(', ')}],
  durableObjectStorage = (localDisk = "disk"),
);
`;
}
