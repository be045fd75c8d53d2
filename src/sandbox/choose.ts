/** The sandbox that the configuration asks for. */
import type { Config } from '../config.ts';
import { ContainerSandbox } from './container.ts';
import { EndpointSandbox } from './endpoint.ts';
import type { Sandbox } from './sandbox.ts';

/** @param generation life number of the sandbox; each life of a container is an object of its own */
export function sandboxFor(where: { env: Env; config: Config }, sessionId: string, generation: number): Sandbox {
  const { sandbox } = where.config;
  if (sandbox.kind === 'endpoint') return new EndpointSandbox(sandbox.url, sandbox.secret);
  return new ContainerSandbox(where.env.SANDBOX_CONTAINER, sessionId, generation);
}
