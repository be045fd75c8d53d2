import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { LinearSimulator } from '../../../dev/linear/simulator.ts';
import { addActivity, startWithReceiver, TOKEN } from './api.ts';
import { hasBrowser, launchBrowser, openPage } from './browser.ts';
import { authorizeUrl, CLIENT_SECRET, postForm } from './oauth-client.ts';

describe.skipIf(!hasBrowser)('In the browser of an admin', () => {
  let browser: Browser;
  let page: Page;
  let linear: LinearSimulator;
  let stop: () => Promise<void>;
  /** The application: it only says what it was called with. */
  let application: Server;
  let redirectUri: string;
  const complaints: string[] = [];
  beforeAll(async () => {
    browser = await launchBrowser();
    application = createServer((request, response) => {
      response.setHeader('content-type', 'text/html');
      response.end(`<link rel="icon" href="data:,"><p>called with ${request.url}</p>`);
    });
    await new Promise<void>((resolve) => application.listen(0, '127.0.0.1', resolve));
    redirectUri = `http://127.0.0.1:${(application.address() as AddressInfo).port}/oauth/callback`;
  }, 30_000);
  afterAll(async () => {
    await browser.close();
    application.closeAllConnections();
    await new Promise((resolve) => application.close(resolve));
  });
  beforeEach(async () => {
    const own = { clientSecret: CLIENT_SECRET, redirectUris: [redirectUri] };
    ({ linear, stop } = await startWithReceiver({ installed: false, application: own }));
    complaints.length = 0;
    page = await openPage(browser, complaints);
  });
  afterEach(async () => {
    await page.close();
    await stop();
    expect(complaints).toEqual([]);
  });

  it('an application is installed in the workspace that was chosen, and comes back with a code', async () => {
    await page.goto(authorizeUrl(linear, { redirect_uri: redirectUri }));
    await page.getByRole('heading', { name: 'Install Cyrus?' }).waitFor();
    await page.getByLabel('Second Workspace').check();
    await page.getByRole('button', { name: 'Allow' }).click();
    await page.getByText('called with /oauth/callback?code=').waitFor();
    const code = new URL(page.url()).searchParams.get('code') ?? '';
    const form = { grant_type: 'authorization_code', code, redirect_uri: redirectUri };
    const secret = { client_id: linear.oauthClientId, client_secret: CLIENT_SECRET };
    const { body } = await postForm(linear, 'token', { ...form, ...secret });
    expect(body.access_token).toMatch(/^lin_oauth_/);
    expect(linear.in('second').state().installed).toMatchObject({ name: 'Cyrus' });
    expect(linear.state().installed).toBeNull();
  }, 30_000);

  it('an application that is denied comes back with access_denied; who is no admin can only deny', async () => {
    linear.setAdmin(false);
    linear.in('second').setAdmin(false);
    await page.goto(authorizeUrl(linear, { redirect_uri: redirectUri }));
    await page.getByText('You must be an admin of Example Workspace to install Cyrus.').waitFor();
    expect(await page.getByRole('button', { name: 'Allow' }).isDisabled()).toBe(true);
    await page.getByRole('button', { name: 'Deny' }).click();
    await page.getByText('called with /oauth/callback?error=access_denied').waitFor();
  }, 30_000);

  it('an application is made from a manifest, and its three values can be copied', async () => {
    const manifest = {
      schemaVersion: '1.0.0',
      developer: { name: 'Example Inc' },
      oauth: { client_name: 'Linear of Ada', redirect_uris: [redirectUri] },
      webhook: { url: 'http://localhost:8787/webhooks/linear', resourceTypes: ['AgentSessionEvent'] },
    };
    await page.goto(
      `${linear.url}/settings/api/applications/new?manifest=${encodeURIComponent(JSON.stringify(manifest))}`,
    );
    await page.getByRole('alert').getByText('oauth.client_name: must not contain "Linear"').waitFor();
    await page.getByLabel('Application name').fill('Cyrus of Ada');
    await page.getByRole('button', { name: 'Create' }).click();
    await page.getByText('The application was made.').waitFor();
    const made = linear.oauth.applications().at(-1);
    expect(await page.locator('#client-id').textContent()).toBe(made?.clientId);
    expect(await page.locator('#client-secret').textContent()).toBe(made?.clientSecret);
    expect(await page.locator('#webhook-secret').textContent()).toBe(made?.webhook.secret);
    await page.reload();
    await page.locator('#client-secret').getByText('shown once').waitFor();
  }, 30_000);

  it('an application is taken out again, in each workspace by itself', async () => {
    linear.install();
    linear.in('second').install();
    await page.goto(linear.url);
    await page.getByLabel('Workspace', { exact: true }).selectOption('Second Workspace');
    await page.getByRole('link', { name: 'Prices are shown without a currency' }).waitFor();
    await page.getByText('Application', { exact: true }).click();
    await page.getByText('Cyrus is installed in Second Workspace.').waitFor();
    await page.getByRole('button', { name: 'Remove from this workspace' }).click();
    await page.getByText('No application is installed in Second Workspace').waitFor();
    expect(linear.in('second').state().installed).toBeNull();
    expect(linear.state().installed).not.toBeNull();
    await page.getByLabel('Grace Example is an admin').uncheck();
    await linear.waitFor('the change', () => !linear.in('second').state().person.isAdmin);
  }, 30_000);

  it('people talk to the agent in a document, and answer its question in their own words', async () => {
    linear.install();
    await page.goto(linear.url);
    await page.getByLabel('Name of a new document').fill('Plan');
    await page.getByRole('button', { name: 'Create document' }).click();
    await page.getByRole('heading', { name: 'Plan' }).waitFor();
    expect(await page.getByRole('button', { name: 'Assign to Cyrus' }).isVisible()).toBe(false);
    await page.getByLabel('Comment', { exact: true }).fill('what is missing?');
    await page.getByRole('button', { name: 'Send' }).click();
    await page.getByRole('region', { name: 'Agent session, Waiting for the agent' }).waitFor();
    const id = linear.documents()[0]?.session?.id ?? '';
    linear.setAccessToken(TOKEN);
    const signal = { signal: 'select', signalMetadata: { options: [{ value: 'A date' }] } };
    await addActivity(linear, id, { type: 'elicitation', body: 'What do you think?' }, signal);
    await page.getByLabel('Another answer').fill('A budget');
    await page.getByRole('button', { name: 'Answer' }).click();
    await page.getByRole('log').getByText('A budget').waitFor();
    expect(linear.session(id)).toMatchObject({ status: 'active', activities: [{}, { content: { body: 'A budget' } }] });
  }, 30_000);

  it('a file is dropped into a new issue', async () => {
    await page.goto(linear.url);
    await page.getByLabel('Title').fill('See the log');
    await page
      .getByLabel('Files')
      .setInputFiles({ name: 'run.log', mimeType: 'text/plain', buffer: Buffer.from('a log') });
    await page.getByRole('button', { name: 'Create issue' }).click();
    await page.getByRole('heading', { name: 'See the log' }).waitFor();
    expect(linear.thread('ENG-2').issue.description).toMatch(/^\[run\.log\]\(http.*\/uploads\/.*\/run\.log\)$/);
  }, 30_000);
});
