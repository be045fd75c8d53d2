import { createHmac } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LinearSimulator } from '../../../dev/linear/simulator.ts';
import { type Receiver, startWithReceiver } from './api.ts';
import { answerConsent, answerIn, authorizeUrl, open, postForm } from './oauth-client.ts';

let linear: LinearSimulator;
let receiver: Receiver;
let stop: () => Promise<void>;
beforeEach(async () => {
  ({ linear, receiver, stop } = await startWithReceiver({ installed: false }));
});
afterEach(() => stop());

const CALLBACK = 'https://cyrus.example.com/oauth/callback';
const manifest = (changes: object = {}) => ({
  $schema: 'https://linear.app/.well-known/oauth-app-manifest.schema.json',
  schemaVersion: '1.0.0',
  distribution: 'public',
  display: { description: 'Hands issues to Claude Code.' },
  developer: { name: 'Example Inc' },
  oauth: { client_name: 'Cyrus of Ada', redirect_uris: [CALLBACK], grant_types: ['authorization_code'] },
  webhook: {
    enabled: true,
    url: 'https://cyrus.example.com/webhooks/linear',
    resourceTypes: ['AgentSessionEvent', 'PermissionChange'],
  },
  ...changes,
});
const formUrl = (value: unknown) => {
  const json = typeof value === 'string' ? value : JSON.stringify(value);
  return `${linear.url}/settings/api/applications/new?manifest=${encodeURIComponent(json)}`;
};

/** Sends the form as it is on the page. */
async function submit(page: string, changes: Record<string, string> = {}) {
  const form = new URLSearchParams({ workspace: 'example' });
  const plain = (text = '') => text.replace(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)));
  for (const [input] of page.matchAll(/<input [^>]*>/g)) {
    const isBox = input.includes('type="checkbox"');
    if (isBox && !input.includes(' checked')) continue;
    form.append(/name="([^"]*)"/.exec(input)?.[1] ?? '', plain(/value="([^"]*)"/.exec(input)?.[1]));
  }
  for (const [, name = '', text] of page.matchAll(/<textarea [^>]*name="([^"]*)"[^>]*>([^<]*)</g))
    form.append(name, plain(text));
  form.append('distribution', /value="(\w+)" selected/.exec(page)?.[1] ?? '');
  for (const [name, value] of Object.entries(changes)) form.set(name, value);
  return fetch(`${linear.url}/settings/api/applications/new`, { method: 'POST', redirect: 'manual', body: form });
}

