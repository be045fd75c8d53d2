/** Sandboxes in containers: the engine that runs them, and looks into them through it. */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT } from '../../dev/settings.ts';
import type { ContainerEngine } from '../../dev/worker.ts';
import { until } from './run.ts';
import type { SandboxMachine } from './sandbox-machine.ts';
import { LOOKING, type ProbeAnswer, type ProbeInput, type ProbeName, probes } from './sandbox-probe.ts';
import type { Secret } from './secrets.ts';

/** There is no container engine here. The message says why, and what to do. */
export class NoEngine extends Error {
  override readonly name = 'NoEngine';
}

/** How a command in a container ended. */
export interface Ended {
  code: number;
  output: string;
}

/** How the name of a container ends that the engine itself runs beside each. */
const PROXY = '-proxy';
/** Folder of the server in the image, and of the project's files. */
const ROOT = '/workspace';
const HOME = '/opt/cyrus';
/** What a probe consists of besides what the image has. */
const PROBE = ['tests/e2e/sandbox-probe.ts', 'tests/e2e/secrets.ts'];
/** How wrangler and the engine's command line are told where the engine is. */
const VARIABLES = [
  'DOCKER_HOST',
  'DOCKER_CONTEXT',
  'WRANGLER_DOCKER_HOST',
  'WRANGLER_DOCKER_BIN',
  'MINIFLARE_CONTAINER_EGRESS_IMAGE',
  'CONTAINERS_CONF',
];

/**
 * Finds a container engine: that of the lab in the folder CYRUS_CONTAINER_LAB (a command `lab`, which brings it up, and
 * `env.sh`, which says where it is), else whatever `docker` on PATH, or WRANGLER_DOCKER_BIN, speaks to.
 * @throws NoEngine
 */
export async function findEngine(): Promise<ContainerEngine & { command: string }> {
  const lab = process.env.CYRUS_CONTAINER_LAB;
  let variables: Record<string, string | undefined> = process.env;
  if (lab) {
    const script = join(lab, 'lab');
    if (!existsSync(script)) throw new NoEngine(`CYRUS_CONTAINER_LAB is ${lab}, but there is no ${script}`);
    const up = await run(script, ['up']);
    if (up.code !== 0) throw new NoEngine(`the container lab does not start: ${lastLines(up.output)}`);
    const shown = await run('bash', ['-c', 'source "$0/env.sh" && env', lab]);
    variables = Object.fromEntries(shown.output.split('\n').map((line) => line.split(/=(.*)/s, 2)));
  }
  const given = VARIABLES.flatMap((name) => (variables[name] ? [[name, variables[name]] as const] : []));
  const environment: Record<string, string> = Object.fromEntries(given);
  const command = environment.WRANGLER_DOCKER_BIN ?? 'docker';
  const info = await run(command, ['info'], environment).catch((error: unknown) => ({
    code: -1,
    output: String(error),
  }));
  if (info.code === 0) return { environment, command };
  throw new NoEngine(
    `no container engine answers (${command} info: ${lastLines(info.output)}). Install Docker, or set CYRUS_CONTAINER_LAB to a folder with a container lab`,
  );
}

/** The containers of one run. Containers that ran before do not belong to it. */
export class ContainerMachine implements SandboxMachine {
  readonly root = ROOT;
  readonly engine: ContainerEngine;
  readonly #command: string;
  readonly #before: ReadonlySet<string>;
  /** Containers that the probe was put into. */
  readonly #prepared = new Set<string>();
  /** The session that a container holds: it never holds another. */
  readonly #sessions = new Map<string, string>();
  /** The secrets that the image's own files were searched for: no container changes those of another. */
  #soughtInImage: string | null = null;

  private constructor(engine: ContainerEngine & { command: string }, before: ReadonlySet<string>) {
    this.engine = engine;
    this.#command = engine.command;
    this.#before = before;
  }

