/**
 * `node tests/e2e/installation.ts`: an admin installs Cyrus in Linear by the page /install, in a real browser, against the
 * simulator; it is used, its tokens are renewed, revoked, and it is installed again.
 */
import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Page } from 'playwright-core';
import { PROJECT } from '../../dev/settings.ts';
import { LinearThread } from './linear-thread.ts';
import { holds, Run, same, until } from './run.ts';
import { endProcesses, makeFolder, type Stage, setStage } from './stage.ts';

/** Goes through an installation. Leaves the app installed. */
export async function installation(run: Run, stage: Stage): Promise<void> {
  const { stack, browser } = stage;
  const { linear } = stack;
  const page = await browser.newPage();
  const live = () => linear.oauth.tokens({ workspaceId: linear.workspace.id });
  /** Not the one that never expires, which the local run begins with. */
  const installed = () => live().find(({ refreshToken }) => refreshToken !== null);

  await run.promise('The installation page knows which values are set, and Linear accepts them', async () => {
    await page.goto(`${stack.url}/install`);
    same('Values that are set', await page.locator('.pill.good').allTextContents(), ['set', 'set', 'installed']);
    await page.getByText('set; no delivery has come yet that shows whether it matches').waitFor();
    await page.getByRole('link', { name: 'Check id and secret' }).click();
    await page.getByText('Linear accepts them').waitFor();
    await stage.picture('install');
  });

  await run.promise('Its link opens Linear’s form for a new application, filled in', async () => {
    const [form] = await Promise.all([
      browser.waitForEvent('page'),
      page.getByRole('link', { name: 'Open the form in Linear' }).click(),
    ]);
    same('Callback', await form.locator('#redirectUris').inputValue(), `${stack.url}/oauth/callback`);
    await form.getByRole('button', { name: 'Create' }).click();
    await form.getByText(/lin_wh_/).waitFor();
    const [made] = linear.oauth.applications().slice(-1);
    same('Webhook of the application made', made?.webhook.url, `${stack.url}/webhooks/linear`);
    await form.close();
  });

  await run.promise('A person who says no in Linear is told that nothing was installed', async () => {
    await consent(page, stack.url, 'Deny');
    await page.getByRole('heading', { name: 'Not installed' }).waitFor();
    same('Tokens by OAuth', installed(), undefined);
  });

  await run.promise('“Add to Linear” and “Allow” install Cyrus, and the page says what comes next', async () => {
    await consent(page, stack.url, 'Allow');
    await page.getByRole('heading', { name: /installed (again )?in/ }).waitFor();
    await stage.picture('installed');
    holds('Linear gave tokens', installed() !== undefined, 'tokens', live());
    await page.goBack();
    await page.goForward();
    await page.getByRole('heading', { name: 'Already used' }).waitFor();
  });

  const issue = LinearThread.assign(linear, 'Mend the cart after an installation', 'The test fails.');
  await run.promise('An issue assigned to it is worked on', () => issue.closing(1));

  await run.promise('Tokens that Linear takes no more are renewed by themselves, once', async () => {
    const before = installed()?.accessToken;
    linear.oauth.expireAccessTokens({ workspaceId: linear.workspace.id });
    linear.comment(issue.issue, 'And again, please.');
    await issue.closing(2);
    const now = live().map(({ accessToken }) => accessToken);
    same('Tokens that are good now', now.length, 1);
    holds('The token is another one', now[0] !== before, 'a new token', now[0] === before);
  });

  await run.promise('A workspace that is revoked has no tokens any more, neither here nor at Linear', async () => {
    const path = `/api/admin/workspaces/${linear.workspace.id}/revoke`;
    same('Answer', (await admin(stage, 'POST', path)).status, 'revoked');
    same('Tokens at Linear', live().length, 0);
    await page.goto(`${stack.url}/install`);
    await page.locator('.workspaces .pill', { hasText: 'removed' }).waitFor();
  });

  await run.promise('Installed again, the same session goes on where it was', async () => {
    await consent(page, stack.url, 'Allow');
    await page.getByRole('heading', { name: `installed again in ${linear.workspace.name}` }).waitFor();
    linear.comment(issue.issue, 'Once more.');
    await until('the third answer', () => issue.activities.filter(({ type }) => type === 'response')[2], {
      limitMs: 60_000,
      describe: () => issue.shown.slice(-5),
    });
    const { workspaces } = await admin(stage, 'GET', '/api/admin/workspaces');
    const [workspace] = workspaces as { status: string; allowance: { requests: { remaining: number } | null } }[];
    same('Status', workspace?.status, 'active');
    holds('The allowance is known', !!workspace?.allowance.requests, 'what is left', workspace?.allowance);
  });

  await run.promise(
    'A workspace that Linear shuts Cyrus out of is shown on the pages, with the way back in',
    async () => {
      linear.oauth.revokeTokens({ workspaceId: linear.workspace.id });
      linear.comment(issue.issue, 'Are you there?');
      await page.goto(stack.url);
      const banner = page.getByRole('alert').filter({ hasText: linear.workspace.name });
      await banner.waitFor({ timeout: 30_000 });
      await page.getByText('Mend the cart after an installation').first().click();
      await banner.waitFor();
      await stage.picture('shut-out');
      await banner.getByRole('link', { name: 'install Cyrus again' }).click();
      await page.locator('.workspaces .pill', { hasText: 'has to be installed again' }).waitFor();
      await consent(page, stack.url, 'Allow');
      await page.getByRole('heading', { name: `installed again in ${linear.workspace.name}` }).waitFor();
      await page.goto(stack.url);
      await page.getByText('Mend the cart after an installation').first().waitFor();
      same('Banners', await banner.count(), 0);
    },
  );
  await page.close();

  await run.promise('The command for repositories finds the deployment, adds one to it and shows it', async () => {
    const clone = ['--clone-url', 'https://git.example/acme/docs.git', '--label', 'Docs', '--tools', 'safe'];
    await repositories(stage, 'add', 'acme/docs', ...clone);
    const listed = (await repositories(stage, 'list')) as { repositories: { fullName: string; settings: object }[] };
    const added = listed.repositories.find(({ fullName }) => fullName === 'acme/docs');
    same('Labels and tools', added && pick(added.settings, ['labels', 'tools']), { labels: ['Docs'], tools: 'safe' });
    await repositories(stage, 'workspace', 'set', '--block-user', 'eve@example.com');
    const { settings } = (await repositories(stage, 'workspace')) as { settings: { blockedUsers: string[] } };
    same('Blocked', settings.blockedUsers, ['eve@example.com']);
  });
}

