/** `/install`: from nothing to an installed app. Builds Linear's prefilled form, tells which values to copy where, checks them. */
import { type Context, Hono } from 'hono';
import { html } from 'hono/html';
import type { Config } from '../../config/config.ts';
import { asError } from '../../lib/error.ts';
import { checkCredentials, credentialsOf } from '../../linear/tokens/oauth.ts';
import { log } from '../../observability/log.ts';
import { operationsOf } from '../../operations/operations.ts';
import {
  faultsOfDay,
  noWebhooks,
  verdictOf,
  type WebhookRecord,
  type WebhookVerdict,
} from '../../operations/webhook-record.ts';
import { mayDo } from '../../people/rights.ts';
import { openDatabase } from '../../store/database.ts';
import { settledConfig } from '../../store/settings.ts';
import { listWorkspaces, type Workspace } from '../../store/workspaces/workspaces.ts';
import { needs, type PeopleEnv } from '../middleware/needs.ts';
import { doctorPage } from './doctor-page.ts';
import { type Markup, page } from './html.ts';
import { manifestLink, takesWebhooks } from './manifest.ts';
import { redirectUriOf } from './oauth.ts';

type Tone = 'good' | 'bad' | 'warn';
/** The state of one of the three values. */
interface Standing {
  tone: Tone;
  words: string;
}

export const install = new Hono<PeopleEnv>();

/** `?check=credentials`: id and secret are tried at Linear's token endpoint; nothing is stored. */
install.get('/', needs('deployment.install'), async (c) => {
  const config = await settledConfig(c.env, null);
  const { person } = c.var;
  // An admin of a workspace is told nothing of the others.
  const isOfAll = person.isOwner || person.kind === 'setup';
  const workspaces = (await listWorkspaces(openDatabase(c.env.DB, config.encryptionKey))).filter(
    ({ id }) => isOfAll || mayDo(person, 'workspace.read', { kind: 'workspace', workspaceId: id }),
  );
  const webhooks = await knownWebhooks(c.env);
  const pair = c.req.query('check') === 'credentials' ? await checkPair(c, config) : null;
  return page(c, 200, {
    title: 'Install Cyrus in Linear',
    lead: 'Three steps, about two minutes. You need to be an admin of the workspace in Linear, and to have wrangler installed.',
    body: html`${config.ignored.map((words) => html`<p class="note">${words}</p>`)}<ol class="steps">
        ${createStep(c, config)} ${copyStep(config, pair, webhooks, isOfAll)} ${addStep(config)}
      </ol>
      ${installed(workspaces)}
      ${isOfAll ? doctorLink() : ''}`,
  });
});

/** What is known of webhooks. The rest of the page does not depend on it. */
async function knownWebhooks(env: Env): Promise<WebhookRecord> {
  try {
    return await operationsOf(env).webhooks();
  } catch (error) {
    log('operations.webhook_record.unreachable', { error: asError(error) });
    return noWebhooks;
  }
}

/** Everything that this deployment needs, looked at now. `?sandbox=true`: a container is started too. */
install.get('/doctor', needs('deployment.examine'), doctorPage);

function createStep(c: Context, config: Config): Markup {
  const redirectUri = redirectUriOf(c, config);
  const origin = new URL(redirectUri).origin;
  const unreachable = takesWebhooks(config, redirectUri)
    ? ''
    : html`<p class="note">Linear sends events to https addresses only, so the form comes without ${origin}: Linear cannot reach this deployment.</p>`;
  return html`<li>
          <h2>Create the application</h2>
          <p>Linear opens its form for a new application with everything filled in: the callback <code>${redirectUri}</code>, the webhook <code>${origin}/webhooks/linear</code> and the events. Change the name if you like, and create it.</p>
          ${unreachable}
          <p><a class="button" href="${manifestLink(config, redirectUri)}" target="_blank" rel="noopener">Open the form in Linear</a></p>
        </li>`;
}

