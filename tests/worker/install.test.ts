import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import { openDatabase } from '../../src/store/database.ts';
import { upsertWorkspace } from '../../src/store/workspaces/workspaces.ts';
import { spyOnLog } from '../support/log-spy.ts';
import { Browser } from './support/browser.ts';
import { FakeLinear } from './support/fake-linear.ts';

const db = openDatabase(env.DB, env.ENCRYPTION_KEY);
let linear: FakeLinear;

beforeEach(() => {
  spyOnLog();
  linear = new FakeLinear();
});

/** The manifest in the link to Linear's form. */
function manifestIn(text: string): unknown {
  const link = /href="(https:\/\/linear\.app\/settings[^"]*)"/.exec(text)?.[1]?.replaceAll('&amp;', '&') ?? '';
  return JSON.parse(new URL(link).searchParams.get('manifest') ?? 'null');
}

describe('the installation page', () => {
  it("opens Linear's form filled in with the addresses of this deployment", async () => {
    const production: Env = { ...env, ENVIRONMENT: 'production', PUBLIC_URL: '' };
    const admin = new Browser(production, { authorization: `Basic ${btoa(`ada:${env.ACCESS_PASSWORD}`)}` });
    const { status, text } = await admin.open('https://cyrus.example/install');
    expect(status).toBe(200);
    expect(manifestIn(text)).toMatchObject({
      schemaVersion: '1.0.0',
      oauth: {
        client_name: 'Cyrus',
        client_uri: 'https://cyrus.example',
        redirect_uris: ['https://cyrus.example/oauth/callback'],
        grant_types: ['authorization_code'],
      },
      webhook: {
        url: 'https://cyrus.example/webhooks/linear',
        resourceTypes: expect.arrayContaining([
          'AgentSessionEvent',
          'AppUserNotification',
          'PermissionChange',
          'Issue',
        ]),
      },
    });
  });

  it('leaves out the webhook if Linear could not reach it, and says so', async () => {
    const { text } = await new Browser().open('/install');
    expect(manifestIn(text)).not.toHaveProperty('webhook');
    expect(text).toContain('https addresses only');
  });

  it('tells which of the three values are set, and how to store them, without showing one', async () => {
    const { LINEAR_CLIENT_SECRET: _, ...rest } = env;
    const { text } = await new Browser(rest as Env).open('/install');
    for (const name of ['LINEAR_CLIENT_ID', 'LINEAR_CLIENT_SECRET', 'LINEAR_WEBHOOK_SECRET']) {
      expect(text).toContain(`npx wrangler secret put ${name}`);
    }
    expect(text).toMatch(/LINEAR_CLIENT_ID\s*<span class="pill good">set/);
    expect(text).toMatch(/LINEAR_CLIENT_SECRET\s*<span class="pill bad">not set/);
    expect(text).toMatch(/LINEAR_WEBHOOK_SECRET\s*<span class="pill warn">set, but not one of Linear/);
    expect(text).not.toContain('href="/oauth/authorize"');
    const whole = (await new Browser().open('/install')).text;
    expect(whole).toContain('href="/oauth/authorize"');
    for (const secret of [env.LINEAR_CLIENT_SECRET, env.LINEAR_WEBHOOK_SECRET, env.ADMIN_TOKEN, env.LINEAR_CLIENT_ID]) {
      expect(whole).not.toContain(secret);
    }
  });

  it('checks id and secret with Linear by a code that cannot exist', async () => {
    expect((await new Browser().open('/install?check=credentials')).text).toContain('Linear accepts them');
    linear.interfere = () => Response.json({ error: 'invalid_client' }, { status: 401 });
    expect((await new Browser().open('/install?check=credentials')).text).toContain('Linear does not accept them');
    linear.interfere = () => new Response('down', { status: 503 });
    expect((await new Browser().open('/install?check=credentials')).text).toContain('cannot tell');
  });

  it('is there also while what is known of webhooks is not', async () => {
    const OPERATIONS = { getByName: () => ({ webhooks: () => Promise.reject(new Error('no object')) }) };
    const { status, text } = await new Browser({ ...env, OPERATIONS } as unknown as Env).open('/install');
    expect(status).toBe(200);
    expect(text).toContain('Open the form in Linear');
  });

  it('shows the workspaces, and which of them has to be installed again', async () => {
    const workspace = { name: 'Acme <b>', urlKey: 'acme', appUserId: 'app-1', accessToken: 'lin_oauth_of_acme' };
    await upsertWorkspace(db, 'i1', workspace, Date.now());
    await upsertWorkspace(db, 'i2', { ...workspace, name: 'Globex' }, Date.now());
    await env.DB.prepare("update workspaces set status = 'reinstall-needed' where id = 'i2'").run();
    const { text } = await new Browser().open('/install');
    expect(text).toMatch(/Acme &lt;b&gt;<\/strong>\s*<span class="pill good">installed/);
    expect(text).toMatch(/Globex<\/strong>\s*<span class="pill bad">has to be installed again/);
    expect(text).not.toContain('lin_oauth');
  });
});
