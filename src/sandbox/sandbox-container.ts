/**
 * The object behind a container. One for each life of a session's sandbox, so that a broken container is left behind with
 * its object. The class is kept to lifecycle and egress: @cloudflare/containers owns its alarm, and its `schedule()` runs a
 * task at most once, so nothing of the session lives here.
 */
import { Container } from '@cloudflare/containers';
import * as z from 'zod';
import { asError } from '../lib/error.ts';
import { withTimeout } from '../lib/timeout.ts';
import { log } from '../observability/log.ts';
import type { Egress } from '../protocol/settings/egress.ts';
import { firstValues, migrateValues } from '../store/object-schema.ts';
import { ContainerLifetime, migrateLifetime } from './container-life.ts';
import { bodyType, type SandboxBody } from './http.ts';

const PORT = 8080;
/** The one name that always leads to the gateway; plain http that never leaves the platform, so it needs no certificate. */
export const GATEWAY_HOST = 'gateway.internal';
/** The outbound handler that a container's rules are given to; see src/index.ts. */
export const OUTBOUND_HANDLER = 'byRules';

/** Getting an instance and the server's first answer; together below the outbox's lease of an effect (60 s). */
const INSTANCE_LIMIT_MS = 15_000;
const PORT_LIMIT_MS = 30_000;
/** Answers of the server; a file comes as fast as Linear gives it. */
const ANSWER_LIMIT_MS = 30_000;
const FILE_LIMIT_MS = 90_000;
const HEALTH_LIMIT_MS = 5_000;

/** `GET /health` of the server: how many sessions are being prepared or worked on. */
const healthSchema = z.object({ atWork: z.number() });

/** What crosses the RPC boundary: a response whose body is read already. */
export interface Reply {
  status: number;
  text: string;
}

/** Whose container it is, and what it may reach: the outbound handler is given this with every request. */
export interface ContainerRules {
  session: string;
  /** Left out by earlier versions. */
  workspace?: string;
  repository: string;
  egress: Egress;
}

/** An object whose container has ended is of no use after so long, in seconds. */
const KEPT_ENDED_S = 24 * 3_600;

/** Set once the session has begun in this life. */
const BEGUN = 'cyrus-begun';

export class SandboxContainer extends Container<Env> {
  override defaultPort = PORT;
  override sleepAfter = '5m';
  override enableInternet = false;
  override interceptHttps = true;
  readonly #life: ContainerLifetime;
  #isBegun = false;
  /** Nothing that is stored is needed any more. */
  #isForgotten = false;
  #starting: Promise<void> | null = null;

  constructor(ctx: DurableObjectState<object>, env: Env) {
    super(ctx, env);
    migrateValues(ctx.storage, 'sandbox-container', [firstValues, ({ kv }) => migrateLifetime(kv)]);
    this.#life = new ContainerLifetime(ctx.storage.kv);
  }

  /**
   * Sends the request that starts a session, starting the container if need be, under these rules from its first packet on.
   * @returns null if the session has begun in this life and the container is gone, its disk with it: what comes next is
   * another life, with an object of its own
   * @throws whatever the platform says of a container that does not start
   */
  async begin(rules: ContainerRules, path: string, body: string): Promise<Reply | null> {
    const { kv } = this.ctx.storage;
    if (!this.ctx.container?.running && kv.get(BEGUN) !== undefined) return null;
    this.#isBegun = true;
    await this.setOutboundHandler(OUTBOUND_HANDLER, rules);
    await this.#start();
    const reply = await this.#send(path, 'PUT', body);
    if (reply.status < 300) kv.put(BEGUN, true);
    return reply;
  }

