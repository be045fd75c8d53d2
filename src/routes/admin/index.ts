/** `/api/admin`: repositories, and through workspaces.ts workspaces, for anyone who holds ADMIN_TOKEN. Secrets go in and never come out. */
import { Hono } from 'hono';
import { timingSafeEqual } from 'hono/utils/buffer';
import * as z from 'zod';
import type { Config } from '../../config/config.ts';
import { problemOfAccess } from '../../github/access.ts';
import { isLoopback } from '../../lib/loopback.ts';
import { mergePatch } from '../../lib/merge-patch.ts';
import { log } from '../../observability/log.ts';
import { repositoryChangeSchema, repositoryInputSchema } from '../../protocol/api.ts';
import { startSessionSchema } from '../../protocol/sandbox/start.ts';
import { openDatabase } from '../../store/database.ts';
import { settledConfig } from '../../store/settings.ts';
import {
  deleteRepository,
  findRepository,
  listRepositories,
  upsertRepository,
} from '../../store/workspaces/repositories.ts';
import { findWorkspace } from '../../store/workspaces/workspaces.ts';
import { bodyLimit } from '../middleware/body-limit.ts';
import { servesOthers } from '../middleware/needs.ts';
import { adminLimit, isPublicTooOften, tooOften } from '../middleware/request-limit.ts';
import { alerts } from './alerts.ts';
import { archive } from './archive.ts';
import { erase } from './erase.ts';
import { mcpServers } from './mcp-servers.ts';
import { type AdminEnv, fullNameOf, noSuchRepository, noSuchWorkspace, note, problem, readBody } from './request.ts';
import { settings } from './settings.ts';
import { usage } from './usage.ts';
import { workspaces } from './workspaces.ts';

const MAX_BODY_BYTES = 64 * 1024;
/** Linear's are UUIDs. */
const WORKSPACE_ID = /^[\w-]{1,100}$/;
const REPOSITORY = '/workspaces/:id/repositories/:owner/:name{.+}';

const fullNameSchema = startSessionSchema.shape.repository.shape.fullName.refine(
  (name) => !name.endsWith('.git') && !name.split('/').some((part) => /^\.+$/.test(part)),
  'must be owner/name as on the git host, without .git',
);

export const admin = new Hono<AdminEnv>();

admin.use(servesOthers('ADMIN_TOKEN'));
admin.use(async (c, next) => {
  const config = await settledConfig(c.env, null);
  const token = /^Bearer +(\S+)$/i.exec(c.req.header('authorization') ?? '')?.[1] ?? '';
  if (!(await timingSafeEqual(token, config.adminToken))) {
    if (await isPublicTooOften(c, config, 'admin')) return tooOften(c, 60);
    log('admin.token.refused', { path: c.req.path });
    const message = 'Send `Authorization: Bearer` with the ADMIN_TOKEN of this deployment.';
    return c.json(problem('unauthorized', message), 401, { 'www-authenticate': 'Bearer realm="Cyrus admin"' });
  }
  c.set('config', config);
  c.set('database', openDatabase(c.env.DB, config.encryptionKey, config.oldEncryptionKey));
  return adminLimit(c, next, config);
});

// Before the bound of the others: its parts are larger.
admin.route('/', archive);

admin.use(
  bodyLimit({
    maxSize: MAX_BODY_BYTES,
    onError: (c) => c.json(problem('too_large', `A body has at most ${MAX_BODY_BYTES} bytes.`), 413),
  }),
);

admin.use('/workspaces/:id/*', async (c, next) => {
  const id = c.req.param('id');
  if (WORKSPACE_ID.test(id)) return next();
  return c.json(problem('bad_request', 'The id of a workspace has 1 to 100 letters, digits, "-" and "_".'), 400);
});

admin.route('/', workspaces);
admin.route('/', usage);
admin.route('/', settings);
admin.route('/', alerts);
admin.route('/', erase);
admin.route('/', mcpServers);

admin.get('/workspaces/:id/repositories', async (c) => {
  const id = c.req.param('id');
  if (!(await findWorkspace(c.var.database, id))) return c.json(noSuchWorkspace(id), 404);
  return c.json({ repositories: await listRepositories(c.var.database, id) });
});

