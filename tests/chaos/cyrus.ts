/** Cyrus in workerd itself, as tests/worker/chaos/worker.ts has it: it can be killed and started again on the same disk. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream, mkdirSync, readdirSync, readFileSync, type WriteStream, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { binary, plainEnvironment } from '../../dev/processes.ts';
import { freePort, PROJECT } from '../../dev/settings.ts';
import { bundle, objectId } from '../bench/workerd.ts';
import type { RunClock } from './run-clock.ts';

export const WEBHOOK_SECRET = 'lin_wh_chaos-secret';
export const SANDBOX_SECRET = 'chaos-endpoint-secret';
const ADMIN_TOKEN = 'chaos-admin-token-0123456789';

/** What production's configuration says, so that nothing has to be said again here. */
const WRANGLER = readFileSync(join(PROJECT, 'wrangler.toml'), 'utf8');

/** Binding to class of every kind of object, each with its own SQLite. */
const OBJECTS: Record<string, string> = {
  ...Object.fromEntries(
    [...WRANGLER.matchAll(/^\[\[durable_objects\.bindings\]\]\nname = "(\w+)"\nclass_name = "(\w+)"/gm)].map(
      ([, name = '', type = '']) => [name, type],
    ),
  ),
  CHAOS_STORE: 'ChaosStore',
};