/** Runs `npm run repositories` as a process. @returns its JSON */
async function repositories({ stack }: Stage, ...args: string[]): Promise<unknown> {
  const env = { PATH: process.env.PATH ?? '', CYRUS_URL: stack.url, ADMIN_TOKEN: stack.secrets.adminToken };
  const script = join(PROJECT, 'dev', 'repositories.ts');
  const { stdout } = await promisify(execFile)(process.execPath, [script, ...args, '--json'], { env });
  return JSON.parse(stdout);
}

function pick(object: object, keys: string[]): object {
  return Object.fromEntries(Object.entries(object).filter(([key]) => keys.includes(key)));
}

/** From the installation page to Linear's question, and the answer to it. */
async function consent(page: Page, url: string, decision: 'Allow' | 'Deny'): Promise<void> {
  await page.goto(`${url}/install`);
  await page.getByRole('link', { name: 'Add to Linear' }).click();
  await page.getByRole('button', { name: decision }).click();
}

async function admin({ stack }: Stage, method: string, path: string): Promise<Record<string, unknown>> {
  const headers = { authorization: `Bearer ${stack.secrets.adminToken}` };
  const response = await fetch(`${stack.url}${path}`, { method, headers });
  const body: unknown = await response.json();
  holds(`${method} ${path} is answered well`, response.ok, '200', body);
  return Object(body);
}

async function main(): Promise<void> {
  const folder = makeFolder();
  mkdirSync(join(folder, 'pictures'));
  const run = new Run();
  run.evidence.push({ name: 'logs', path: join(folder, 'logs') }, { name: 'pictures', path: join(folder, 'pictures') });
  const stage = await run.promise('Everything starts, as with `npm start`', () => setStage(folder));
  const kept = await installation(run, stage).then(
    () => true,
    // What was not kept has been explained.
    async () => {
      await stage.picture('failed').catch(() => {});
      return false;
    },
  );
  await stage.close();
  endProcesses(folder);
  process.exit(kept ? 0 : 1);
}

if (import.meta.main) await main();
