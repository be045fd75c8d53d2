/** Where a session's sandbox runs: as its repository says, else as the deployment does. */
import type { Config } from '../config/config.ts';
import { defaultEgress, type Egress } from '../protocol/settings/egress.ts';
import type { Placement } from '../protocol/settings/placement.ts';
import type { RepositorySettings } from '../protocol/settings/repository.ts';
import type { Database } from '../store/database.ts';
import { ContainerSandbox, containersOf } from './container.ts';
import { EndpointSandbox } from './endpoint.ts';
import { type Sandbox, SandboxError } from './sandbox.ts';
import { findServerSecret, type SecretCopy } from './server-secret.ts';

/** What is known of the session. */
export interface Where {
  env: Env;
  config: Config;
  database: Database;
  secretCopy: SecretCopy;
  state: {
    workspaceId: string;
    repository: string | null;
    arrangement: { placement?: Placement; egress?: Egress } | null;
  };
}

/** Where the sandboxes of a repository run. */
export function placementOf(settings: RepositorySettings, config: Config): Placement {
  const { sandbox, instance } = settings;
  if (sandbox?.kind === 'endpoint') return sandbox;
  if (sandbox === undefined && config.sandbox.kind === 'endpoint') return { kind: 'deployment' };
  return { kind: 'container', instance };
}

/**
 * The sandbox of one life of a session, where its last start was.
 * @param generation life number of the sandbox; each life of a container is an object of its own
 */
export function sandboxFor(where: Where, sessionId: string, generation: number): Sandbox {
  const { env, config, state } = where;
  const placement = state.arrangement?.placement ?? undecided(config);
  switch (placement.kind) {
    case 'container': {
      const { workspaceId: workspace, repository, arrangement } = state;
      const rules = { workspace, repository: repository ?? '', egress: arrangement?.egress ?? defaultEgress };
      return new ContainerSandbox(containersOf(env, placement.instance), sessionId, generation, rules);
    }
    case 'endpoint':
      return new EndpointSandbox(placement.url, () => secretOf(where, placement.url));
    case 'deployment': {
      const { sandbox } = config;
      if (sandbox.kind === 'endpoint') return new EndpointSandbox(sandbox.url, async () => sandbox.secret);
      return sandboxFor({ ...where, state: { ...state, arrangement: null } }, sessionId, generation);
    }
  }
}

/** For sessions that began before this was noted. */
function undecided(config: Config): Placement {
  return config.sandbox.kind === 'endpoint' ? { kind: 'deployment' } : { kind: 'container', instance: 'standard' };
}

/** @throws SandboxError if none is stored for this address, DatabaseError, DecryptionError */
async function secretOf({ database, secretCopy, state }: Where, url: string): Promise<string> {
  const { workspaceId, repository } = state;
  const secret = await findServerSecret(database, secretCopy, { workspaceId, fullName: repository ?? '', url });
  if (secret !== null) return secret;
  throw new SandboxError(`no secret is stored for the sandbox server ${url} of ${repository}`, {
    retryable: false,
    hint: 'Ask an admin to store it (PUT /api/admin/workspaces/:id/sandbox-secrets/:owner/:name); then comment to try again.',
  });
}
