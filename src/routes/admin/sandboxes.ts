/**
 * `/api/admin/workspaces/:id/…`, what concerns sandboxes: the secret of a repository's own sandbox server, and the list of
 * hosts that its containers may reach. Mounted by workspaces.ts, behind the guard of index.ts.
 */
import { Hono } from 'hono';
import { sandboxSecretInputSchema } from '../../protocol/api.ts';
import { allowedHosts } from '../../protocol/settings/egress.ts';
import { deleteSandboxSecret, putSandboxSecret } from '../../store/sandbox-secrets.ts';
import { listRepositories, type RepositorySummary } from '../../store/workspaces/repositories.ts';
import { type AdminContext, type AdminEnv, fullNameOf, noSuchRepository, note, problem, readBody } from './request.ts';

const SECRET = '/workspaces/:id/sandbox-secrets/:owner/:name{.+}';

export const sandboxes = new Hono<AdminEnv>();

/** The secret is for the address in the repository's setting `sandbox`, and is named along with it, so that nothing is mixed up. */
sandboxes.put(SECRET, async (c) => {
  const parsed = await readBody(c, sandboxSecretInputSchema);
  if (!parsed.success) return c.json(parsed.problem, 400);
  const repository = await repositoryOf(c);
  if (!repository) return c.json(noSuchRepository(c.req.param('id'), fullNameOf(c)), 404);
  const { workspaceId, fullName, settings } = repository;
  const { url, secret } = parsed.data;
  await putSandboxSecret(c.var.database, { workspaceId, fullName, url }, secret, Date.now());
  await note(c, 'sandbox-secret.stored', workspaceId, { repository: fullName, url });
  const isUsed = settings.sandbox?.kind === 'endpoint' && settings.sandbox.url === url;
  return c.json({ fullName, url, isUsed });
});

sandboxes.delete(SECRET, async (c) => {
  const fullName = fullNameOf(c);
  if (!(await deleteSandboxSecret(c.var.database, c.req.param('id') ?? '', fullName))) {
    return c.json(problem('no_such_secret', `No secret of a sandbox server is stored for ${fullName}.`), 404);
  }
  await note(c, 'sandbox-secret.deleted', c.req.param('id') ?? '', { repository: fullName });
  return c.body(null, 204);
});

/** The list of hosts, as the rules of the repository amount to it. */
sandboxes.get('/workspaces/:id/egress/:owner/:name{.+}', async (c) => {
  const repository = await repositoryOf(c);
  if (!repository) return c.json(noSuchRepository(c.req.param('id'), fullNameOf(c)), 404);
  const { egress } = repository.settings;
  return c.json({ fullName: repository.fullName, preset: egress.preset, hosts: allowedHosts(egress) });
});

async function repositoryOf(c: AdminContext): Promise<RepositorySummary | undefined> {
  const repositories = await listRepositories(c.var.database, c.req.param('id') ?? '');
  return repositories.find(({ fullName }) => fullName === fullNameOf(c));
}
