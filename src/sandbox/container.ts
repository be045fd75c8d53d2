/**
 * The sandbox as a Cloudflare Container. One object for each life of a session's sandbox, so that a broken container is
 * left behind with its object. The class is kept to lifecycle and egress: @cloudflare/containers owns its alarm, and its
 * `schedule()` runs a task at most once, so nothing of the session lives here.
 */
import { Container } from '@cloudflare/containers';
import { z } from 'zod';
import { log } from '../observability/log.ts';
import type { GivenFile } from '../protocol/files.ts';
import type { SandboxCommand, SandboxStatus, StartSession } from '../protocol/sandbox.ts';
import {
  bodyType,
  listFiles,
  putFile,
  type SandboxBody,
  type SandboxFetch,
  sendCommand,
  startSession,
} from './http.ts';
import { type Sandbox, SandboxError } from './sandbox.ts';

const PORT = 8080;
/** The only host a sandbox reaches; plain http that never leaves the platform, so no certificate is needed inside. */
export const GATEWAY_HOST = 'gateway.internal';

/** `GET /health` of the server: how many sessions are being prepared or worked on. */
const healthSchema = z.object({ atWork: z.number() });

/** What crosses the RPC boundary: a response whose body is read already. */
interface Reply {
  status: number;
  text: string;
}

export class SandboxContainer extends Container<Env> {
  override defaultPort = PORT;
  override sleepAfter = '5m';
  override enableInternet = false;

  /**
   * Sends a request to the sandbox server, starting the container if need be. Not `containerFetch`, which counts a request
   * that its client gave up as in flight for ever (cloudflare/containers#241).
   */
  async ask(path: string, method: string, body?: SandboxBody): Promise<Reply> {
    await this.startAndWaitForPorts({ ports: PORT });
    const server = this.ctx.container?.getTcpPort(PORT);
    if (!server) throw new Error('this object has no container');
    this.renewActivityTimeout();
    const headers = { 'content-type': bodyType(body) };
    const init = method === 'GET' ? { method } : { method, headers, body };
    const response = await server.fetch(`http://sandbox${path}`, init);
    return { status: response.status, text: await response.text() };
  }

  /** What happens inside of a container is no activity to the platform; work in progress keeps it awake. */
  override async onActivityExpired(): Promise<void> {
    const health = await this.#health();
    if (health && health.atWork > 0) this.renewActivityTimeout();
    else await this.stop();
  }

  /** What the server says of itself; null where it does not answer. */
  async #health(): Promise<z.infer<typeof healthSchema> | null> {
    const server = this.ctx.container?.getTcpPort(PORT);
    if (!server) return null;
    try {
      const response = await server.fetch('http://sandbox/health');
      return healthSchema.parse(await response.json());
    } catch (error) {
      log('sandbox.container.silent', { error: error instanceof Error ? error : new Error(String(error)) });
      return null;
    }
  }
}

export class ContainerSandbox implements Sandbox {
  readonly #fetch: SandboxFetch;

  /** @param generation each life has an object, and so a container, of its own */
  constructor(containers: DurableObjectNamespace<SandboxContainer>, sessionId: string, generation: number) {
    const container = containers.getByName(`${sessionId}:${generation}`);
    this.#fetch = async (path, init) => {
      try {
        const reply = await container.ask(path, init.method, init.body);
        return new Response(reply.text, { status: reply.status });
      } catch (cause) {
        // No capacity, a start that failed, an image that is being pulled: all of them may pass.
        const why = cause instanceof Error ? cause.message : String(cause);
        throw new SandboxError(`the container did not start: ${why}`, {
          retryable: true,
          hint: "Look at the container's state in the Cloudflare dashboard, then comment to try again.",
          cause,
        });
      }
    };
  }

  gateway(_origin: string, token: string): StartSession['gateway'] {
    return { url: `http://${GATEWAY_HOST}`, token };
  }

  start(sessionId: string, body: StartSession): Promise<SandboxStatus> {
    return startSession(this.#fetch, sessionId, body);
  }

  command(sessionId: string, command: SandboxCommand): Promise<void> {
    return sendCommand(this.#fetch, sessionId, command);
  }

  files(sessionId: string): Promise<GivenFile[]> {
    return listFiles(this.#fetch, sessionId);
  }

  putFile(sessionId: string, name: string, body: ReadableStream<Uint8Array>): Promise<GivenFile> {
    return putFile(this.#fetch, sessionId, name, body);
  }
}
