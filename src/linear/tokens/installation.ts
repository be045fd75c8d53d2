/** The last steps of an installation: from tokens just granted to a workspace that is stored. All or nothing. */
import type * as z from 'zod';
import type { Config } from '../../config/config.ts';
import { readConfig } from '../../config/read-config.ts';
import { log } from '../../observability/log.ts';
import { audit } from '../../store/audit.ts';
import { openDatabase } from '../../store/database.ts';
import type { InstalledBy } from '../../store/schema.ts';
import { findWorkspace } from '../../store/workspaces/workspaces.ts';
import { LinearError } from '../api/errors.ts';
import { callOf } from '../api/operation.ts';
import { IDENTITY } from '../api/operations.ts';
import { sendWith } from '../api/send.ts';
import { type Grant, revokeToken, SCOPES } from './oauth.ts';

/**
 * What became of an installation. When it was not made, nothing is stored and the tokens are given back to Linear.
 * - `scope`: Linear granted less than Cyrus needs; `missing` says what
 * - `person`: the tokens act for a person, not for the app
 * - `unreachable`: Linear did not return the issue whose tokens these are
 */
export type Installed =
  | { kind: 'installed'; workspace: { id: string; name: string; urlKey: string }; isNew: boolean }
  | { kind: 'scope'; missing: string[] }
  | { kind: 'person' }
  | { kind: 'unreachable'; message: string };

/**
 * Checks what was granted, asks Linear whose it is, and stores it.
 * @param how how the grant came about, and who did it, for the audit log
 * @throws NotMigratedError, DatabaseError, DecryptionError
 */
export async function completeInstallation(
  env: Env,
  grant: Grant,
  how: { installedBy: InstalledBy; actor: string },
): Promise<Installed> {
  const config = readConfig(env);
  const checked = await check(config, grant);
  if ('kind' in checked) {
    await giveBack(config, grant);
    log('linear.installation.refused', { reason: checked.kind });
    return checked;
  }
  const { id: appUserId, organization } = checked.viewer;
  const { id, name, urlKey } = organization;
  const database = openDatabase(env.DB, config.encryptionKey);
  const before = await findWorkspace(database, id);
  const { accessToken, refreshToken, expiresAt, scopes } = grant;
  const scope = scopes?.join(' ') ?? null;
  const { installedBy, actor } = how;
  const installation = { name, urlKey, appUserId, accessToken, refreshToken, expiresAt, scope, installedBy };
  await env.LINEAR_WORKSPACE.getByName(id).install(installation);
  const action = before ? 'workspace.reinstalled' : 'workspace.installed';
  const details = { name, urlKey, appUserId, scope, installedBy, renews: refreshToken !== null };
  await audit(database, { at: Date.now(), actor, action, workspaceId: id, details });
  log('linear.workspace.installed', { workspace: id, again: before !== null });
  return { kind: 'installed', workspace: { id, name, urlKey }, isNew: before === null };
}

/** Whose the grant is, or why it is of no use. */
async function check(
  config: Config,
  { accessToken, scopes }: Grant,
): Promise<z.infer<typeof IDENTITY.answer> | Exclude<Installed, { kind: 'installed' }>> {
  const missing = SCOPES.filter((scope) => scopes !== null && !scopes.includes(scope));
  if (missing.length > 0) return { kind: 'scope', missing };
  try {
    const send = sendWith(config.linear.apiUrl, accessToken);
    const identity = IDENTITY.answer.safeParse(await send(callOf(IDENTITY, {})));
    if (!identity.success) return { kind: 'unreachable', message: "Linear's answer does not match the question" };
    return identity.data.viewer.app ? identity.data : { kind: 'person' };
  } catch (error) {
    if (error instanceof LinearError) return { kind: 'unreachable', message: error.message };
    throw error;
  }
}

/** A token that is not kept should not live on. Linear forgets it by itself should this fail. */
async function giveBack(config: Config, { accessToken, refreshToken }: Grant): Promise<void> {
  const { app } = config.linear;
  const problem =
    (refreshToken && (await revokeToken(app, refreshToken, 'refresh_token'))) ||
    (await revokeToken(app, accessToken, 'access_token'));
  if (problem) log('linear.token_revoke.failed', { reason: problem });
}
