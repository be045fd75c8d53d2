/**
 * `npm run e2e:pages`: the page of a session in Chromium, by two people at once, with the network cut, the Worker killed and the server hung.
 * Prints each promise as it is kept; exits with 1 at the first that is not.
 */
import { join } from 'node:path';
import type { BrowserContext } from 'playwright-core';
import { accessible } from './accessible.ts';
import { watchConsole } from './console.ts';
import { LinearThread } from './linear-thread.ts';
import { LivePage } from './live-page.ts';
import { playOnStage } from './on-stage.ts';
import { holds, type Run, same, until } from './run.ts';
import type { Stage } from './stage.ts';
import { killWorker, workerRuntime } from './worker-runtime.ts';

/** Every wait has a limit of its own; this one is for what nobody thought of. */
const LIMIT_MS = 12 * 60_000;
const STEPS = 60;

async function pages(run: Run, stage: Stage): Promise<void> {
  const { linear } = stage.stack;
  await run.promise(
    'The files of the page are kept by browsers for a year, and asked for again when they change',
    async () => {
      const html = await (await fetch(`${stage.stack.url}/`)).text();
      const [script] = /\/assets\/[\w.-]+\.js/.exec(html) ?? [];
      const response = await fetch(`${stage.stack.url}${script}`);
      same('Cache-Control', response.headers.get('cache-control'), 'public, max-age=31536000, immutable');
    },
  );
  await twoPeople(run, stage);
  await unsent(run, stage);
  await reading(run, stage);
  await phone(run, stage);

  await run.promise('A drawing that fails leaves the rest of the page, and says what could not be drawn', async () => {
    const issue = LinearThread.assign(linear, 'Look only', '[script: no-change]');
    const session = await issue.livePage();
    await session.turnEnded(1);
    const page = await stage.browser.newPage();
    // Times of day are drawn in every message; the clock in the header is not one of them.
    await page.addInitScript(() => {
      Date.prototype.toLocaleTimeString = () => {
        throw new Error('a browser without times');
      };
    });
    await page.goto(session.pageUrl);
    await page.getByText('This entry could not be drawn.').first().waitFor();
    await page.getByRole('textbox', { name: 'Message to Claude' }).waitFor();
    await page.close();
    // React itself reports what a boundary caught.
    stage.console.errors.splice(0);
  });

  await run.promise('No page has complained in the browser’s console', async () => {
    same('Errors in the console', stage.console.errors, []);
  });
}

/** Two browsers watch and write; the network goes away, the Worker dies, the server hangs. */
async function twoPeople(run: Run, stage: Stage): Promise<void> {
  const { linear } = stage.stack;
  const issue = LinearThread.assign(linear, 'Many steps', `[script: steps ${STEPS} 500]`);
  const session = await issue.livePage();
  const context = await anotherBrowser(stage);
  const ada = await LivePage.open(stage.browser, stage.console, session.pageUrl);
  const ben = await LivePage.open(context, watchConsole(context), session.pageUrl);
  await until('the first steps', async () => (await ada.page.locator('.tool').count()) > 3);

  await run.promise('A reader who scrolled up stays where they are while Claude works on', async () => {
    const box = ben.page.locator('main.timeline');
    await until('more than a screen', () => box.evaluate((element) => element.scrollHeight > 2 * element.clientHeight));
    await box.hover();
    await ben.page.mouse.wheel(0, -600);
    await ben.page.getByRole('button', { name: /New activity|To the end/ }).waitFor();
    const top = () => box.evaluate((element) => element.querySelector('.vrow .tool')?.getBoundingClientRect().top);
    await ben.page.waitForTimeout(300);
    const before = await top();
    await ben.page.getByRole('button', { name: 'New activity' }).waitFor();
    await ben.page.waitForTimeout(1_500);
    const after = await top();
    holds('What is read stays in its place', Math.abs((after ?? 0) - (before ?? 0)) <= 2, before, after);
    await ben.page.getByRole('button', { name: 'New activity' }).click();
  });

  await run.promise('The network cut in mid-stream loses nothing and doubles nothing', async () => {
    await ada.loseNetwork(900);
  });

  await run.promise(
    'A server that hangs is said not to answer, the clock stands still, and then all goes on',
    async () => {
      const pid = workerRuntime(stage.stack);
      const clock = ada.page.locator('.pill .elapsed');
      await stage.console.whileNetworkIsDown(async () => {
        await ada.page.evaluate(() => (window as unknown as { cutSockets(): void }).cutSockets());
        process.kill(pid, 'SIGSTOP');
        try {
          await ada.page.getByText(/^No answer for /).waitFor({ timeout: 40_000 });
          const before = await clock.textContent();
          await ada.page.waitForTimeout(2_200);
          same('The clock', await clock.textContent(), before);
        } finally {
          process.kill(pid, 'SIGCONT');
        }
        await until('the page to be live again', async () => (await ada.connection()) === 'Live', { limitMs: 40_000 });
      });
    },
  );

  await run.promise('Esc asks before it stops, and a word to Claude is seen by both people', async () => {
    await ada.page.getByRole('textbox', { name: 'Message to Claude' }).fill('And mind the shipping costs.');
    await ada.page.keyboard.press('Enter');
    for (const live of [ada, ben]) {
      await live.page.locator('.message', { hasText: 'And mind the shipping costs.' }).first().waitFor();
    }
    await ada.page.keyboard.press('Escape');
    await ada.page.getByText('again to stop Claude').waitFor();
    await ada.page.waitForTimeout(4_500);
    same('The session', await session.phase(), 'working');
  });

  await run.promise(
    'The Worker killed in the middle: both people see the same in the end, each step once',
    async () => {
      await stage.console.whileNetworkIsDown(async () => {
        await killWorker(stage.stack);
        await session.turnEnded(1, 240_000);
      });
      const seen: string[] = [];
      for (const live of [ada, ben]) {
        await live.turnEnded(1);
        const calls = await live.toolCalls();
        same('Commands', calls.filter((call) => call.startsWith('Bash echo')).length, STEPS);
        seen.push(await live.timeline());
      }
      same('What the second person sees', seen[1], seen[0]);
    },
  );
  await stage.picture('pages-two');
  await accessible('the page of a session that is done', ada.page);
  await context.close();
  await ada.page.close();
}

