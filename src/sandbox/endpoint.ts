/** A sandbox server at an address: a VPS, a build machine, or the local process that `npm start` runs. */
import { withTimeout } from '../lib/timeout.ts';
import type { GivenFile } from '../protocol/files.ts';
import type { SandboxCommand } from '../protocol/sandbox/commands.ts';
import type { SandboxStatus, StartSession } from '../protocol/sandbox/start.ts';
import {
  bodyType,
  isKnown,
  listFiles,
  purgeSession,
  putFile,
  type SandboxFetch,
  sendCommand,
  startSession,
} from './http.ts';
import type { Sandbox } from './sandbox.ts';

/** A start answers before the workspace is prepared, so nothing takes long. */
const TIMEOUT_MS = 15_000;
/** But for a file, which comes as fast as Linear gives it. */
const FILE_TIMEOUT_MS = 90_000;
/** A server that is there answers at once; a machine that is gone answers never. */
const THERE_TIMEOUT_MS = 1_750;

export class EndpointSandbox implements Sandbox {
  readonly endsUntold = true;
  readonly #fetch: SandboxFetch;
  readonly #isThere: (sessionId: string) => Promise<boolean>;

  /**
   * @param url address of the server, without trailing slash
   * @param secret finds what is shared with the server (`CYRUS_SANDBOX_SECRET` there); asked for each request
   */
  constructor(url: string, secret: () => Promise<string>) {
    this.#fetch = (path, init) =>
      withTimeout(typeof init.body === 'object' ? FILE_TIMEOUT_MS : TIMEOUT_MS, async (signal) => {
        const headers = { authorization: `Bearer ${await secret()}`, 'content-type': bodyType(init.body) };
        const response = await fetch(url + path, { ...init, headers, signal });
        // Read within the limit too; every answer of a sandbox server is short.
        return new Response(await response.text(), { status: response.status });
      });
    let known: Promise<string> | null = null;
    this.#isThere = async (sessionId) => {
      // Found once for all questions: asking whether a sandbox is there costs nothing else.
      known ??= secret();
      const authorization = `Bearer ${await known.catch((error: unknown) => {
        known = null;
        throw error;
      })}`;
      return await isKnown((path, init) => {
        return withTimeout(THERE_TIMEOUT_MS, async (signal) => {
          const response = await fetch(url + path, { ...init, headers: { authorization }, signal });
          return new Response(await response.text(), { status: response.status });
        });
      }, sessionId);
    };
  }

  isThere(sessionId: string): Promise<boolean> {
    return this.#isThere(sessionId);
  }

  gateway(origin: string, token: string): StartSession['gateway'] {
    return { url: `${origin}/gateway`, token };
  }

  /** It runs already. */
  async warm(): Promise<void> {}

  start(sessionId: string, body: StartSession): Promise<SandboxStatus> {
    return startSession(this.#fetch, sessionId, body);
  }

  command(sessionId: string, command: SandboxCommand): Promise<void> {
    return sendCommand(this.#fetch, sessionId, command);
  }

  purge(sessionId: string, generation: number): Promise<void> {
    return purgeSession(this.#fetch, sessionId, generation);
  }

  files(sessionId: string): Promise<GivenFile[]> {
    return listFiles(this.#fetch, sessionId);
  }

  putFile(sessionId: string, name: string, body: ReadableStream<Uint8Array>): Promise<GivenFile> {
    return putFile(this.#fetch, sessionId, name, body);
  }
}
