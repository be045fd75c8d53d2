/** The last steps of signing in with Linear: from a code to a cookie. The person's token is revoked as soon as it was read with. */
import * as z from 'zod';
import type { Config } from '../../config/config.ts';
import { readConfig } from '../../config/read-config.ts';
import { LinearError } from '../../linear/api/errors.ts';
import { sendWith } from '../../linear/api/send.ts';
import { type Credentials, exchangeCode, type Grant, revokeToken } from '../../linear/tokens/oauth.ts';
import { log } from '../../observability/log.ts';
import { type KnownPerson, personOfToken } from '../../people/linear-membership.ts';
import { keyOf, signIn } from '../../people/sign-in.ts';
import { audit } from '../../store/audit.ts';
import { openDatabase } from '../../store/database.ts';
import type { BegunInstallation } from '../../store/oauth-states.ts';
import { findWorkspace } from '../../store/workspaces/workspaces.ts';
import type { PeopleContext } from '../middleware/needs.ts';
import { keepToken } from '../middleware/sign-in-cookie.ts';
import { noteRefused } from '../middleware/sign-in-limit.ts';
import { refusedPage, type SignInRefusal } from './pages.ts';

/** Signs the person in whose code came back, and sends the browser on; otherwise a page that says why not. */
export async function finishSignIn(
  c: PeopleContext,
  credentials: Credentials,
  { verifier, redirectUri, callback }: BegunInstallation,
  code: string,
): Promise<Response> {
  const config = readConfig(c.env);
  const refuse = async (why: SignInRefusal, detail: string | null = null) => {
    await noteRefused(c, why);
    return refusedPage(c, why, detail);
  };
  const outcome = await exchangeCode(credentials, { code, redirectUri, verifier });
  if (outcome.kind === 'refused') return refuse('code-refused', outcome.message);
  // Neither is the person's fault.
  if (outcome.kind !== 'granted') return refusedPage(c, outcome.kind, outcome.message);
  const known = await readPerson(config, outcome.grant);
  if (known === 'unreachable') return refusedPage(c, 'unreachable');
  if (known === null) return refuse('no-person');
  const { workspaceId } = known.membership;
  const database = openDatabase(c.env.DB, config.encryptionKey, config.oldEncryptionKey);
  const workspace = await findWorkspace(database, workspaceId);
  if (!workspace || workspace.status === 'revoked') return refuse('stranger');
  const now = Date.now();
  const { token, until, id } = await signIn(
    { env: c.env, config, database },
    known,
    c.req.header('user-agent') ?? null,
    now,
  );
  const actor = keyOf(known.membership);
  await audit(database, {
    at: now,
    actor,
    action: 'person.signed-in',
    workspaceId,
    details: { name: known.name, signIn: id },
  });
  log('people.sign_in.made', { workspace: workspaceId, person: actor });
  keepToken(c, token, until);
  c.header('cache-control', 'no-store');
  return c.redirect(callback ?? '/', 303);
}

/** Whose token it is. However that ends, the token is good for nothing afterwards. */
async function readPerson(config: Config, grant: Grant): Promise<KnownPerson | null | 'unreachable'> {
  try {
    return await personOfToken(sendWith(config.linear.apiUrl, grant.accessToken));
  } catch (error) {
    if (!(error instanceof LinearError) && !(error instanceof z.ZodError)) throw error;
    log('people.person.unknown', { error });
    return 'unreachable';
  } finally {
    await giveBack(config, grant);
  }
}

async function giveBack({ linear }: Config, { accessToken, refreshToken }: Grant): Promise<void> {
  const problems = [
    refreshToken === null ? null : await revokeToken(linear.app, refreshToken, 'refresh_token'),
    await revokeToken(linear.app, accessToken, 'access_token'),
  ].filter((problem) => problem !== null);
  // Nothing keeps it here; Linear ends it by itself within a day.
  for (const reason of problems) log('linear.token_revoke.failed', { reason });
}
