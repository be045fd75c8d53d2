/**
 * `npm run e2e:sign-in`: people of two workspaces and of a private team sign in with Linear, each in a browser of their own,
 * against the simulator.
 */
import type { BrowserContext, Page } from 'playwright-core';
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

  await run.promise('Who signs out everywhere is out at once', async () => {
    await ada.goto(stack.url);
    await ada.getByRole('button', { name: 'Sign out everywhere' }).click();
    await ada.getByRole('heading', { name: 'Sign in' }).waitFor();
    same('The list', await status(ada, '/api/sessions'), 401);
    same('The list for Ben', await status(ben, '/api/sessions'), 200);
  });
  for (const context of contexts) await context.close();
}

/** From the page with the button: to Linear, as somebody, and back. */
async function choose(page: Page, who: string): Promise<void> {
  await page.getByRole('link', { name: 'Sign in with Linear' }).click();
  await page.getByRole('radio', { name: who }).check();
  await page.getByRole('button', { name: 'Allow' }).click();
}

await playOnStage('People sign in with Linear', 6 * 60_000, signIn, { SIGN_IN: 'linear' });
