import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { LinearSimulator } from '../../../dev/linear/simulator.ts';
import { addActivity, call, OPERATIONS, startWithReceiver } from './api.ts';
import { hasBrowser, launchBrowser, openPage } from './browser.ts';

describe.skipIf(!hasBrowser)("The simulator's page", () => {
  let browser: Browser;
  let page: Page;
  let linear: LinearSimulator;
  let stop: () => Promise<void>;
  const complaints: string[] = [];
  beforeAll(async () => {
    browser = await launchBrowser();
  }, 30_000);
  afterAll(() => browser.close());
  beforeEach(async () => {
    ({ linear, stop } = await startWithReceiver());
    complaints.length = 0;
    page = await openPage(browser, complaints);
  });
  afterEach(async () => {
    await page.close();
    await stop();
    expect(complaints).toEqual([]);
  });

  it('takes an issue from its creation to the answer, with the keyboard alone, and shows each step as it happens', async () => {
    await page.goto(linear.url);
    await page.getByLabel('Title').focus();
    await page.keyboard.type('Round to cents');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Round to cents' }).waitFor();
    expect(page.url()).toContain('/example/issue/ENG-2/round-to-cents');
    await page.getByRole('button', { name: 'Assign to Cyrus' }).press('Enter');
    await page.getByRole('region', { name: 'Agent session, Waiting for the agent' }).waitFor();

    const id = linear.thread('ENG-2').sessions[0]?.id ?? '';
    const log = page.getByRole('log');
    await addActivity(linear, id, { type: 'thought', body: 'Let me see.' });
    await log.getByText('Let me see.').waitFor();
    const externalUrls = [{ label: 'Watch live', url: 'https://cyrus.example/sessions/1' }];
    await call(linear, OPERATIONS.SessionUpdate, { id, input: { externalUrls } });
    expect(await log.getByRole('link', { name: 'Watch live' }).getAttribute('href')).toBe(externalUrls[0]?.url);
    await addActivity(linear, id, { type: 'action', action: 'Run', parameter: 'npm test' }, { ephemeral: true });
    await log.getByText('ephemeral').waitFor();
    await addActivity(linear, id, { type: 'action', action: 'Run', parameter: 'npm test', result: '**2** passed' });
    await log.getByText('ephemeral').waitFor({ state: 'detached' });
    await log.locator('summary').press('Enter');
    await log.getByText('2 passed').waitFor();

    await page.getByLabel('Comment', { exact: true }).fill('also add tests');
    await page.getByLabel('Comment', { exact: true }).press('Control+Enter');
    await log.getByText('also add tests').waitFor();
    await log.getByRole('button', { name: 'Stop' }).press('Enter');
    await log.getByText('Ada Example pressed stop').waitFor();
    await addActivity(linear, id, { type: 'response', body: 'Stopped.' });
    await page.getByRole('region', { name: 'Agent session, Done' }).waitFor();
    await page.getByRole('button', { name: 'Unassign Cyrus' }).press('Enter');
    await page.getByRole('button', { name: 'Assign to Cyrus' }).waitFor();
    expect(linear.thread('ENG-2').sessions[0]?.activities.map(({ type }) => type)).toEqual([
      ...['thought', 'action', 'action', 'prompt', 'prompt', 'response'],
    ]);
  }, 30_000);

  it('answers a question with one of the choices', async () => {
    const { id } = linear.delegate('ENG-1');
    const signalMetadata = { options: [{ label: 'Shop', value: 'https://github.com/acme/shop' }] };
    await addActivity(linear, id, { type: 'elicitation', body: 'Which?' }, { signal: 'select', signalMetadata });
    await page.goto(linear.thread('ENG-1').issue.url);
    await page.getByRole('button', { name: 'Shop' }).click();
    await page.getByRole('log').getByText('https://github.com/acme/shop').waitFor();
    expect(linear.session(id)).toMatchObject({ status: 'active' });
  }, 30_000);

  it('shows what people and agents write as text: no markup of theirs becomes part of the page', async () => {
    const hostile = [
      '<img src=x onerror="document.title=\'owned\'">',
      '<script>document.title="owned"</script>',
      '[click](javascript:alert(1)) [data](data:text/html,x) ![image](https://example.com/pixel.png)',
      '`<b>code</b>` **<i>bold</i>** > '.repeat(3),
      '>'.repeat(5_000),
      '*_'.repeat(3_000),
    ].join('\n\n');
    const issue = linear.createIssue({ title: '<b>title</b>', description: hostile });
    const { id } = linear.delegate(issue.identifier);
    await addActivity(linear, id, { type: 'thought', body: hostile });
    await addActivity(linear, id, { type: 'action', action: '<b>a</b>', parameter: '<b>p</b>', result: hostile });
    await addActivity(linear, id, { type: 'response', body: hostile });
    await page.goto(issue.url);
    await page.getByRole('heading', { name: '<b>title</b>' }).waitFor();
    await page.getByRole('region', { name: 'Agent session, Done' }).waitFor();
    const written = page.locator('main');
    expect(await written.locator('img, script, b, i, iframe').count()).toBe(0);
    const targets = await written.locator('a').evaluateAll((links) => links.map((link) => link.getAttribute('href')));
    expect(new Set(targets)).toEqual(new Set(['https://example.com/pixel.png']));
    expect(await page.title()).toBe('ENG-2 · Linear simulator');
  }, 30_000);
});
