/**
 * A machine for each session, as a container is one: a sandbox server in a process of its own on a disk of its own, behind one
 * address. A machine can be killed with everything on it, with or without its disk; then it is started again, as a
 * supervisor or the platform would.
 */
import { mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type Child, plainEnvironment, startProcess, waitFor } from '../../dev/processes.ts';
import { PROJECT } from '../../dev/settings.ts';

/** Where sandboxes are, as what kills them sees it. */
export interface Killable {
  /**
   * Kills everything of a session's sandbox with SIGKILL.
   * @param wipes its disk is gone too, also where it could have stayed
   * @returns false where there was none
   */
  kill(session: string, wipes: boolean): Promise<boolean>;
  /** The session is over. */
  end(session: string): Promise<void>;
  close(): Promise<void>;
}

interface Machine {
  root: string;
  port: number;
  child: Child;
}

export class Machines implements Killable {
  readonly #folder: string;
  readonly #secret: string;
  readonly #machines = new Map<string, Promise<Machine>>();
  #server: Server | null = null;
  url = '';

  /** @param folder for disks and logs. @param secret shared with the Worker */
  constructor(folder: string, secret: string) {
    this.#folder = folder;
    this.#secret = secret;
  }

  /** Listens where the Worker expects its sandbox. */
  async open(): Promise<void> {
    const server = createServer((request, response) => {
      void this.#forward(request, response).catch(() => response.destroy());
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  /** A session's machine, which is started by the first request for it. */
  machine(session: string): Promise<Machine> {
    const known = this.#machines.get(session);
    if (known) return known;
    const root = join(this.#folder, 'machines', String(this.#machines.size + 1));
    const started = this.#start(root);
    this.#machines.set(session, started);
    return started;
  }

  /** Starts the machine again afterwards. */
  async kill(session: string, wipes: boolean): Promise<boolean> {
    const { root, child } = await this.machine(session);
    for (const pid of this.#processes(root, child)) kill(pid);
    await child.ended;
    // What was forked meanwhile.
    for (const pid of this.#processes(root, child)) kill(pid);
    if (wipes) rmSync(root, { recursive: true, force: true, maxRetries: 5 });
    this.#machines.set(session, this.#start(root));
    await this.machine(session);
    return true;
  }

  /** Kills the machine, and leaves it so until `kill` starts it again. */
  async halt(session: string): Promise<void> {
    const { root, child } = await this.machine(session);
    for (const pid of this.#processes(root, child)) kill(pid);
    await child.ended;
  }

  /** Stops the server as it is: its port takes connections, and nothing answers there. Claude's process goes on. */
  async freeze(session: string): Promise<void> {
    const { child } = await this.machine(session);
    child.process.kill('SIGSTOP');
  }

  /** Lets a frozen server go on. */
  async thaw(session: string): Promise<void> {
    const { child } = await this.machine(session);
    child.process.kill('SIGCONT');
  }

  /** Kills Claude's process alone. @returns false if none runs */
  async killCli(session: string): Promise<boolean> {
    const { root, child } = await this.machine(session);
    const found = this.#processes(root, child).filter((pid) => isCli(pid));
    for (const pid of found) kill(pid);
    return found.length > 0;
  }

  /** Lines of the transcripts of Claude's conversation. */
  async conversation(session: string): Promise<string[]> {
    const { root } = await this.machine(session);
    const projects = join(root, 'sessions', session, 'home', '.claude', 'projects');
    return readdirSync(projects, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.jsonl'))
      .flatMap((name) => readFileSync(join(projects, name), 'utf8').split('\n'));
  }

  async end(session: string): Promise<void> {
    const { root, child } = await this.machine(session);
    for (const pid of this.#processes(root, child)) kill(pid);
    await child.ended;
    rmSync(root, { recursive: true, force: true, maxRetries: 5 });
  }

  async close(): Promise<void> {
    for (const session of this.#machines.keys()) await this.end(session).catch(() => {});
    this.#server?.closeAllConnections();
    this.#server?.close();
  }

  async #start(root: string): Promise<Machine> {
    mkdirSync(root, { recursive: true });
    const logFile = `${root}.log`;
    const already = readLog(logFile).length;
    const environment = {
      ...plainEnvironment(),
      PORT: '0',
      HOST: '127.0.0.1',
      CYRUS_SANDBOX_ROOT: root,
      CYRUS_WALLS: 'none',
      CYRUS_SANDBOX_SECRET: this.#secret,
    };
    const child = startProcess(process.execPath, [join(PROJECT, 'container', 'server.ts')], environment, logFile);
    let port = 0;
    await waitFor(
      `a machine (log: ${logFile})`,
      async () => {
        const found = /"url":"http:\/\/127\.0\.0\.1:(\d+)"/.exec(readLog(logFile).slice(already));
        port = Number(found?.[1] ?? 0);
        return port > 0;
      },
      30_000,
    );
    return { root, port, child };
  }

  /** The server, and everything that works on its disk or was started in its sessions. */
  #processes(root: string, child: Child): number[] {
    const found = new Set<number>(child.process.pid === undefined ? [] : [child.process.pid]);
    for (const name of readdirSync('/proc')) {
      const pid = Number(name);
      if (!Number.isInteger(pid) || pid === process.pid) continue;
      try {
        const environment = readFileSync(`/proc/${pid}/environ`, 'utf8');
        const isOn = environment.includes(`=${root}/`) || environment.includes(`=${root}\0`);
        if (isOn || `${readlinkSync(`/proc/${pid}/cwd`)}/`.startsWith(`${root}/`)) found.add(pid);
      } catch {
        // Gone, or not ours to read.
      }
    }
    return [...found];
  }

  async #forward(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const session = /^\/sessions\/([\w-]+)/.exec(request.url ?? '')?.[1];
    if (session === undefined) {
      response.writeHead(200).end('{}');
      return;
    }
    const { port } = await this.machine(session);
    const { method, headers, url: path } = request;
    const onward = httpRequest({ host: '127.0.0.1', port, method, headers, path }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
      answer.on('error', () => response.destroy());
    });
    // As if nothing listens: the connection breaks.
    onward.on('error', () => response.destroy());
    request.pipe(onward);
  }
}

/** Whether this is Claude's process, and not something that it started. */
function isCli(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('--input-format\0stream-json');
  } catch {
    return false;
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Gone already.
  }
}

function readLog(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
