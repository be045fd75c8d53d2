/** A sandbox server at an address: a VPS, a build machine, or the local process that `npm start` runs. */
import type { SandboxCommand, SandboxStatus, StartSession } from '../protocol/sandbox.ts';
import { type SandboxFetch, sendCommand, startSession } from './http.ts';
import type { Sandbox } from './sandbox.ts';

/** A start answers before the workspace is prepared, so nothing takes long. */
const TIMEOUT_MS = 15_000;

export class EndpointSandbox implements Sandbox {
  readonly #fetch: SandboxFetch;

  /**
   * @param url address of the server, without trailing slash
   * @param secret shared with the server (`CYRUS_SANDBOX_SECRET` there)
   */
  constructor(url: string, secret: string) {
    this.#fetch = (path, init) =>
      fetch(url + path, {
        ...init,
        headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
  }

  gateway(origin: string, token: string): StartSession['gateway'] {
    return { url: `${origin}/gateway`, token };
  }

  start(sessionId: string, body: StartSession): Promise<SandboxStatus> {
    return startSession(this.#fetch, sessionId, body);
  }

  command(sessionId: string, command: SandboxCommand): Promise<void> {
    return sendCommand(this.#fetch, sessionId, command);
  }
}