describe('An app manifest in the address', () => {
  it('fills the form; Create makes the application and shows id and secrets once', async () => {
    const { status, html } = await open(formUrl(manifest()));
    expect(status).toBe(200);
    expect(html).not.toContain('role="alert"');
    const made = await submit(html);
    expect(made.status).toBe(303);
    const page = new URL(made.headers.get('location') ?? '', linear.url).href;
    const application = linear.oauth.applications().at(-1);
    expect(application).toMatchObject({
      name: 'Cyrus of Ada',
      developer: 'Example Inc',
      description: 'Hands issues to Claude Code.',
      distribution: 'public',
      redirectUris: [CALLBACK],
      grantTypes: ['authorization_code'],
      webhook: {
        url: 'https://cyrus.example.com/webhooks/linear',
        resourceTypes: ['AgentSessionEvent', 'PermissionChange'],
      },
    });
    const first = (await open(page)).html;
    for (const text of [application?.clientId, application?.clientSecret, application?.webhook.secret]) {
      expect(first).toContain(`<code>${text}</code>`);
    }
    const second = (await open(page)).html;
    expect(second).toContain(application?.clientId);
    expect(second).not.toContain(application?.clientSecret);
    expect(second).not.toContain(application?.webhook.secret);
  });

  it('may also give each value by its path', async () => {
    const url = new URL(`${linear.url}/settings/api/applications/new`);
    url.searchParams.set('developer.name', 'Example Inc');
    url.searchParams.set('oauth.client_name', 'Cyrus');
    url.searchParams.set('oauth.redirect_uris', CALLBACK);
    url.searchParams.set('webhook.url', 'https://cyrus.example.com/webhooks/linear');
    url.searchParams.set('webhook.resourceTypes', 'AgentSessionEvent,Issue');
    const { html } = await open(url.href);
    expect(html).not.toContain('role="alert"');
    expect((await submit(html)).status).toBe(303);
    expect(linear.oauth.applications().at(-1)).toMatchObject({
      distribution: 'private',
      webhook: { resourceTypes: ['AgentSessionEvent', 'Issue'] },
    });
  });

  it.each<[string, object, string]>([
    [
      'a name with Linear in it',
      { oauth: { client_name: 'My Linear bot', redirect_uris: [CALLBACK] } },
      'oauth.client_name: must not contain',
    ],
    [
      'a name with an address in it',
      { oauth: { client_name: 'https://x.example', redirect_uris: [CALLBACK] } },
      'oauth.client_name: must not contain http',
    ],
    [
      'a name that is too short',
      { oauth: { client_name: 'C', redirect_uris: [CALLBACK] } },
      'oauth.client_name: must have at least 2',
    ],
    [
      'no callback',
      { oauth: { client_name: 'Cyrus', redirect_uris: [] } },
      'oauth.redirect_uris: must have at least one',
    ],
    [
      'a callback twice',
      { oauth: { client_name: 'Cyrus', redirect_uris: [CALLBACK, CALLBACK] } },
      'oauth.redirect_uris: must not have an address twice',
    ],
    [
      'a callback that is no address',
      { oauth: { client_name: 'Cyrus', redirect_uris: ['javascript:alert(1)'] } },
      'oauth.redirect_uris.0: must be',
    ],
    ['no developer', { developer: undefined }, 'developer:'],
    ['another version', { schemaVersion: '2.0.0' }, 'schemaVersion: must be'],
    [
      'a webhook without TLS',
      { webhook: { enabled: true, url: 'http://cyrus.example.com/' } },
      'webhook.url: must be an https address',
    ],
    [
      'a webhook in a private network',
      { webhook: { enabled: true, url: 'https://10.0.0.1/' } },
      'webhook.url: must be an https address',
    ],
    [
      'an unknown kind of event',
      { webhook: { enabled: true, url: 'https://x.example/', resourceTypes: ['Everything'] } },
      'webhook.resourceTypes.0:',
    ],
    ['a key nobody knows', { scopes: ['read'] }, 'scopes'],
    [
      'a description that is too long',
      { display: { description: 'x'.repeat(1_001) } },
      'display.description: must have at most',
    ],
  ])('with %s says so beside the form', async (_, changes, message) => {
    const { html } = await open(formUrl(manifest(changes)));
    expect(html).toContain('role="alert"');
    expect(html.replaceAll('&#34;', '"')).toContain(message);
  });

  it('that is no JSON, or nonsense, leaves the form empty', async () => {
    expect((await open(formUrl('{nonsense'))).html).toContain('manifest is not JSON');
    for (const nonsense of ['null', '[]', '{"oauth":7}']) {
      expect((await open(formUrl(nonsense))).html).toContain('role="alert"');
    }
  });

  it('is checked again when it comes back changed; nothing is made then', async () => {
    const { html } = await open(formUrl(manifest()));
    const answer = await submit(html, { clientName: 'Linear' });
    expect(answer.status).toBe(400);
    expect(await answer.text()).toContain('must not contain');
    expect(linear.oauth.applications()).toHaveLength(1);
  });

  it('needs an admin', async () => {
    linear.setAdmin(false);
    const answer = await submit((await open(formUrl(manifest()))).html);
    expect(answer.status).toBe(403);
    expect(await answer.text()).toContain('You must be an admin of Example Workspace');
    expect(linear.oauth.applications()).toHaveLength(1);
  });

  it('stays text on the page', async () => {
    const hostile = '"><script>alert(1)</script>';
    const { html } = await open(formUrl(manifest({ developer: { name: hostile }, display: { description: hostile } })));
    expect(html).not.toContain('<script');
  });
});

describe('An application that was made', () => {
  it('is what is installed, signs its webhooks, and gives the agent its name', async () => {
    const application = linear.oauth.createApplication(
      manifest({ webhook: { enabled: true, url: receiver.url, resourceTypes: ['AgentSessionEvent'] } }),
    );
    const { clientId, clientSecret } = application;
    const asked = authorizeUrl(linear, { client_id: clientId, redirect_uri: CALLBACK });
    const { location } = await answerConsent(asked, 'allow');
    const form = { grant_type: 'authorization_code', code: answerIn(location).code ?? '', redirect_uri: CALLBACK };
    const { body } = await postForm(linear, 'token', { ...form, client_id: clientId, client_secret: clientSecret });
    expect(body.scope).toBe('read write app:assignable app:mentionable');
    expect(linear.state()).toMatchObject({
      appUser: { name: 'Cyrus of Ada', displayName: 'cyrusofada' },
      installed: { clientId },
    });

    linear.mention('ENG-1', 'please look');
    await linear.webhooksSettled();
    const [created] = receiver.received;
    expect(receiver.received).toHaveLength(1);
    expect(created?.payload).toMatchObject({ type: 'AgentSessionEvent', oauthClientId: clientId });
    expect(created?.signed).toBe(false);
    const signature = createHmac('sha256', application.webhook.secret)
      .update(created?.body ?? '')
      .digest('hex');
    expect(created?.headers['linear-signature']).toBe(signature);
  });

  it('without webhooks is sent nothing', async () => {
    const { clientId } = linear.oauth.createApplication(manifest({ webhook: undefined }));
    linear.install(clientId);
    linear.delegate('ENG-1');
    await linear.webhooksSettled();
    expect(linear.deliveries()).toEqual([]);
  });

  it('gets new secrets on demand, the webhook secret for retries too', async () => {
    linear.install();
    receiver.answer = (response) => response.writeHead(500).end();
    linear.delegate('ENG-1');
    await linear.webhooksSettled();
    expect(receiver.received.every(({ signed }) => signed)).toBe(true);
    linear.oauth.rotateWebhookSecret();
    receiver.received.length = 0;
    await linear.advance(60_000);
    expect(receiver.received.map(({ signed }) => signed)).not.toContain(true);
    expect(linear.oauth.rotateClientSecret()).toBe(linear.oauth.application().clientSecret);
  });
});
