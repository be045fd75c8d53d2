/**
 * `/api/admin/workspaces/:id/…`, what concerns sandboxes: the secret of a repository's own sandbox server, and the list of
 * hosts that its containers may reach. Mounted by workspaces.ts, behind the guard of admin.ts.
 */
import { type Context, Hono } from 'hono';
import { z } from 'zod';
import type { Config } from '../config.ts';
import { log } from '../observability/log.ts';
import { type ApiError, sandboxSecretInputSchema } from '../protocol/api.ts';
import { allowedHosts } from '../protocol/egress.ts';
import { audit } from '../store/audit.ts';
import { type Database, listRepositories, type RepositorySummary } from '../store/database.ts';
import { deleteSandboxSecret, putSandboxSecret } from '../store/sandbox-secrets.ts';

type Bindings = { Bindings: Env; Variables: { config: Config; database: Database } };

const SECRET = '/workspaces/:id/sandbox-secrets/:owner/:name{.+}';

export const sandboxes = new Hono<Bindings>();

/** The secret is for the address in the repository's setting `sandbox`, and is named along with it, so that nothing is mixed up. */
sandboxes.put(SECRET, async (c) => {
  const parsed = sandboxSecretInputSchema.safeParse(await c.req.json().catch(() => null));
  if (!parsed.success) return c.json(problem('bad_request', z.prettifyError(parsed.error)), 400);
  const repository = await repositoryOf(c);
  if (!repository) return c.json(noSuchRepository(c), 404);
  const { workspaceId, fullName, settings } = repository;
  const { url, secret } = parsed.data;
  await putSandboxSecret(c.var.database, { workspaceId, fullName, url }, secret, Date.now());
  await note(c, 'sandbox-secret.stored', { repository: fullName, url });
  const isUsed = settings.sandbox?.kind === 'endpoint' && settings.sandbox.url === url;
  return c.json({ fullName, url, isUsed });
});

sandboxes.delete(SECRET, async (c) => {
  const fullName = fullNameOf(c);
  if (!(await deleteSandboxSecret(c.var.database, c.req.param('id') ?? '', fullName))) {
    return c.json(problem('no_such_secret', `No secret of a sandbox server is stored for ${fullName}.`), 404);
  }
  await note(c, 'sandbox-secret.deleted', { repository: fullName });
  return c.body(null, 204);
});

/** The list of hosts, as the rules of the repository amount to it. */
sandboxes.get('/workspaces/:id/egress/:owner/:name{.+}', async (c) => {
  const repository = await repositoryOf(c);
  if (!repository) return c.json(noSuchRepository(c), 404);
  const { egress } = repository.settings;
  return c.json({ fullName: repository.fullName, preset: egress.preset, hosts: allowedHosts(egress) });
});

async function repositoryOf(c: Context<Bindings>): Promise<RepositorySummary | undefined> {
  const repositories = await listRepositories(c.var.database, c.req.param('id') ?? '');
  return repositories.find(({ fullName }) => fullName === fullNameOf(c));
}

async function note(
  c: Context<Bindings>,
  action: `sandbox-secret.${string}`,
  details: Record<string, string>,
): Promise<void> {
  const workspaceId = c.req.param('id') ?? '';
  log(`admin.${action}`, { workspace: workspaceId, ...details });
  await audit(c.var.database, { at: Date.now(), actor: 'admin', action, workspaceId, details });
}

function fullNameOf(c: Context<Bindings>): string {
  return `${c.req.param('owner')}/${c.req.param('name')}`;
}

function noSuchRepository(c: Context<Bindings>): ApiError {
  return problem('no_such_repository', `The workspace ${c.req.param('id')} has no repository ${fullNameOf(c)}.`);
}

function problem(error: string, message: string): ApiError {
  return { error, message };
}