/** Messages wait for the end of a turn and for the network, in two tabs. */
async function unsent(run: Run, stage: Stage): Promise<void> {
  const issue = LinearThread.assign(stage.stack.linear, 'Some steps', '[script: steps 30 500]');
  const session = await issue.livePage();
  const one = await LivePage.open(stage.browser, stage.console, session.pageUrl);
  const other = await LivePage.open(stage.browser, stage.console, session.pageUrl);
  await until('the first steps', async () => (await one.page.locator('.tool').count()) > 1);
  const field = one.page.getByRole('textbox', { name: 'Message to Claude' });
  const waiting = (live: LivePage) => live.page.getByRole('region', { name: /not sent yet/ });
  const prompts = async (words: string) =>
    (await session.entries('prompt')).filter(({ text }) => text.includes(words)).length;

  await run.promise(
    'A message for the end of the turn is seen in both tabs, and is still there when the page is loaded again',
    async () => {
      await field.fill('Then tidy up. [script: no-change]');
      await field.press('Alt+Enter');
      for (const live of [one, other]) await waiting(live).getByText('Will be sent after this turn').waitFor();
      await one.page.reload();
      await waiting(one).getByText('Then tidy up.').waitFor();
      same('Messages that arrived', await prompts('Then tidy up.'), 0);
    },
  );

  await run.promise('What is written without a network can be edited, moved and withdrawn, by keyboard', async () => {
    await stage.console.whileNetworkIsDown(async () => {
      await stage.browser.setOffline(true);
      await other.page.evaluate(() => (window as unknown as { cutSockets(): void }).cutSockets());
      await until('the page to notice', async () => (await other.connection()) !== 'Live');
      const writing = other.page.getByRole('textbox', { name: 'Message to Claude' });
      for (const words of ['Mind the prizes.', 'Forget this.']) {
        await writing.fill(words);
        await writing.press('Enter');
      }
      await waiting(other).getByText('Will be sent when the connection is back.').nth(1).waitFor();
      await accessible('messages that wait', other.page);
      await stage.picture('pages-unsent');
      await waiting(other)
        .getByRole('listitem')
        .filter({ hasText: 'Forget this.' })
        .getByRole('button', { name: 'Withdraw' })
        .press('Enter');
      await waiting(other).getByText('Forget this.').waitFor({ state: 'detached' });
      await writing.press('ArrowUp');
      const edit = other.page.getByRole('textbox', { name: 'Message that is being edited' });
      await edit.fill('Mind the prices.');
      await edit.press('Control+Enter');
      await waiting(other).getByText('Mind the prices.').waitFor();
      await stage.browser.setOffline(false);
      await until('the page to be live again', async () => (await other.connection()) === 'Live');
    });
    await other.page.locator('.message:not(.message-outgoing)', { hasText: 'Mind the prices.' }).first().waitFor();
    same('Messages that were withdrawn or changed', (await prompts('Forget')) + (await prompts('prizes')), 0);
    same('Messages that were edited', await prompts('Mind the prices.'), 1);
  });

  await run.promise('When the turn is over, the message that waited for it arrives once', async () => {
    await session.turnEnded(2, 120_000);
    same('Messages', await prompts('Then tidy up.'), 1);
    for (const live of [one, other]) await waiting(live).waitFor({ state: 'detached' });
  });
  await one.page.close();
  await other.page.close();
}

