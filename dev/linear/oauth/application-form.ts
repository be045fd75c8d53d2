/** The form in which an admin sees a manifest, changes it, and makes the application. */
import { z } from 'zod';
import { Html, html } from '../../git/html.ts';
import type { ConsentWorkspace } from './consent.ts';
import { RESOURCE_TYPES } from './model.ts';

/** What is in the form; everything is text, right or wrong. */
export interface ApplicationForm {
  clientName: string;
  developer: string;
  description: string;
  clientUri: string;
  iconUrl: string;
  distribution: string;
  redirectUris: string[];
  clientCredentials: boolean;
  webhookEnabled: boolean;
  webhookUrl: string;
  resourceTypes: string[];
}

const text = z.string().catch('');
const list = z.array(z.string()).catch([]);
/** A manifest as far as it can be shown. */
const looseManifestSchema = z
  .object({
    distribution: z.string().catch('private'),
    display: z.object({ description: text, iconUrl: text }).catch({ description: '', iconUrl: '' }),
    developer: z.object({ name: text }).catch({ name: '' }),
    oauth: z
      .object({ client_name: text, client_uri: text, redirect_uris: list, grant_types: list })
      .catch({ client_name: '', client_uri: '', redirect_uris: [], grant_types: [] }),
    webhook: z
      .object({ enabled: z.boolean().catch(true), url: text, resourceTypes: list })
      .catch({ enabled: false, url: '', resourceTypes: [] }),
  })
  .catch({
    distribution: 'private',
    display: { description: '', iconUrl: '' },
    developer: { name: '' },
    oauth: { client_name: '', client_uri: '', redirect_uris: [], grant_types: [] },
    webhook: { enabled: false, url: '', resourceTypes: [] },
  });

/** @param manifest anything; what cannot be shown is left empty */
export function formOfManifest(manifest: unknown): ApplicationForm {
  const { distribution, display, developer, oauth, webhook } = looseManifestSchema.parse(manifest);
  return {
    clientName: oauth.client_name,
    developer: developer.name,
    description: display.description,
    clientUri: oauth.client_uri,
    iconUrl: display.iconUrl,
    distribution,
    redirectUris: oauth.redirect_uris,
    clientCredentials: oauth.grant_types.includes('client_credentials'),
    webhookEnabled: webhook.enabled,
    webhookUrl: webhook.url,
    resourceTypes: webhook.resourceTypes,
  };
}

/** @param sent the form as the browser sent it */
export function formOfBrowser(sent: URLSearchParams): ApplicationForm {
  const value = (name: string) => (sent.get(name) ?? '').trim();
  return {
    clientName: value('clientName'),
    developer: value('developer'),
    description: value('description'),
    clientUri: value('clientUri'),
    iconUrl: value('iconUrl'),
    distribution: value('distribution'),
    redirectUris: value('redirectUris').split(/\s+/).filter(Boolean),
    clientCredentials: sent.has('clientCredentials'),
    webhookEnabled: sent.has('webhookEnabled'),
    webhookUrl: value('webhookUrl'),
    resourceTypes: sent.getAll('resourceTypes'),
  };
}

/** @returns the manifest that says the same, not yet checked */
export function manifestOfForm(form: ApplicationForm): object {
  const { description, iconUrl, clientUri, webhookUrl } = form;
  return {
    schemaVersion: '1.0.0',
    distribution: form.distribution,
    display: { ...(description && { description }), ...(iconUrl && { iconUrl }) },
    developer: { name: form.developer },
    oauth: {
      client_name: form.clientName,
      ...(clientUri && { client_uri: clientUri }),
      redirect_uris: form.redirectUris,
      grant_types: ['authorization_code', ...(form.clientCredentials ? ['client_credentials'] : [])],
    },
    ...((form.webhookEnabled || webhookUrl) && {
      webhook: { enabled: form.webhookEnabled, url: webhookUrl, resourceTypes: form.resourceTypes },
    }),
  };
}

/**
 * @param problems what is wrong, a line each
 * @param workspaces where it can be made
 */
export function applicationFormContent(
  form: ApplicationForm,
  problems: readonly string[],
  workspaces: readonly ConsentWorkspace[],
): Html {
  const field = (label: string, name: string, value: string) =>
    html`<label for="${name}">${label}</label><input id="${name}" name="${name}" value="${value}">`;
  return html`<h1>New OAuth application</h1>
      ${problems.length === 0 ? null : problemList(problems)}
      <form method="post" action="/settings/api/applications/new">
        <label for="workspace">Workspace</label>
        <select id="workspace" name="workspace">
          ${workspaces.map(({ name, urlKey }) => html`<option value="${urlKey}">${name}</option>`)}
        </select>
        ${field('Application name', 'clientName', form.clientName)}
        ${field('Developer name', 'developer', form.developer)}
        <label for="description">Description</label>
        <textarea id="description" name="description" rows="2">${form.description}</textarea>
        ${field('Website', 'clientUri', form.clientUri)}
        ${field('Icon', 'iconUrl', form.iconUrl)}
        <label for="distribution">Who may install it</label>
        <select id="distribution" name="distribution">
          <option value="private"${chosen(form.distribution === 'private', 'selected')}>This workspace alone (private)</option>
          <option value="public"${chosen(form.distribution === 'public', 'selected')}>Every workspace (public)</option>
        </select>
        <label for="redirectUris">Callback URLs <span class="hint">one a line</span></label>
        <textarea id="redirectUris" name="redirectUris" rows="3">${form.redirectUris.join('\n')}</textarea>
        ${checkbox('clientCredentials', 'on', 'Client credentials', form.clientCredentials)}
        ${checkbox('webhookEnabled', 'on', 'Webhooks', form.webhookEnabled)}
        ${field('Webhook URL', 'webhookUrl', form.webhookUrl)}
        <fieldset class="many">
          <legend>Events</legend>
          ${RESOURCE_TYPES.map((type) => checkbox('resourceTypes', type, type, form.resourceTypes.includes(type)))}
        </fieldset>
        <div class="row"><button type="submit" class="primary">Create</button></div>
      </form>`;
}

function problemList(problems: readonly string[]): Html {
  return html`<div role="alert"><p>This has to be changed first:</p><ul>${problems.map((line) => html`<li>${line}</li>`)}</ul></div>`;
}

function checkbox(name: string, value: string, label: string, isChecked: boolean): Html {
  const state = chosen(isChecked, 'checked');
  return html`<label class="check"><input type="checkbox" name="${name}" value="${value}"${state}> ${label}</label>`;
}

function chosen(is: boolean, attribute: 'checked' | 'selected'): Html | null {
  return is ? new Html(` ${attribute}`) : null;
}
