/** The sandbox as a Cloudflare Container. */

import { messageOf } from '../lib/error.ts';
import type { GivenFile } from '../protocol/files.ts';
import type { SandboxCommand } from '../protocol/sandbox/commands.ts';
import type { SandboxStatus, StartSession } from '../protocol/sandbox/start.ts';
import type { Egress } from '../protocol/settings/egress.ts';
import type { InstanceSize } from '../protocol/settings/placement.ts';
import { isKnown, listFiles, putFile, type SandboxFetch, sendCommand, startSession } from './http.ts';
import { type Sandbox, SandboxError, SandboxLostError } from './sandbox.ts';
import { GATEWAY_HOST, type Reply, type SandboxContainer } from './sandbox-container.ts';
import { explainStartFailure } from './start-failure.ts';

type Namespace = DurableObjectNamespace<SandboxContainer>;

/** The objects behind containers of a size. */
export function containersOf(env: Env, size: InstanceSize): Namespace {
  switch (size) {
    case 'small':
      return env.SANDBOX_CONTAINER_SMALL;
    case 'standard':
      return env.SANDBOX_CONTAINER;
    case 'large':
      return env.SANDBOX_CONTAINER_LARGE;
  }
}

const INSTANCE_SIZES: readonly InstanceSize[] = ['standard', 'small', 'large'];

/** Whether a container, by its object's id, is the one of this life of a session. */
export function isContainerOf(env: Env, containerId: string, sessionId: string, generation: number): boolean {
  const name = nameOf(sessionId, generation);
  return INSTANCE_SIZES.some((size) => containersOf(env, size).idFromName(name).toString() === containerId);
}

/**
 * Ends the containers of a session's lives, and has their objects delete what they store.
 * @param generation of the last life
 * @throws what the platform says of an object that does not answer
 */
export async function forgetContainers(env: Env, sessionId: string, generation: number): Promise<void> {
  for (let life = 1; life <= generation; life += 1) {
    const name = nameOf(sessionId, life);
    await Promise.all(INSTANCE_SIZES.map((size) => containersOf(env, size).getByName(name).erase()));
  }
}

/** Each life has an object, and so a container, of its own. */
function nameOf(sessionId: string, generation: number): string {
  return `${sessionId}:${generation}`;
}

export class ContainerSandbox implements Sandbox {
  /** The platform tells it: see `onStop` of the container's object. */
  readonly endsUntold = false;
  readonly #container: DurableObjectStub<SandboxContainer>;
  readonly #rules: { workspace: string; repository: string; egress: Egress };
  readonly #fetch: SandboxFetch;

  /** @param rules what the container may reach, from its next start on */
  constructor(
    containers: Namespace,
    sessionId: string,
    generation: number,
    rules: { workspace: string; repository: string; egress: Egress },
  ) {
    this.#container = containers.getByName(nameOf(sessionId, generation));
    this.#rules = rules;
    this.#fetch = async (path, init) =>
      asResponse(await withErrorText('answer', () => this.#container.ask(path, init.method, init.body)));
  }

  gateway(_origin: string, token: string): StartSession['gateway'] {
    return { url: `http://${GATEWAY_HOST}`, token };
  }

  isThere(sessionId: string): Promise<boolean> {
    return isKnown(this.#fetch, sessionId);
  }

  async warm(sessionId: string): Promise<void> {
    await withErrorText('start', () => this.#container.warm(sessionId));
  }

  start(sessionId: string, body: StartSession): Promise<SandboxStatus> {
    const rules = { session: sessionId, ...this.#rules };
    const begin: SandboxFetch = async (path, init) =>
      asResponse(await withErrorText('start', () => this.#container.begin(rules, path, String(init.body))));
    return startSession(begin, sessionId, body);
  }

  command(sessionId: string, command: SandboxCommand): Promise<void> {
    return sendCommand(this.#fetch, sessionId, command);
  }

  /** Its disk ends with it. */
  async purge(): Promise<void> {}

  files(sessionId: string): Promise<GivenFile[]> {
    return listFiles(this.#fetch, sessionId);
  }

  putFile(sessionId: string, name: string, body: ReadableStream<Uint8Array>): Promise<GivenFile> {
    return putFile(this.#fetch, sessionId, name, body);
  }
}

/** @throws SandboxLostError for null: the container was started before, so it has ended, and its disk is gone with it */
function asResponse(reply: Reply | null): Response {
  if (reply) return new Response(reply.text, { status: reply.status });
  throw new SandboxLostError();
}

/** No capacity, a start that failed, an image that is being pulled: all of them may pass. @throws SandboxError */
async function withErrorText<T>(what: 'start' | 'answer', call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (cause) {
    const why = messageOf(cause);
    const { reason, hint } = explainStartFailure(why);
    throw new SandboxError(`the container did not ${what}: ${why}`, { retryable: true, hint, reason, cause });
  }
}