/** Production's variables. */
const VARIABLES = Object.fromEntries(
  [...(/^\[vars\]\n([^[]*)/m.exec(WRANGLER)?.[1] ?? '').matchAll(/^(\w+) = "(.*?)"/gm)].map(
    ([, name = '', value = '']) => [name, value],
  ),
);

export interface CyrusOptions {
  folder: string;
  clock: RunClock;
  seed: number;
  /** Probability that an object breaks down at a crash point, 0 to 1. */
  crashes: number;
  sandboxUrl: string;
}

export class Cyrus {
  readonly url: string;
  /** Crashes of objects so far, by place. */
  readonly crashes = new Map<string, number>();
  /** When they were, by the run's clock, and of which object: a session's id, a workspace's name. */
  readonly crashTimes = new Map<string, number[]>();
  /** When what a person waits for was known, by the activity's id and the run's clock. */
  readonly awaited = new Map<string, number>();
  /** When workerd was killed and when it was back, by the run's clock. */
  readonly outages: { from: number; to: number }[] = [];
  /** How long requests that ask for nothing took, in real ms, and when, by the run's clock. */
  readonly #answers: { from: number; to: number; ms: number }[] = [];
  /** Lines of Cyrus's log so far, by event. */
  readonly logged = new Map<string, number>();
  kills = 0;
  readonly #options: CyrusOptions;
  readonly #module: string;
  readonly #address: string;
  readonly #log: WriteStream;
  #child: ChildProcess | null = null;

  private constructor(options: CyrusOptions, module: string, port: number) {
    this.#options = options;
    this.#module = module;
    this.#address = `127.0.0.1:${port}`;
    this.url = `http://${this.#address}`;
    this.#log = createWriteStream(join(options.folder, 'worker.log'));
    mkdirSync(join(options.folder, 'objects'));
  }

  /** Bundles the Worker and starts it with an empty, migrated database. */
  static async start(options: CyrusOptions): Promise<Cyrus> {
    const main = fileURLToPath(import.meta.resolve('../worker/chaos/worker.ts'));
    const config = join(options.folder, 'wrangler.toml');
    writeFileSync(
      config,
      `name = "chaos"\nmain = ${JSON.stringify(main)}\ncompatibility_date = "2026-10-01"\n[durable_objects]\nbindings = [${Object.entries(
        OBJECTS,
      ).map(([name, type]) => `{ name = "${name}", class_name = "${type}" }`)}]\n`,
    );
    const module = await bundle(config, 'worker.ts', join(options.folder, 'bundle'));
    const cyrus = new Cyrus(options, module, await freePort());
    await cyrus.restart();
    const folder = join(PROJECT, 'migrations');
    for (const name of readdirSync(folder)
      .filter((file) => file.endsWith('.sql'))
      .toSorted()) {
      await cyrus.#ask('POST', '/chaos/migrations', readFileSync(join(folder, name), 'utf8'));
    }
    return cyrus;
  }

  /** Asks for nothing, to see how long the machine takes for that. */
  async measure(): Promise<void> {
    const { clock } = this.#options;
    const [from, since] = [clock.now(), performance.now()];
    const response = await fetch(`${this.url}/health`, { signal: AbortSignal.timeout(20_000) }).catch(() => null);
    await response?.arrayBuffer();
    if (response) this.#answers.push({ from, to: clock.now(), ms: performance.now() - since });
  }

  /** The longest that such a request took between two times of the run's clock, in real ms. */
  slowest(after: number, before: number): number {
    return Math.max(0, ...this.#answers.filter(({ from, to }) => to >= after && from <= before).map(({ ms }) => ms));
  }

  get isUp(): boolean {
    return this.#child !== null;
  }

  /** What an admin does: the workspace with its token, and its repositories. */
  async register(
    workspace: { id: string; name: string; urlKey: string; appUserId: string; accessToken: string },
    repositories: string[],
  ): Promise<void> {
    const { id, ...input } = workspace;
    await this.#ask('PUT', `/api/admin/workspaces/${id}`, JSON.stringify(input));
    for (const fullName of repositories) {
      const body = JSON.stringify({ cloneUrl: `https://github.example/${fullName}.git` });
      await this.#ask('PUT', `/api/admin/workspaces/${id}/repositories/${fullName}`, body);
    }
  }

  /** Kills workerd as a power cut would: nothing is finished, nothing is said. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (!child || child.exitCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    this.kills += 1;
    this.outages.push({ from: this.#options.clock.now(), to: Number.POSITIVE_INFINITY });
  }

  /** Starts workerd on what is on the disk. */
  async restart(): Promise<void> {
    const config = join(this.#options.folder, 'config.capnp');
    writeFileSync(config, this.#configuration());
    const child = spawn(binary('workerd'), ['serve', config, '--control-fd=3', '--import-path=/'], {
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      env: plainEnvironment(),
    });
    for (const output of [child.stdout, child.stderr]) {
      if (output) createInterface({ input: output }).on('line', (line) => this.#note(line));
    }
    const control = child.stdio[3];
    if (!control || !('read' in control)) throw new Error('workerd has no control channel');
    for await (const line of createInterface({ input: control })) {
      if (line.includes('"listen"')) {
        this.#child = child;
        const outage = this.outages.at(-1);
        if (outage) outage.to = this.#options.clock.now();
        return;
      }
    }
    throw new Error(`workerd ended before it listened; see ${this.#options.folder}/worker.log`);
  }

  async end(): Promise<void> {
    await this.kill();
    this.#log.end();
  }

  /** A session's page as Cyrus's own API has it, or null if there is no such session. @throws where Cyrus does not answer */
  async get(path: string): Promise<unknown> {
    const response = await fetch(`${this.url}${path}`, { signal: AbortSignal.timeout(20_000) });
    if (response.status === 404) return null;
    if (!response.ok) throw new Error(`GET ${path} was answered ${response.status}: ${await response.text()}`);
    return response.json();
  }

  /** Asks until it is answered: the other side may just be down. */
  async #ask(method: string, path: string, body: string): Promise<void> {
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' };
    for (let attempt = 1; ; attempt += 1) {
      const response = await fetch(`${this.url}${path}`, { method, headers, body }).catch((error: unknown) => error);
      if (response instanceof Response && response.ok) return;
      const why = response instanceof Response ? `${response.status} ${await response.text()}` : String(response);
      if (attempt === 20) throw new Error(`${method} ${path} failed: ${why}`);
      await this.#options.clock.sleep(5_000);
    }
  }

  #note(line: string): void {
    this.#log.write(`${line}\n`);
    const awaited = /^\{"event":"chaos\.awaited","id":"(.+)","at":(\d+)\}$/.exec(line);
    if (awaited?.[1] !== undefined) this.awaited.set(awaited[1], Number(awaited[2]));
    const [, of = '', crash] = /^\{"event":"chaos\.crash","of":"(.+?)","where":"(.+)"\}$/.exec(line) ?? [];
    if (crash !== undefined) this.crashTimes.set(of, [...(this.crashTimes.get(of) ?? []), this.#options.clock.now()]);
    const event = /^\{"event":"(?!chaos\.)([\w.-]+)"/.exec(line)?.[1];
    if (crash !== undefined) this.crashes.set(crash, (this.crashes.get(crash) ?? 0) + 1);
    else if (event !== undefined) this.logged.set(event, (this.logged.get(event) ?? 0) + 1);
  }

  #variables(): Record<string, string> {
    const { clock, seed, crashes, sandboxUrl } = this.#options;
    const { speed, realOrigin, origin } = clock.settings;
    return {
      ...VARIABLES,
      CHAOS_SEED: String(seed),
      CHAOS_SPEED: String(speed),
      CHAOS_REAL_ORIGIN: String(realOrigin),
      CHAOS_ORIGIN: String(origin),
      CHAOS_CRASHES: String(crashes),
      ENVIRONMENT: 'local',
      PUBLIC_URL: this.url,
      SANDBOX: 'endpoint',
      SANDBOX_ENDPOINT_URL: sandboxUrl,
      SANDBOX_ENDPOINT_SECRET: SANDBOX_SECRET,
      // Never asked: every history has a simulator of its own, which its token names.
      LINEAR_API_URL: 'https://linear.chaos/graphql',
      LINEAR_WEBHOOK_SECRET: WEBHOOK_SECRET,
      ENCRYPTION_KEY: createHash('sha256').update('the key of the chaos run').digest('base64'),
      ADMIN_TOKEN,
      ACCESS_PASSWORD: 'chaos-password',
      CLAUDE_CODE_OAUTH_TOKEN: 'chaos-token',
    };
  }

  /** workerd's own configuration language (github.com/cloudflare/workerd, src/workerd/server/workerd.capnp). */
  #configuration(): string {
    const text = (value: string) => JSON.stringify(value);
    const bindings = [
      ...Object.entries(this.#variables()).map(([name, value]) => `(name = ${text(name)}, text = ${text(value)})`),
      ...Object.entries(OBJECTS).map(
        ([name, type]) => `(name = ${text(name)}, durableObjectNamespace = ${text(type)})`,
      ),
    ];
    const namespaces = Object.values(OBJECTS).map(
      (type) => `(className = ${text(type)}, uniqueKey = ${text(uniqueKey(type))}, enableSql = true)`,
    );
    return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .worker),
    (name = "disk", disk = (path = ${text(join(this.#options.folder, 'objects'))}, writable = true)),
    (name = "internet", network = (allow = ["public", "private"], tlsOptions = (trustBrowserCas = true))),
  ],
  sockets = [(name = "http", address = ${text(this.#address)}, http = (), service = "main")],
);
const worker :Workerd.Worker = (
  modules = [(name = "worker.js", esModule = embed ${text(this.#module)})],
  compatibilityDate = "2026-10-01",
  bindings = [${bindings.join(', ')}],
  durableObjectNamespaces = [${namespaces.join(', ')}],
  durableObjectStorage = (localDisk = "disk"),
);
`;
  }
}

/** The id of an issue session, which workerd derives from its name. */
export function sessionIdOf(name: string): string {
  return objectId(uniqueKey('IssueSession'), name);
}

function uniqueKey(type: string): string {
  return `chaos-${type}`;
}
