/** Whether Linear knows the application, takes the tokens, and sends what Cyrus needs. */
import type { Config } from '../../config/config.ts';
import { LinearError } from '../../linear/api/errors.ts';
import { callOf } from '../../linear/api/operation.ts';
import { IDENTITY } from '../../linear/api/operations.ts';
import { sendThrough } from '../../linear/api/send.ts';
import { checkCredentials, credentialsOf, SCOPES } from '../../linear/tokens/oauth.ts';
import { bad, type Finding, good, skipped, warn } from '../../protocol/doctor.ts';
import type { Workspace } from '../../store/workspaces/workspaces.ts';
import { operationsOf } from '../operations.ts';
import { verdictOf, type WebhookRecord, webhookTypesMissing } from '../webhook-record.ts';

/** Whether id and secret of the application are right, by a code that cannot exist. @param redirectUri the callback's address */
export async function applicationFinding({ linear }: Config, redirectUri: string): Promise<Finding> {
  const name = 'linear application';
  const credentials = credentialsOf(linear.app);
  if (!credentials) {
    return bad(
      name,
      'LINEAR_CLIENT_ID or LINEAR_CLIENT_SECRET is not set',
      'Open /install: it opens the form of a new application in Linear, filled in, and says how to store both values.',
    );
  }
  const checked = await checkCredentials(credentials, redirectUri);
  if (checked === 'accepted') return good(name, 'Linear knows the application by its id and secret');
  if (checked === 'refused') {
    return bad(
      name,
      'Linear does not accept LINEAR_CLIENT_ID and LINEAR_CLIENT_SECRET',
      'Copy both again from the page of the application in Linear: npx wrangler secret put LINEAR_CLIENT_ID, then LINEAR_CLIENT_SECRET.',
    );
  }
  return warn(name, `Whether Linear knows the application cannot be told: ${checked.unknown}`, 'Try again later.');
}

/** Whether Linear takes the token of a workspace, and what it granted. */
export async function workspaceFinding(env: Env, workspace: Workspace): Promise<Finding> {
  const name = `linear workspace ${workspace.urlKey}`;
  if (workspace.status === 'revoked') return skipped(name, `Cyrus was removed from ${workspace.name}`);
  const again = 'Open /install and add Cyrus to the workspace again; repositories and sessions stay.';
  if (workspace.status === 'reinstall-needed') {
    return bad(name, `Linear takes the tokens of ${workspace.name} no more`, again);
  }
  const granted = workspace.scope?.split(/\s+/) ?? null;
  const missing = SCOPES.filter((scope) => granted !== null && !granted.includes(scope));
  if (missing.length > 0) return bad(name, `Linear granted Cyrus no ${missing.join(', ')}`, again);
  try {
    const identity = IDENTITY.answer.parse(await sendThrough(env, workspace.id)(callOf(IDENTITY, {})));
    if (!identity.viewer.app) return bad(name, 'The token acts for a person, so nothing can be delegated to it', again);
    return good(name, `Linear takes the token of ${workspace.name}`);
  } catch (error) {
    if (!(error instanceof LinearError)) throw error;
    if (error.kind === 'unauthorized') return bad(name, error.message, again);
    return warn(name, error.message, 'Look at linearstatus.com and try again.');
  }
}

/** Whether webhooks come, match the secret, and are of all kinds that Cyrus needs. */
export async function webhookFindings(env: Env, origin: string): Promise<Finding[]> {
  const record = await operationsOf(env).webhooks();
  return [arrivalFinding(record, origin), ...subscriptionFindings(record)];
}

function arrivalFinding(record: WebhookRecord, origin: string): Finding {
  const { kind, words } = verdictOf(record);
  if (kind === 'good') return good('webhooks', words);
  if (kind === 'bad') {
    return bad(
      'webhooks',
      words,
      'Copy the signing secret of the application in Linear again: npx wrangler secret put LINEAR_WEBHOOK_SECRET.',
    );
  }
  return warn(
    'webhooks',
    words,
    `Mention Cyrus in an issue. If nothing comes, the application in Linear needs the webhook ${origin}/webhooks/linear.`,
  );
}

/** What the application was never heard of, although something that comes with it was: a box that was not ticked in Linear's form. */
function subscriptionFindings(record: WebhookRecord): Finding[] {
  const missing = webhookTypesMissing(record, Date.now());
  if (missing === null) return [skipped('webhook events', 'Too little has come yet to tell which events Linear sends')];
  if (missing.length === 0) return [good('webhook events', 'Linear sends agent sessions and changes of issues')];
  return missing.map(({ type, without }) =>
    warn(
      'webhook events',
      `No event ${type} has ever come, so ${without}`,
      `In Linear, open the application (Settings, API) and tick ${type} among the events of its webhook.`,
    ),
  );
}
