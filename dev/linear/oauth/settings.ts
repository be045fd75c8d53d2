/** /settings/api/applications: making an OAuth application, from a manifest or by hand, and reading its secrets once. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { z } from 'zod';
import { type Html, html } from '../../git/html.ts';
import type { SimulatorClock } from '../clock.ts';
import { readForm } from '../http.ts';
import { RefusedError } from '../refused.ts';
import {
  type ApplicationForm,
  applicationFormContent,
  formOfBrowser,
  formOfManifest,
  manifestOfForm,
} from './application-form.ts';
import type { Applications } from './applications.ts';
import type { ConsentWorkspace } from './consent.ts';
import { applicationFrom, manifestInAddress, manifestSchema } from './manifest.ts';
import type { Application } from './model.ts';
import { problemContent, sendFormPage } from './pages.ts';

export interface ApplicationSettingsOptions {
  applications: Applications;
  workspaces: () => ConsentWorkspace[];
  clock: SimulatorClock;
}

const PATH = '/settings/api/applications';

export class ApplicationSettings {
  readonly #options: ApplicationSettingsOptions;
  /** Client ids of those whose secrets nobody has seen yet. */
  readonly #unseen = new Set<string>();

  constructor(options: ApplicationSettingsOptions) {
    this.#options = options;
  }

  /**
   * Makes an application as the form would.
   * @param manifest anything; it is checked
   * @param urlKey of the workspace it belongs to; default: the first
   * @throws z.ZodError when the manifest is wrong; RefusedError when the workspace is unknown or the person no admin there
   */
  create(manifest: unknown, urlKey?: string): Application {
    const workspaces = this.#options.workspaces();
    const workspace = urlKey === undefined ? workspaces[0] : workspaces.find((one) => one.urlKey === urlKey);
    if (!workspace) throw new RefusedError(404, `there is no workspace "${urlKey}"`);
    if (!workspace.isAdmin) {
      throw new RefusedError(403, `You must be an admin of ${workspace.name} to make an application there.`);
    }
    const { clock, applications } = this.#options;
    return applications.put(applicationFrom(manifestSchema.parse(manifest), workspace.id, clock.now()));
  }

  /** @param name what follows the path of this page: nothing, `new`, or a client id */
  async handle(request: IncomingMessage, response: ServerResponse, name: string, url: URL): Promise<void> {
    if (request.method === 'POST' && name === 'new') {
      const form = await readForm(request);
      const crossSite = request.headers['sec-fetch-site'] === 'cross-site';
      if (crossSite || !form)
        sendFormPage(response, 400, 'Not possible', problemContent('This is not possible', NO_FORM));
      else this.#make(response, form);
    } else if (request.method !== 'GET') {
      sendFormPage(
        response,
        405,
        'Not possible',
        problemContent('This is not possible', `${request.method} ${url.pathname}`),
      );
    } else if (name === 'new') {
      const given = manifestInAddress(url.searchParams);
      const isEmpty = url.searchParams.size === 0;
      if ('problem' in given) this.#showForm(response, 400, formOfManifest(null), [given.problem]);
      else this.#showForm(response, 200, formOfManifest(given.manifest), isEmpty ? [] : problemsOf(given.manifest));
    } else {
      this.#show(response, name);
    }
  }

  #make(response: ServerResponse, sent: URLSearchParams): void {
    const form = formOfBrowser(sent);
    const manifest = manifestOfForm(form);
    const problems = problemsOf(manifest);
    if (problems.length > 0) {
      this.#showForm(response, 400, form, problems);
      return;
    }
    try {
      const { clientId } = this.create(manifest, sent.get('workspace') ?? '');
      this.#unseen.add(clientId);
      response.writeHead(303, { location: `${PATH}/${clientId}`, 'cache-control': 'no-store' }).end();
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error;
      this.#showForm(response, error.status, form, [error.message]);
    }
  }

  #showForm(response: ServerResponse, status: number, form: ApplicationForm, problems: readonly string[]): void {
    const content = applicationFormContent(form, problems, this.#options.workspaces());
    sendFormPage(response, status, 'New OAuth application', content);
  }

  #show(response: ServerResponse, clientId: string): void {
    const { applications } = this.#options;
    const application = applications.find(clientId);
    if (application) {
      const content = applicationContent(application, this.#unseen.delete(clientId));
      sendFormPage(response, 200, application.name, content);
    } else if (clientId === '') {
      sendFormPage(response, 200, 'OAuth applications', listContent(applications.all()));
    } else {
      sendFormPage(response, 404, 'Not found', problemContent('Not found', 'There is no such application.'));
    }
  }
}

const NO_FORM = 'The form did not come from this page.';

/** @returns what is wrong with a manifest, a line each: `oauth.client_name: must not contain "Linear"` */
function problemsOf(manifest: unknown): string[] {
  const checked = manifestSchema.safeParse(manifest);
  return checked.success ? [] : checked.error.issues.map(lineOf);
}

function lineOf({ path, message }: z.core.$ZodIssue): string {
  return path.length === 0 ? message : `${path.join('.')}: ${message}`;
}

function applicationContent(
  { name, clientId, clientSecret, redirectUris, webhook }: Application,
  isNew: boolean,
): Html {
  const secret = (text: string) => (isNew ? html`<code>${text}</code>` : html`shown once, when it was made`);
  return html`<h1>${name}</h1>
      ${isNew ? html`<p role="status">The application was made. Copy these three now: the secrets are not shown again.</p>` : null}
      <dl>
        <dt>Client ID</dt><dd id="client-id"><code>${clientId}</code></dd>
        <dt>Client secret</dt><dd id="client-secret">${secret(clientSecret)}</dd>
        <dt>Webhook signing secret</dt><dd id="webhook-secret">${secret(webhook.secret)}</dd>
        <dt>Callback URLs</dt><dd>${redirectUris.join(', ') || 'none'}</dd>
        <dt>Webhook URL</dt><dd>${webhook.url ?? 'none'}</dd>
        <dt>Events</dt><dd>${webhook.resourceTypes.join(', ') || 'none'}</dd>
      </dl>
      <p><a href="${PATH}">All applications</a></p>`;
}

function listContent(applications: readonly Application[]): Html {
  return html`<h1>OAuth applications</h1>
      <ul>${applications.map(({ name, clientId }) => html`<li><a href="${PATH}/${clientId}">${name}</a></li>`)}</ul>
      <p><a href="${PATH}/new">New application</a></p>`;
}