/** What was said long ago is found, led to and folded. */
async function reading(run: Run, stage: Stage): Promise<void> {
  const { linear } = stage.stack;
  const issue = LinearThread.assign(linear, 'The cart total ignores quantities', 'Please mend it.');
  const session = await issue.livePage();
  await session.turnEnded(1);
  linear.comment(issue.issue, 'What was that about? [script: no-change]');
  await session.turnEnded(2);
  linear.comment(issue.issue, 'Thank you. [script: no-change]');
  await session.turnEnded(3);
  const { page } = await LivePage.open(stage.browser, stage.console, session.pageUrl);
  const ended = await session.entries('turn-ended');

  await run.promise('The answer to an earlier request stays in sight when its turn is folded', async () => {
    await page.locator('main.timeline').evaluate((element) => element.scrollTo(0, 0));
    const answer = page.locator('.turn-answer').first();
    await answer.getByText('The cart total counts every piece').waitFor();
  });

  await run.promise('Words are found in the whole session, and a match leads to where they are', async () => {
    await page.keyboard.press('Control+f');
    await page.getByRole('searchbox', { name: 'Find in this session' }).fill('counts every piece');
    await page.getByRole('list', { name: 'Matches, newest first' }).getByRole('button').last().waitFor();
    await accessible('the search', page);
    await page.getByRole('list', { name: 'Matches, newest first' }).getByRole('button').last().click();
    await page.locator('.vrow-marked').waitFor();
    await stage.picture('pages-found');
    await page.keyboard.press('Escape');
    await page.getByRole('searchbox').waitFor({ state: 'detached' });
  });

  await run.promise('The address of an entry leads to it, also in a turn that is folded', async () => {
    const call = (await session.entries('tool-call'))[0];
    const other = await stage.browser.newPage();
    await other.goto(`${session.pageUrl}#e${call?.seq}`);
    const row = other.locator('.vrow-marked');
    await row.waitFor();
    await row.getByText('npm test').first().waitFor();
    await other.close();
  });

  await run.promise('The whole branch is reviewed file by file, and what was viewed stays marked', async () => {
    await page.getByRole('link', { name: 'Review the changes' }).click();
    const changes = page.getByRole('region', { name: 'Changes of the branch' });
    const file = changes.getByRole('region', { name: 'src/cart.js' });
    await file.getByText('return cart.items.reduce((total, item) => total + item.price * item.quantity, 0);').waitFor();
    await accessible('the changes', page);
    await changes.getByRole('button', { name: 'Side by side' }).click();
    await changes.locator('table.split').first().waitFor();
    await stage.picture('pages-changes');
    await file.getByRole('checkbox', { name: 'Viewed' }).check();
    await file.locator('table').waitFor({ state: 'detached' });
    await page.reload();
    await changes.getByText('1 file, 1 viewed').waitFor();
    await page.keyboard.press('Escape');
    await changes.waitFor({ state: 'detached' });
    await page.getByRole('textbox', { name: 'Message to Claude' }).waitFor();
  });

  await run.promise('Comments on lines go to Claude as one review, and its answers are beside the lines', async () => {
    await page.getByRole('link', { name: 'Review the changes' }).click();
    const changes = page.getByRole('region', { name: 'Changes of the branch' });
    const file = changes.getByRole('region', { name: 'src/cart.js' });
    await file.getByRole('checkbox', { name: 'Viewed' }).uncheck();
    const field = changes.getByRole('textbox', { name: /^Comment on line/ });
    const words = ['Is every piece counted?', 'And this? [script: answer-review]'];
    for (const [index, text] of words.entries()) {
      // By keyboard alone: the arrows go from line to line, Enter comments.
      await file.locator('.diff-scroll').focus();
      for (let line = 0; line <= index; line += 1) await page.keyboard.press('ArrowDown');
      await page.keyboard.press('Enter');
      await field.fill(text);
      await field.press('Control+Enter');
    }
    await page.reload();
    await changes.getByRole('heading', { name: 'Review with 2 comments' }).waitFor();
    await accessible('a review that is written', page);
    await changes.getByRole('button', { name: 'Send to Claude' }).click();
    await session.turnEnded(4);
    const answered = changes.locator('.line-answer');
    await until('the answers', async () => (await answered.count()) === 2);
    await stage.picture('pages-review');
    const review = (await session.entries('prompt')).at(-1)?.text ?? '';
    for (const part of [...words, '`src/cart.js`, line', '```diff\n@@ -']) {
      holds('The review has file, lines and hunk', review.includes(part), part, review);
    }
    await page.keyboard.press('Escape');
    await changes.waitFor({ state: 'detached' });
  });

  await run.promise('A share link shows the session to a stranger, read-only, until somebody ends it', async () => {
    const share = page.getByRole('region', { name: 'Share' });
    await share.getByRole('button', { name: 'Share' }).click();
    await share.getByRole('button', { name: 'Make a link' }).click();
    const link = await share.getByRole('textbox', { name: 'The new link' }).inputValue();
    await accessible('a session with a share link', page);
    const context = await anotherBrowser(stage);
    const stranger = await context.newPage();
    const asked: string[] = [];
    stranger.on('request', (request) => asked.push(request.url()));
    await stranger.goto(link);
    await stranger.getByText('Somebody shared this session with you').waitFor();
    await stranger.getByText('The cart total counts every piece').first().waitFor();
    await stranger.screenshot({ path: join(stage.stack.folder, 'pictures', 'pages-shared.png') });
    await accessible('a shared session', stranger);
    same('Fields to write in', await stranger.getByRole('textbox').count(), 0);
    const secret = new URL(link).hash.slice(1);
    same(
      'Addresses with the secret',
      asked.filter((url) => new URL(url).href.split('#')[0]?.includes(secret)),
      [],
    );
    await share.getByRole('button', { name: 'End this link' }).click();
    await stranger.getByText('This link shows nothing').waitFor();
    await context.close();
  });

  await run.promise('The downloaded log has what people asked', async () => {
    const log = await session.download('log');
    for (const words of ['Please mend it.', 'What was that about?', 'Thank you.', ended[0]?.text.slice(0, 30) ?? '']) {
      holds(`The log has "${words}"`, log.includes(words), words, log.slice(0, 2_000));
    }
  });
  await page.close();
}

