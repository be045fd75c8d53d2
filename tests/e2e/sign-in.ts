/**
 * `npm run e2e:sign-in`: people of two workspaces and of a private team sign in with Linear, each in a browser of their own,
 * against the simulator.
 */
import type { BrowserContext, Page } from 'playwright-core';
import { accessible } from './accessible.ts';
import { LinearThread } from './linear-thread.ts';
import { playOnStage } from './on-stage.ts';
import { holds, type Run, same, until } from './run.ts';
import type { Stage } from './stage.ts';

async function signIn(run: Run, stage: Stage): Promise<void> {
  const { stack } = stage;
  const { linear } = stack;
  const contexts: BrowserContext[] = [];
  const open = async (): Promise<Page> => {
    const context = await stage.browser
      .browser()
      ?.newContext({ viewport: { width: 1280, height: 900 }, locale: 'en-US' });
    if (!context) throw new Error('the browser is gone');
    context.setDefaultTimeout(15_000);
    contexts.push(context);
    return context.newPage();
  };
  const [ada, ben, hedy] = [await open(), await open(), await open()];
  linear.createTeam('SEC', 'Security', undefined, ['ada']);
  const status = async (page: Page, path: string) => (await page.request.get(`${stack.url}${path}`)).status();

  await run.promise('A browser without a sign-in is led to the button, and told nothing', async () => {
    await ada.goto(stack.url);
    await ada.getByRole('heading', { name: 'Sign in' }).waitFor();
    holds('The address', new URL(ada.url()).pathname === '/sign-in', '/sign-in', ada.url());
    same('The list', await status(ada, '/api/sessions'), 401);
    await ada.screenshot({ path: `${stack.folder}/pictures/sign-in.png` });
  });

  await run.promise('Ada and Ben sign in as themselves, and no token of theirs is left at Linear', async () => {
    await choose(ada, 'Ada Example, Example Workspace');
    await ben.goto(stack.url);
    await choose(ben, 'Ben Example, Example Workspace');
    await ada.getByText('Ada Example').waitFor();
    await ben.getByText('Ben Example').waitFor();
    const left = linear.oauth.tokens().filter(({ actor }) => actor === 'user');
    same('Tokens of people', left, []);
    await ada.screenshot({ path: `${stack.folder}/pictures/signed-in.png` });
  });

  const secret = linear.createIssue({ title: 'Rotate the keys', team: 'SEC' });
  linear.delegate(secret.identifier);
  const issue = LinearThread.assign(linear, 'Mend the cart for everybody', 'The test fails.');
  const { pageUrl } = await issue.livePage();

  await run.promise('The session of a private team is in the list of its members alone', async () => {
    for (const page of [ada, ben]) await page.getByText('Mend the cart for everybody').waitFor();
    await ada.getByText('Rotate the keys').waitFor();
    same('What Ben sees of it', await ben.getByText('Rotate the keys').count(), 0);
    await ada.getByText('Rotate the keys').click();
    const { pathname } = new URL(ada.url());
    const id = pathname.split('/').at(-1) ?? '';
    await ada.getByText('Rotate the keys').first().waitFor();
    same('The session for Ben', await status(ben, `/api/sessions/${id}`), 404);
    same('Its log for Ben', await status(ben, `/api/sessions/${id}/log`), 404);
  });

  await run.promise('What Ben says on the page has his name there, and “on the page” in Linear', async () => {
    await issue.closing(1);
    await ben.goto(pageUrl);
    await ben.getByLabel('Message to Claude').fill('Please also check the empty cart');
    await ben.keyboard.press('Enter');
    await ben.getByText('Ben Example').first().waitFor();
    await until('the thread', () => issue.shown.join('\n').includes('Ben Example on the page'), { limitMs: 60_000 });
  });

  await run.promise(
    'Nobody of another workspace gets in before Cyrus is installed there, and then sees nothing of the first',
    async () => {
      await hedy.goto(stack.url);
      await choose(hedy, 'Hedy Example, Second Workspace');
      await hedy.getByRole('heading', { name: 'Cyrus is not installed in this workspace' }).waitFor();
      const admin = await open();
      await admin.goto(`${stack.url}/oauth/authorize`);
      await admin.getByRole('radio', { name: 'Second Workspace' }).check();
      await admin.getByRole('button', { name: 'Allow' }).click();
      await admin.getByRole('heading', { name: /is installed in/ }).waitFor();
      await hedy.goto(stack.url);
      await choose(hedy, 'Hedy Example, Second Workspace');
      await hedy.getByText('No sessions yet').waitFor();
      same('The session for Hedy', await status(hedy, `/api${new URL(pageUrl).pathname}`), 404);
    },
  );

  await run.promise('Ada sees where she is signed in, and signs another browser out', async () => {
    const other = await open();
    await other.goto(stack.url);
    await choose(other, 'Ada Example, Example Workspace');
    await other.getByText('Ada Example').waitFor();
    await ada.goto(stack.url);
    await ada.getByRole('link', { name: 'Account' }).click();
    await ada.getByRole('heading', { name: 'Where you are signed in' }).waitFor();
    await ada.getByText('this browser').waitFor();
    const buttons = ada.getByRole('button', { name: /^Sign out of/ });
    await until('two browsers', async () => (await buttons.count()) === 2);
    const others = ada.getByRole('listitem').filter({ hasNotText: 'this browser' });
    await others.getByRole('button').focus();
    await ada.keyboard.press('Enter');
    await until('one browser', async () => (await buttons.count()) === 1);
    same('The list in the other browser', await status(other, '/api/sessions'), 401);
  });

  await run.promise('Ada makes a token by keyboard, which works, is shown once, and is revoked', async () => {
    await ada.getByLabel('What it is for').fill('Nightly report');
    await ada.keyboard.press('Enter');
    const token = (await ada.locator('.people-secret code').textContent()) ?? '';
    const asked = () => fetch(`${stack.url}/api/v1/me`, { headers: { authorization: `Bearer ${token}` } });
    same('What the token gets', (await asked()).status, 200);
    await accessible('the account page', ada);
    await pictured(ada, `${stack.folder}/pictures/account`);
    await ada.reload();
    await ada.getByText('Nightly report').waitFor();
    same('The token after that', await ada.getByText(token).count(), 0);
    ada.once('dialog', (dialog) => void dialog.accept());
    await ada.getByRole('button', { name: 'Revoke Nightly report' }).click();
    await ada.getByText('There is no token yet.').waitFor();
    same('What the token gets then', (await asked()).status, 401);
  });

  await run.promise(
    'Ada, an admin, reads who did what, by action; Ben is not led there and is told nothing',
    async () => {
      await ada.getByRole('link', { name: 'Audit log' }).click();
      await ada.getByRole('cell', { name: 'token.revoked' }).waitFor();
      await ada.getByLabel('Actions that begin with').fill('session.');
      await ada.keyboard.press('Enter');
      const prompted = ada.getByRole('row', { name: /Ben Example session\.prompted/ });
      await prompted.waitFor();
      same('Other actions', await ada.getByRole('cell', { name: 'token.revoked' }).count(), 0);
      await accessible('the audit log', ada);
      await pictured(ada, `${stack.folder}/pictures/audit`);
      const file = await ada.getByRole('link', { name: 'Download as CSV' }).getAttribute('href');
      const csv = await (await ada.request.get(`${stack.url}${file}`)).text();
      holds(
        'The file',
        csv.includes('session.prompted') && !csv.includes('token.revoked'),
        'the same',
        csv.slice(0, 300),
      );
      await ada.getByLabel('Actions that begin with').fill('nothing.');
      await ada.keyboard.press('Enter');
      await ada.getByText('No action begins with “nothing.”.').waitFor();
      await ben.goto(`${stack.url}/account`);
      await ben.getByText('this browser').waitFor();
      same('Links to the audit log for Ben', await ben.getByRole('link', { name: 'Audit log' }).count(), 0);
      await ben.goto(`${stack.url}/audit`);
      await ben.getByText('Only admins of a workspace can read its audit log.').waitFor();
      const { workspaces } = await (await ben.request.get(`${stack.url}/api/me`)).json();
      same('The audit log for Ben', await status(ben, `/api/audit/${workspaces[0].id}`), 403);
    },
  );

  await run.promise(
    'Without a connection the account page says so, and goes on by itself when that is back',
    async () => {
      await ben.goto(`${stack.url}/account`);
      await ben.getByText('this browser').waitFor();
      await ben.route('**/api/me/**', (route) => route.abort());
      await ben.getByRole('link', { name: 'Sessions' }).click();
      await ben.getByRole('link', { name: 'Account' }).click();
      await ben.getByRole('alert').first().waitFor();
      await accessible('the account page without a connection', ben);
      await ben.unroute('**/api/me/**');
      await ben.evaluate(() => window.dispatchEvent(new Event('online')));
      await ben.getByText('this browser').waitFor();
      await until('the end of all problems', async () => (await ben.getByRole('alert').count()) === 0);
    },
  );

  await run.promise('Who signs out everywhere is out at once', async () => {
    await ada.goto(`${stack.url}/account`);
    await ada.getByRole('button', { name: 'Sign out everywhere' }).click();
    await ada.getByRole('heading', { name: 'Sign in' }).waitFor();
    same('The list', await status(ada, '/api/sessions'), 401);
    same('The list for Ben', await status(ben, '/api/sessions'), 200);
  });
  for (const context of contexts) await context.close();
}

/** Pictures of a page: in light and dark, on a desktop and a phone. */
async function pictured(page: Page, path: string): Promise<void> {
  const size = page.viewportSize();
  for (const [name, width] of [
    ['desktop', 1280],
    ['phone', 390],
  ] as const) {
    await page.setViewportSize({ width, height: 900 });
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: `${path}-${name}-${colorScheme}.png` });
    }
    const isWide = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
    same(`Whether the page is wider than a ${name}`, isWide, false);
  }
  await page.emulateMedia({ colorScheme: 'light' });
  if (size) await page.setViewportSize(size);
}

/** From the page with the button: to Linear, as somebody, and back. */
async function choose(page: Page, who: string): Promise<void> {
  await page.getByRole('link', { name: 'Sign in with Linear' }).click();
  await page.getByRole('radio', { name: who }).check();
  await page.getByRole('button', { name: 'Allow' }).click();
}

await playOnStage('People sign in with Linear', 6 * 60_000, signIn, { SIGN_IN: 'linear' });