admin.get(REPOSITORY, async (c) => {
  const repositories = await listRepositories(c.var.database, c.req.param('id'));
  const repository = repositories.find(({ fullName }) => fullName === fullNameOf(c));
  return repository ? c.json(repository) : c.json(noSuchRepository(c.req.param('id'), fullNameOf(c)), 404);
});

admin.put(REPOSITORY, async (c) => {
  const fullName = fullNameSchema.safeParse(fullNameOf(c));
  if (!fullName.success) return c.json(problem('bad_request', z.prettifyError(fullName.error)), 400);
  const input = await readBody(c, repositoryInputSchema);
  if (!input.success) return c.json(input.problem, 400);
  const { config } = c.var;
  const access = { cloneUrl: input.data.cloneUrl, credential: input.data.credential ?? null };
  const addressProblem = problemOfAddress(input.data.cloneUrl, config) ?? problemOfAccess(config, access);
  if (addressProblem) return c.json(problem('bad_request', addressProblem), 400);
  const id = c.req.param('id');
  if (!(await findWorkspace(c.var.database, id))) {
    return c.json(problem('no_such_workspace', `There is no workspace ${id}: store it first.`), 404);
  }
  await upsertRepository(c.var.database, id, fullName.data, input.data, Date.now());
  await note(c, 'repository.stored', id, { repository: fullName.data });
  const { cloneUrl, baseBranch, credential } = input.data;
  return c.json({ fullName: fullName.data, cloneUrl, baseBranch, hasCredential: credential !== undefined });
});

/** Changes what is given, and keeps the rest: also the credential, which nobody can read to give it again. */
admin.patch(REPOSITORY, async (c) => {
  const change = await readBody(c, repositoryChangeSchema);
  if (!change.success) return c.json(change.problem, 400);
  const id = c.req.param('id');
  const before = await findRepository(c.var.database, id, fullNameOf(c));
  if (!before) return c.json(noSuchRepository(c.req.param('id'), fullNameOf(c)), 404);
  const { credential, settings, ...changed } = change.data;
  const { cloneUrl = before.cloneUrl, baseBranch = before.baseBranch } = changed;
  const addressProblem = problemOfAddress(cloneUrl, c.var.config);
  if (addressProblem) return c.json(problem('bad_request', addressProblem), 400);
  if (cloneUrl !== before.cloneUrl && before.credential && credential === undefined) {
    const message =
      'The stored credential belongs to another address: give one with the new address, or null for none.';
    return c.json(problem('credential_needed', message), 409);
  }
  const merged = repositoryInputSchema.shape.settings.safeParse(mergePatch(before.settings, settings ?? {}));
  if (!merged.success) return c.json(problem('bad_request', `settings: ${z.prettifyError(merged.error)}`), 400);
  const kept = credential === undefined ? before.credential : credential;
  const accessProblem = problemOfAccess(c.var.config, { cloneUrl, credential: kept });
  if (accessProblem) return c.json(problem('bad_request', accessProblem), 400);
  const input = { cloneUrl, baseBranch, settings: merged.data, ...(kept && { credential: kept }) };
  await upsertRepository(c.var.database, id, before.fullName, input, Date.now());
  await note(c, 'repository.changed', id, { repository: before.fullName });
  const { credential: _, ...shown } = { ...before, cloneUrl, baseBranch, settings: merged.data };
  return c.json({ ...shown, hasCredential: kept !== null });
});

admin.delete(REPOSITORY, async (c) => {
  const id = c.req.param('id');
  const deleted = await deleteRepository(c.var.database, id, fullNameOf(c));
  if (!deleted) return c.json(noSuchRepository(c.req.param('id'), fullNameOf(c)), 404);
  await note(c, 'repository.deleted', id, { repository: fullNameOf(c) });
  return c.body(null, 204);
});

admin.all('*', (c) => c.json(problem('not_found', 'There is no such address.'), 404));

/** Why a clone address is refused, or null. What is in an address ends up in logs, so no secret may be in it. */
function problemOfAddress(cloneUrl: string, config: Config): string | null {
  const { protocol, hostname, username, password, search, hash } = new URL(cloneUrl);
  if (username || password) return 'cloneUrl: put the credential into `credential`, not into the address';
  if (search || hash) return 'cloneUrl: must have no query and no fragment';
  if (protocol === 'http:' && config.environment !== 'local' && !isLoopback(hostname)) {
    return `cloneUrl: must be https unless it is a loopback address, for the credential of ${hostname} travels with every request`;
  }
  return null;
}