  static async over(engine: ContainerEngine & { command: string }): Promise<ContainerMachine> {
    const machine = new ContainerMachine(engine, new Set());
    return new ContainerMachine(engine, new Set(await machine.#all()));
  }

  /** Builds the image as wrangler does. @returns how long it took, in ms, and how large it is, in bytes */
  async build(): Promise<{ ms: number; bytes: number }> {
    const tag = 'cyrus-sandbox-test';
    const since = Date.now();
    // By standard input, as wrangler hands it over.
    const dockerfile = readFileSync(join(PROJECT, 'container/Dockerfile'), 'utf8');
    const built = await this.docker(['build', '-t', tag, '-f', '-', PROJECT], dockerfile);
    if (built.code !== 0) throw new Error(`the image cannot be built:\n${lastLines(built.output, 30)}`);
    const ms = Date.now() - since;
    const size = await this.docker(['image', 'inspect', '--format', '{{.Size}}', tag]);
    return { ms, bytes: Number(size.output.trim()) };
  }

  async ask<Name extends ProbeName>(
    name: Name,
    id: string,
    { pids = [], secrets = [] }: Partial<Pick<ProbeInput, 'pids' | 'secrets'>> = {},
    onLooking?: () => void,
  ): Promise<ProbeAnswer<Name>> {
    const limitMs = 90_000;
    const container = await until(`a container with the session ${id}`, () => this.containerOf(id), { limitMs });
    return this.#probe(container, name, { root: ROOT, id, pids, secrets, changedSince: 0 }, { onLooking });
  }

  /**
   * Everywhere in every running container of the run: all files, all processes, and the configuration it was started with.
   * The files of the image are the same in all of them, and searched in one, once for each list of secrets.
   */
  async search(secrets: readonly Secret[]): Promise<string[]> {
    const found: string[] = [];
    const sought = JSON.stringify(secrets);
    for (const container of await this.running()) {
      const changedSince = this.#soughtInImage === sought ? await this.#createdAt(container) : 0;
      this.#soughtInImage = sought;
      const input = { root: ROOT, id: '', pids: [], secrets: [...secrets], changedSince };
      const inFiles = await this.#probe(container, 'everyFile', input, { user: 'root' });
      const inProcesses = await this.#probe(container, 'everyProcess', input);
      const { output } = await this.docker(['inspect', container]);
      const outside = secrets.filter(({ text }) => output.includes(text)).map(({ name }) => `configuration: ${name}`);
      found.push(...[...inFiles, ...inProcesses, ...outside].map((place) => `${container}: ${place}`));
    }
    return found;
  }

  /** Names of the run's containers that run, newest first, without the engine's own. */
  async running(): Promise<string[]> {
    return (await this.#all()).filter((name) => !this.#before.has(name) && !name.endsWith(PROXY));
  }

  /** The container that holds a session; the newest where several do. Null for none. */
  async containerOf(id: string): Promise<string | null> {
    for (const container of await this.running()) {
      const known = this.#sessions.get(container);
      if (known === id) return container;
      if (known !== undefined) continue;
      const { code } = await this.execute(container, ['test', '-d', `${ROOT}/sessions/${id}`]);
      if (code !== 0) continue;
      this.#sessions.set(container, id);
      return container;
    }
    return null;
  }

  /** Runs a command in a container, as the user the server runs as. */
  execute(container: string, command: string[]): Promise<Ended> {
    return this.docker(['exec', container, ...command]);
  }

  /** Removes the containers that were seen to hold a session. */
  async remove(id: string): Promise<void> {
    const seen = [...this.#sessions].filter(([, session]) => session === id).map(([container]) => container);
    await this.#remove((name) => seen.includes(name.replace(PROXY, '')));
  }

  /** Removes what a run has left. */
  clear(): Promise<void> {
    return this.#remove(() => true);
  }

  /**
   * Removes containers one by one: podman removes none of several where one is gone already, and calls that a success.
   * @throws when some are still there after all attempts: each keeps a port of the machine, which then answers nobody else
   */
  async #remove(isMeant: (name: string) => boolean): Promise<void> {
    let said = '';
    for (let attempt = 0; attempt < 5; attempt++) {
      const left = (await this.#all(true)).filter((name) => !this.#before.has(name) && isMeant(name));
      if (left.length === 0) return;
      // A container lives in the network of its proxy, which goes last.
      for (const isProxy of [false, true]) {
        for (const name of left.filter((each) => each.endsWith(PROXY) === isProxy)) {
          // Killed first: podman's `rm -f` gives each container ten seconds to end by itself.
          await this.docker(['kill', name]);
          const removed = await this.docker(['rm', '-f', name]);
          if (removed.code !== 0) said = lastLines(removed.output);
        }
      }
    }
    throw new Error(`containers of this run cannot be removed: ${said}`);
  }

  /** @param onOutput called with all that was printed so far, whenever it is more */
  docker(args: string[], input = '', onOutput: (sofar: string) => void = () => {}): Promise<Ended> {
    return run(this.#command, args, this.engine.environment, input, onOutput);
  }

  /** When a container was made, in ms since the epoch. */
  async #createdAt(container: string): Promise<number> {
    const { output } = await this.docker(['inspect', '--format', '{{json .Created}}', container]);
    return Date.parse(JSON.parse(output));
  }

  async #all(ended = false): Promise<string[]> {
    const { output } = await this.docker(['ps', ...(ended ? ['-a'] : []), '--format', '{{.Names}}']);
    return output.split('\n').filter((name) => name.startsWith('workerd-'));
  }

  async #probe<Name extends ProbeName>(
    container: string,
    name: Name,
    input: ProbeInput,
    { user = 'node', onLooking = () => {} }: { user?: string; onLooking?: (() => void) | undefined } = {},
  ): Promise<ProbeAnswer<Name>> {
    if (!this.#prepared.has(container)) {
      for (const file of PROBE) {
        const text = readFileSync(join(PROJECT, file), 'utf8');
        const write = ['install', '-D', '-m', '644', '/dev/stdin', `${HOME}/${file}`];
        await this.docker(['exec', '-i', '-u', 'root', container, ...write], text);
      }
      this.#prepared.add(container);
    }
    const node = ['node', `${HOME}/${PROBE[0]}`];
    const question = JSON.stringify({ name, input });
    const { code, output } = await this.docker(['exec', '-i', '-u', user, container, ...node], question, (sofar) => {
      if (sofar.startsWith(`${LOOKING}\n`)) onLooking();
    });
    if (code !== 0) throw new Error(`the probe ${name} failed in ${container}: ${lastLines(output)}`);
    return probes[name].answer.parse(JSON.parse(output.slice(LOOKING.length))) as ProbeAnswer<Name>;
  }
}

function run(
  command: string,
  args: string[],
  environment: Record<string, string> = {},
  input = '',
  onOutput: (sofar: string) => void = () => {},
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env: { ...process.env, ...environment }, stdio: 'pipe' });
    let output = '';
    const collect = (chunk: Buffer) => {
      output += chunk.toString();
      onOutput(output);
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    child.once('error', reject);
    child.once('close', (code) => resolve({ code: code ?? -1, output }));
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
}

function lastLines(text: string, count = 3): string {
  return text.trim().split('\n').slice(-count).join('\n');
}
