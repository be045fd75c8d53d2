/** The Worker of a local run: `wrangler dev`, with local D1, R2 and Durable Objects kept in a folder. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { binary, type Child, plainEnvironment, run, startProcess, waitFor } from './processes.ts';
import { PROJECT } from './settings.ts';

export interface LocalWorker {
  url: string;
  child: Child;
}

/** A container engine for `wrangler dev`. */
export interface ContainerEngine {
  /** How wrangler finds it: `DOCKER_HOST`, `WRANGLER_DOCKER_BIN` and the like. */
  environment: Record<string, string>;
}

/** How long wrangler may take to answer; longer where it builds the containers' image first. */
const UP_LIMIT_MS = 60_000;
const UP_LIMIT_WITH_IMAGE_MS = 600_000;

/**
 * Starts the Worker and waits until it answers.
 * @param options `variables`: every variable and secret that differs from wrangler.toml; `containers`: run them too; `inspectorPort`: where
 *   the Worker's inspector listens, left out: nowhere that is known; `project`: folder of the checkout that is run; `publicLimit`: how many
 *   requests of strangers an address may make in a minute, left out: what wrangler.toml says
 */
export async function startWorker(options: {
  folder: string;
  port: number;
  variables: Record<string, string>;
  containers?: ContainerEngine;
  inspectorPort?: number;
  project?: string;
  publicLimit?: number;
}): Promise<LocalWorker> {
  const { folder, port, variables, containers, inspectorPort, project = PROJECT, publicLimit } = options;
  const config = writeLocalConfig(project, Object.keys(variables), containers !== undefined, publicLimit);
  const environmentFile = join(folder, 'worker.env');
  const lines = Object.entries(variables).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  writeFileSync(environmentFile, `${lines.join('\n')}\n`, { mode: 0o600 });
  const environment = {
    ...plainEnvironment(),
    CI: 'true',
    WRANGLER_SEND_METRICS: 'false',
    ...containers?.environment,
  };
  const common = ['--config', config, '--persist-to', join(folder, 'worker')];
  await run(binary('wrangler'), ['d1', 'migrations', 'apply', 'DB', '--local', ...common], environment);
  const child = startProcess(
    binary('wrangler'),
    [
      'dev',
      ...common,
      '--env-file',
      environmentFile,
      '--ip',
      '127.0.0.1',
      '--port',
      String(port),
      ...(inspectorPort === undefined ? [] : ['--inspector-port', String(inspectorPort)]),
      '--show-interactive-dev-session=false',
    ],
    environment,
    join(folder, 'logs', 'worker.log'),
  );
  const url = `http://localhost:${port}`;
  let hasEnded = false;
  void child.ended.then(() => {
    hasEnded = true;
  });
  await waitFor(
    `the Worker (log: ${join(folder, 'logs', 'worker.log')})`,
    async () => {
      if (hasEnded) throw new Error('wrangler has ended');
      return (await fetch(`${url}/health`)).ok;
    },
    containers ? UP_LIMIT_WITH_IMAGE_MS : UP_LIMIT_MS,
  );
  return { url, child };
}

/**
 * A local Worker is given only the secrets that its configuration requires by name, and production requires no more than
 * every deployment has. So the local configuration is wrangler.toml with a longer list. With containers it is another file
 * that switches them on: by the flag `--enable-containers` alone, wrangler 4.164 does not ask for the engine's address. Another limit of
 * strangers is in another file as well, since a binding of that kind is set nowhere else.
 */
function writeLocalConfig(
  project: string,
  names: string[],
  withContainers: boolean,
  publicLimit: number | undefined,
): string {
  const kind = `${withContainers ? '-containers' : ''}${publicLimit === undefined ? '' : `-${publicLimit}`}`;
  const file = join(project, `wrangler.local${kind}.toml`);
  const production = readFileSync(join(project, 'wrangler.toml'), 'utf8');
  // Of what wrangler.toml does not set itself, the Worker is given nothing else.
  const secrets = names.filter((name) => !new RegExp(`^${name} = `, 'm').test(production));
  const local = production
    .replace(/^required = \[.*\]$/m, `required = ${JSON.stringify(secrets)}`)
    .replace(/^enable_containers = false\b/m, `enable_containers = ${withContainers}`)
    .replace(/^(name = "PUBLIC_LIMIT"\n.*\nsimple = \{ limit = )\d+/m, (line, before: string) =>
      publicLimit === undefined ? line : `${before}${publicLimit}`,
    );
  const text = `# Written by dev/worker.ts from wrangler.toml.\n${local}`;
  // Writing the same again would reload the Worker of another run from this folder.
  if (!existsSync(file) || readFileSync(file, 'utf8') !== text) writeFileSync(file, text);
  return file;
}
