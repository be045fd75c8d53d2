/** The endpoint behind which every session finds its sandbox. It fails now and then, and sometimes loses its disk. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { sandboxCommandSchema } from '../../src/protocol/sandbox/commands.ts';
import { startSessionSchema } from '../../src/protocol/sandbox/start.ts';
import type { Random } from '../unit/support/random.ts';
import type { RunClock } from './run-clock.ts';
import { ScriptedLife } from './scripted-life.ts';

/** The sandbox of one session. */
export class SessionSandbox {
  readonly random: Random;
  readonly #clock: RunClock;
  readonly #name: string;
  readonly #isOlder: boolean;
  #marks = 0;
  reposts = 0;
  /** Every life so far, the present one last. */
  readonly lives: ScriptedLife[] = [];
  /** The disk is gone: nothing is known of the present life any more. */
  #isForgotten = true;

  /** @param name begins every mark. @param isOlder its server is of the version before */
  constructor(name: string, clock: RunClock, random: Random, isOlder: boolean) {
    this.#name = name;
    this.#clock = clock;
    this.random = random;
    this.#isOlder = isOlder;
  }

  /** The life that answers; null where the disk knows of none. */
  get life(): ScriptedLife | null {
    return this.#isForgotten ? null : (this.lives.at(-1) ?? null);
  }

  get isAtRest(): boolean {
    return this.life?.isAtRest ?? true;
  }

  loseDisk(): void {
    this.life?.end();
    this.#isForgotten = true;
  }

  /** @returns status and body of the answer */
  put(sessionId: string, body: unknown): [number, unknown] {
    const start = startSessionSchema.parse(body);
    const { life } = this;
    if (life && start.generation < life.generation) return [409, refusal('superseded')];
    if (life && !life.isOver && start.generation === life.generation) life.renew(start);
    else {
      life?.end();
      const surroundings = {
        clock: this.#clock,
        isOlder: this.#isOlder,
        random: this.random,
        nextMark: () => `${this.#name}x${++this.#marks}x`,
        onRepost: () => {
          this.reposts += 1;
        },
      };
      this.lives.push(new ScriptedLife(sessionId, start, surroundings));
      this.#isForgotten = false;
    }
    return [200, this.life?.status];
  }

  get(): [number, unknown] {
    return this.life ? [200, this.life.status] : [404, refusal('no-such-session')];
  }

  command(body: unknown): [number, unknown] {
    const command = sandboxCommandSchema.parse(body);
    const { life } = this;
    if (!life) return [404, refusal('no-such-session')];
    if (life.isOver && command.type === 'prompt') return [409, refusal('closed')];
    const status = life.isOver ? 200 : life.command(command);
    return [status, status === 409 ? refusal('not-asked') : {}];
  }
}

export class ScriptedSandboxes {
  readonly #server: Server;
  readonly #sessions = new Map<string, SessionSandbox>();

  private constructor(secret: string) {
    this.#server = createServer((request, response) => {
      const isKnown = request.headers.authorization === `Bearer ${secret}`;
      if (isKnown) void this.#handle(request, response);
      else response.writeHead(401).end(JSON.stringify(refusal('unauthorized')));
    });
  }

  static async open(secret: string): Promise<ScriptedSandboxes> {
    const sandboxes = new ScriptedSandboxes(secret);
    await new Promise<void>((resolve) => sandboxes.#server.listen(0, '127.0.0.1', resolve));
    return sandboxes;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  add(sessionId: string, sandbox: SessionSandbox): void {
    this.#sessions.set(sessionId, sandbox);
  }

  remove(sessionId: string): void {
    this.#sessions.get(sessionId)?.loseDisk();
    this.#sessions.delete(sessionId);
  }

  async close(): Promise<void> {
    for (const id of [...this.#sessions.keys()]) this.remove(id);
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const [, , id = '', commands] = (request.url ?? '').split('/');
    const sandbox = this.#sessions.get(id);
    if (!sandbox) {
      response.writeHead(404).end(JSON.stringify(refusal('no-such-session')));
      return;
    }
    if (sandbox.random.chance(0.04)) {
      response.writeHead(503).end('no luck');
      return;
    }
    const text = Buffer.concat(parts).toString();
    const body: unknown = text === '' ? null : JSON.parse(text);
    const [status, answer] =
      request.method === 'GET'
        ? sandbox.get()
        : commands === 'commands'
          ? sandbox.command(body)
          : sandbox.put(id, body);
    if (sandbox.random.chance(0.03)) {
      // Done, but nobody hears of it.
      response.destroy();
      return;
    }
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
  }
}

function refusal(error: string) {
  return { error, message: `${error} (as the chaos run wants it)` };
}