/** On a phone a message may have several lines, and what one has to press is large enough. */
async function phone(run: Run, stage: Stage): Promise<void> {
  const issue = LinearThread.assign(stage.stack.linear, 'Pick a colour', '[script: question]');
  const session = await issue.livePage();
  const context = await anotherBrowser(stage, {
    viewport: { width: 390, height: 800 },
    hasTouch: true,
    isMobile: true,
    colorScheme: 'dark',
  });
  const page = await context.newPage();
  await page.goto(session.pageUrl);
  await run.promise(
    'On a phone Enter makes a line, the button sends, and a question keeps what its options mean',
    async () => {
      await page.getByText('Like a warning').waitFor();
      await accessible('a question on a phone, dark', page);
      const field = page.getByRole('textbox', { name: 'Message to Claude' });
      await field.fill('Green');
      await field.press('Enter');
      await field.pressSequentially('as grass');
      same('What is written', await field.inputValue(), 'Green\nas grass');
      await page.screenshot({ path: join(stage.stack.folder, 'pictures', 'pages-phone.png') });
      await page.reload();
      same('What is written, after the page was loaded again', await field.inputValue(), 'Green\nas grass');
      await page.getByRole('button', { name: 'Send' }).click();
      await session.turnEnded(1);
      await page.locator('.message', { hasText: 'as grass' }).first().waitFor();
    },
  );
  await context.close();
}

/** Another person's browser. */
async function anotherBrowser(stage: Stage, options: object = {}): Promise<BrowserContext> {
  const browser = stage.browser.browser();
  if (browser === null) throw new Error('the browser is closed');
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, locale: 'en-US', ...options });
  context.setDefaultTimeout(15_000);
  return context;
}

await playOnStage('The page of a session', LIMIT_MS, pages);