  /**
   * Starts the container before it is known what for: nothing of the session is in it, and it reaches nothing but the
   * gateway until `begin` says what it may. If nothing begins it goes to sleep like any other.
   * @throws as `begin`
   */
  async warm(session: string): Promise<void> {
    if (this.#isBegun || this.ctx.container?.running || this.ctx.storage.kv.get(BEGUN) !== undefined) return;
    const rules: ContainerRules = { session, repository: '', egress: { preset: 'none', hosts: [] } };
    await this.setOutboundHandler(OUTBOUND_HANDLER, rules);
    if (!this.#isBegun) await this.#start();
  }

  /** Sends a request to the sandbox server. Null if no container runs: none is started for a command it knows nothing of. */
  async ask(path: string, method: string, body?: SandboxBody): Promise<Reply | null> {
    if (!this.ctx.container?.running) return null;
    return this.#send(path, method, body);
  }

  /** One start at a time: a failed one destroys what is half up. */
  #start(): Promise<void> {
    this.#starting ??= this.#startOnce().finally(() => {
      this.#starting = null;
    });
    return this.#starting;
  }

  async #startOnce(): Promise<void> {
    const { container } = this.ctx;
    if (!container) throw new Error('this object has no container');
    if (!container.running) this.#life.begin();
    try {
      await this.startAndWaitForPorts({
        ports: PORT,
        cancellationOptions: { instanceGetTimeoutMS: INSTANCE_LIMIT_MS, portReadyTimeoutMS: PORT_LIMIT_MS },
      });
    } catch (error) {
      // What is half up refuses the next start ("start() cannot be called on a container that is already running").
      await container.destroy().catch(() => {});
      throw error;
    }
  }

  /** Not by `containerFetch`, which counts a request that its client gave up as in flight forever (cloudflare/containers#241). */
  async #send(path: string, method: string, body?: SandboxBody): Promise<Reply> {
    const server = this.ctx.container?.getTcpPort(PORT);
    if (!server) throw new Error('this object has no container');
    this.renewActivityTimeout();
    return withTimeout(typeof body === 'object' ? FILE_LIMIT_MS : ANSWER_LIMIT_MS, async (signal) => {
      const headers = { 'content-type': bodyType(body) };
      const init = method === 'GET' ? { method, signal } : { method, headers, body, signal };
      const response = await server.fetch(`http://sandbox${path}`, init);
      return { status: response.status, text: await response.text() };
    });
  }

  /** The class's own engine, which runs at least every 3 min while the container does, so this is also where its lifetime is limited. */
  override async alarm(...invocation: Parameters<Container['alarm']>): Promise<void> {
    await this.#limitLife();
    await super.alarm(...invocation);
    // Not before: the class goes on with its tables after `forget`.
    if (this.#isForgotten && !this.ctx.container?.running) await this.#deleteStorage();
  }

  async #limitLife(): Promise<void> {
    if (!this.ctx.container?.running) return;
    if (this.#life.isOver()) await this.#end('it has reached its maximum lifetime');
  }

  /** What happens inside of a container is no activity to the platform; work in progress keeps it awake. */
  override async onActivityExpired(): Promise<void> {
    const health = await this.#health();
    if (health && health.atWork > 0 && !this.#life.isEnding) {
      this.renewActivityTimeout();
    } else {
      await this.#end(health ? 'it is idle' : 'it does not answer');
    }
  }

  /** SIGTERM, so that the server saves and reports; what does not end within the grace is ended. */
  async #end(why: string): Promise<void> {
    switch (this.#life.end()) {
      case 'signal':
        log('sandbox.container.stopping', { container: this.ctx.id.toString(), why });
        await this.stop('SIGTERM');
        break;
      case 'destroy':
        log('sandbox.container.destroyed', { container: this.ctx.id.toString(), why });
        await this.destroy();
        break;
      case 'wait':
        break;
    }
  }

  override async onStop({ exitCode }: { exitCode: number }): Promise<void> {
    log('sandbox.container.stopped', { container: this.ctx.id.toString(), exitCode });
    await this.schedule(KEPT_ENDED_S, 'forget' satisfies keyof SandboxContainer);
    // Started early, and nothing came of it.
    if (this.ctx.storage.kv.get(BEGUN) !== undefined) await this.#reportEnd();
  }

  /**
   * Deletes what this object stores, once its container has ended and the session knows that: without it the same life would begin again.
   * Called by the class's alarm, a day after the end.
   */
  async forget(): Promise<void> {
    if (this.ctx.container?.running) return;
    const isKnown = this.ctx.storage.kv.get(BEGUN) === undefined || (await this.#reportEnd());
    if (isKnown) this.#isForgotten = true;
    else await this.schedule(KEPT_ENDED_S, 'forget' satisfies keyof SandboxContainer);
  }

  /** Ends the container and deletes what this object stores: its session is deleted. */
  async erase(): Promise<void> {
    if (this.ctx.container?.running) await this.destroy();
    await this.#deleteStorage();
  }

  async #deleteStorage(): Promise<void> {
    log('sandbox.container.forgotten', { container: this.ctx.id.toString() });
    await this.ctx.storage.deleteAll();
  }

  /** @returns whether the session knows that the container has ended */
  async #reportEnd(): Promise<boolean> {
    // Named `session:generation`. The session would find out by itself, later.
    const [session = '', generation = ''] = (this.ctx.id.name ?? '').split(':');
    try {
      const { ISSUE_SESSION } = this.env;
      await ISSUE_SESSION.get(ISSUE_SESSION.idFromString(session)).noteSandboxEnded(Number(generation));
      return true;
    } catch (error) {
      const cause = asError(error);
      log('sandbox.exit_report.failed', { container: this.ctx.id.toString(), error: cause });
      return false;
    }
  }

  override onError(error: unknown): void {
    const cause = asError(error);
    log('sandbox.container.failed', { container: this.ctx.id.toString(), error: cause });
  }

  /** What the server says of itself; null if it does not answer. */
  async #health(): Promise<z.infer<typeof healthSchema> | null> {
    const server = this.ctx.container?.getTcpPort(PORT);
    if (!server) return null;
    try {
      return await withTimeout(HEALTH_LIMIT_MS, async (signal) => {
        const response = await server.fetch('http://sandbox/health', { signal });
        return healthSchema.parse(await response.json());
      });
    } catch (error) {
      log('sandbox.container.unreachable', { error: asError(error) });
      return null;
    }
  }
}

/** An instance type belongs to a class in wrangler.toml, so each size is a class. */
export class SmallSandboxContainer extends SandboxContainer {}
export class LargeSandboxContainer extends SandboxContainer {}