/** @param isOfAll whether what arrived of all workspaces together is told */
function copyStep(config: Config, pair: Standing | null, webhooks: WebhookRecord, isOfAll: boolean): Markup {
  const { clientId, clientSecret } = config.linear.app;
  const values = [
    { name: 'LINEAR_CLIENT_ID', where: '“Client ID” on the page of the application', standing: isSet(clientId) },
    { name: 'LINEAR_CLIENT_SECRET', where: '“Client secret”, shown once', standing: isSet(clientSecret) },
    {
      name: 'LINEAR_WEBHOOK_SECRET',
      where: '“Signing secret” in the section about webhooks',
      standing: signingSecret(config.linear.webhookSecret, verdictOf(webhooks)),
    },
  ];
  const faults = isOfAll ? faultsOfDay(webhooks, Date.now()) : null;
  const check =
    clientId !== null && clientSecret !== null
      ? html`<p><a class="button quiet" href="/install?check=credentials">Check id and secret with Linear</a> ${pair ? pill(pair) : ''}</p>`
      : '';
  return html`<li>
          <h2>Copy three values</h2>
          <p>Each is stored as a secret of this Worker: run the command, paste the value. It takes effect at once, without a deploy.</p>
          <dl>
            ${values.map(
              ({ name, where, standing }) => html`<div>
              <dt>${name} ${pill(standing)}</dt>
              <dd>${where}<pre>npx wrangler secret put ${name}</pre></dd>
            </div>`,
            )}
          </dl>
          ${faults === null ? '' : html`<p class="note">${faults}</p>`}
          ${check}
        </li>`;
}

function addStep(config: Config): Markup {
  const { clientCredentials } = config.linear.app;
  const shortcut = clientCredentials
    ? html`<p class="note">LINEAR_CLIENT_CREDENTIALS is on: <code>POST /api/admin/workspaces</code> with the ADMIN_TOKEN connects the workspace that owns the application, without this button.</p>`
    : '';
  const button =
    credentialsOf(config.linear.app) === null
      ? html`<p><a class="button" aria-disabled="true">Add to Linear</a> <span class="note">once id and secret are set</span></p>`
      : html`<p><a class="button" href="/oauth/authorize">Add to Linear</a></p>`;
  return html`<li>
          <h2>Add it to a workspace</h2>
          <p>Linear asks which workspace and what Cyrus may do there. It acts as itself, never as you. Do this once for each workspace.</p>
          ${button} ${shortcut}
        </li>`;
}

const STATUS: Record<Workspace['status'], Standing> = {
  active: { tone: 'good', words: 'installed' },
  'reinstall-needed': { tone: 'bad', words: 'has to be installed again' },
  revoked: { tone: 'warn', words: 'removed' },
};

function installed(workspaces: Workspace[]): Markup | '' {
  if (workspaces.length === 0) return '';
  return html`<section class="card workspaces">
        <h2>Workspaces</h2>
        <ul>
          ${workspaces.map(
            ({ name, status, installedAt }) => html`<li>
            <strong>${name}</strong> ${pill(STATUS[status])}
            <span class="note">${installedAt === null ? '' : `since ${new Date(installedAt).toISOString().slice(0, 10)}`}</span>
          </li>`,
          )}
        </ul>
      </section>`;
}

function pill({ tone, words }: Standing): Markup {
  return html`<span class="pill ${tone}">${words}</span>`;
}

function isSet(value: string | null): Standing {
  return value === null ? { tone: 'bad', words: 'not set' } : { tone: 'good', words: 'set' };
}

/**
 * Linear's begin with lin_wh_; a deploy needs something in its place before the application exists. What deliveries show counts
 * before that: only one with a matching signature proves the secret.
 */
function signingSecret(value: string, { kind, words }: WebhookVerdict): Standing {
  if (kind === 'bad') return { tone: 'bad', words };
  if (kind === 'good') return { tone: 'good', words: 'set, and deliveries match it' };
  if (!value.startsWith('lin_wh_')) return { tone: 'warn', words: 'set, but not one of Linear’s' };
  return { tone: 'warn', words: 'set; no delivery has come yet that shows whether it matches' };
}

async function checkPair(c: Context, config: Config): Promise<Standing> {
  const credentials = credentialsOf(config.linear.app);
  if (!credentials) return { tone: 'bad', words: 'not set' };
  const checked = await checkCredentials(credentials, redirectUriOf(c, config));
  if (checked === 'accepted') return { tone: 'good', words: 'Linear accepts them' };
  if (checked === 'refused') return { tone: 'bad', words: 'Linear does not accept them' };
  return { tone: 'warn', words: `cannot tell: ${checked.unknown}` };
}

function doctorLink(): Markup {
  return html`<p><a class="button quiet" href="/install/doctor">Look at everything</a> <span class="note">variables, database, Linear, Claude, git and sandbox; takes some seconds</span></p>`;
}
