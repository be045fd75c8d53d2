/** The main job: an issue is assigned, watched, mended, looked at, and followed up. */

import type { Page } from 'playwright-core';
import { SAMPLE_REPOSITORY } from '../../dev/git/sample-repository.ts';
import { accessible } from './accessible.ts';
import { type CyrusSession, isNumberedWithoutGaps } from './cyrus-session.ts';
import { GitCheckout } from './git-checkout.ts';
import { isByCyrus, isSaidOnce, LinearThread } from './linear-thread.ts';
import { LivePage } from './live-page.ts';
import { holds, type Run, same, until, within } from './run.ts';
import { SandboxSession } from './sandbox-session.ts';
import type { Stage } from './stage.ts';

/** Milliseconds from the webhook that assigns the issue. */
export interface FlightTimes {
  webhookToAcknowledgedMs: number;
  webhookToFirstActivityMs: number;
  webhookToSandboxReadyMs: number;
  webhookToFirstModelRequestMs: number;
  webhookToTurnDoneMs: number;
}

const BRANCH = 'cyrus/eng-1';
const FAILING = 'the total counts every piece of an item';
const PULL_REQUEST = 'Pull request #1';
const REMARK = 'Looked at by Ada.';
const MENDED = 'Count every piece in the cart total';

/** The simulated workspace holds one issue, ENG-1, about the failing test of the sample repository. */
export async function assignedIssue(run: Run, stage: Stage): Promise<FlightTimes> {
  const { stack } = stage;
  const issue = new LinearThread(stack.linear, 'ENG-1');
  const linear = await stage.browser.newPage();

  await run.promise('A person opens the issue in Linear and assigns it to Cyrus', async () => {
    await linear.goto(stack.linear.url);
    await linear.getByRole('link', { name: /ENG-1/ }).click();
    await linear.getByRole('button', { name: 'Assign to Cyrus', exact: true }).click();
    await linear.getByRole('button', { name: 'Unassign Cyrus' }).waitFor();
  });

  const session = await run.promise('Within a second Cyrus thinks aloud there and links a live page', async () => {
    await linear.getByText('On it. Starting a sandbox for Claude.').waitFor();
    await linear.getByRole('link', { name: 'Live session' }).waitFor();
    const webhook = await issue.webhook('created');
    const first = await issue.firstActivity();
    within('The first thought', Date.parse(first.createdAt) - webhook.at, 1_000);
    return issue.livePage();
  });

  const live = await run.promise('The link leads to the live page, where Claude is at work', async () => {
    const live = await followLink(stage, linear);
    same('The address of the page', live.page.url(), session.pageUrl);
    await live.page.getByRole('heading', { name: /The cart total ignores quantities/ }).waitFor();
    await live.page.getByText('A scripted model answers; this is not Claude.').waitFor();
    await until('a tool call on the page', async () => (await live.toolCalls()).length > 0);
    return live;
  });

  await run.promise('Claude finds the failing test, mends the code, tests again and commits', async () => {
    const ended = await session.turnEnded(1);
    same('The outcome', ended.outcome, 'completed');
    await live.turnEnded(1);
    isNumberedWithoutGaps((await session.read()).entries);
    same('Tool calls on the page', await live.toolCalls(), [
      'Bash npm test',
      'Read src/cart.js',
      'Edit src/cart.js',
      'Bash npm test',
      `Bash git add -A && git commit -m "${MENDED}" -m "The total ignored the quantity of an item."`,
    ]);
  });

  const checkout = await GitCheckout.clone(stack, 'eng-1');
  await run.promise('On the git host the test fails on main and passes on the branch', async () => {
    const before = await checkout.npmTest();
    holds('The test fails on main', before.code !== 0 && before.output.includes(FAILING), FAILING, before);
    await checkout.checkOut(BRANCH);
    const after = await checkout.npmTest();
    same('The tests on the branch', after.code, 0);
    const subjects = (await checkout.commitsOf(BRANCH)).map((commit) => commit.subject);
    same('Commits of the branch', subjects, [MENDED]);
  });

  await run.promise('Linear shows thoughts, actions and one response, in order, each once', async () => {
    await issue.closing();
    isSaidOnce(issue.activities);
    same('The thread', withoutWords(issue.shown), [
      'thought On it. Starting a sandbox for Claude.',
      'thought I take this …',
      'action Ran npm test',
      'thought One test fails: …',
      'action Read src/cart.js',
      'thought `cartTotal` adds the …',
      'action Edited src/cart.js',
      'thought Now the tests …',
      'action Ran npm test',
      'action Ran git add …',
      'response ## The cart …',
    ]);
    same('The state of the session', issue.session.status, 'complete');
    const { state } = stack.linear.thread('ENG-1').issue;
    same('The state of the issue', [state.name, state.type], ['In Progress', 'started']);
    await linear.getByRole('heading', { name: 'The cart total counts every piece' }).waitFor();
  });

  await run.promise('A pull request carries the work; the answer, the issue and the page link it', async () => {
    const [pull, ...others] = stack.github.pulls();
    if (!pull) throw new Error('GitHub has no pull request');
    same('Other pull requests', others, []);
    const { title, head, base, state, draft } = pull;
    same(
      'The pull request',
      { title, head, base, state, draft },
      {
        title: 'ENG-1: The cart total ignores quantities',
        head: BRANCH,
        base: 'main',
        state: 'open',
        draft: false,
      },
    );
    for (const words of ['The cart total counts every piece', 'Fixes ENG-1', session.pageUrl]) {
      holds(`Its description has ${words}`, pull.body?.includes(words) === true, words, pull.body);
    }
    const url = `${stack.github.url}/acme/shop/pull/1`;
    const { body } = (await issue.closing()).content as { body: string };
    holds('The answer names it', body.includes(`[Pull request #1](${url})`), url, body);
    same(
      'The links of the thread',
      issue.session.externalUrls.map((link) => link.label),
      ['Live session', PULL_REQUEST],
    );
    await until('the attachment of the issue', () =>
      stack.linear.thread('ENG-1').attachments.some((one) => one.url === url),
    );
    await live.page.getByRole('banner').getByRole('link', { name: PULL_REQUEST }).waitFor();
    const [opened] = await Promise.all([
      stage.browser.waitForEvent('page'),
      live.turn(1).getByRole('link', { name: PULL_REQUEST }).click(),
    ]);
    await opened.getByRole('heading', { name: 'ENG-1: The cart total ignores quantities' }).waitFor();
    await opened
      .getByText('return cart.items.reduce((total, item) => total + item.price * item.quantity, 0);')
      .waitFor();
    await stage.picture('1-pull-request');
    await opened.close();
    // A person adds something of their own, which has to stay.
    await stack.github.change(SAMPLE_REPOSITORY, 1, { body: `${pull.body}\n\n${REMARK}` });
  });

  await run.promise('The page shows outcome, diff and commit, and the same again when it is loaded again', async () => {
    const { page } = live;
    const turn = live.turn(1);
    await turn.getByLabel('Outcome').getByText('Done', { exact: true }).waitFor();
    await turn.getByText('return cart.items.reduce((total, item) => total + item.price * item.quantity, 0);').waitFor();
    await turn.getByText(`1 new commit on ${BRANCH}`).click();
    await turn.getByText(MENDED).last().waitFor();
    await turn.getByText(`1 new commit on ${BRANCH}`).click();
    await accessible('the page of a session', page);
    const before = await live.timeline();
    await stage.picture('1-mended');
    await page.reload();
    await live.turnEnded(1);
    same('The timeline', await live.timeline(), before);
  });

  await run.promise('The log and the patch can be downloaded, and the patch applies to main', async () => {
    const log = await until('the log of the turn', async () => {
      const text = await session.download('log');
      return text.includes(MENDED) ? text : null;
    });
    for (const words of ['ENG-1', 'npm test', 'The cart total counts every piece', BRANCH]) {
      holds(`The log tells of ${words}`, log.includes(words), words, log);
    }
    const checked = await checkout.checkPatch(await session.download('patch'));
    same('git apply --check on main', checked.code, 0);
    holds('The patch mends the cart', checked.output.includes('src/cart.js'), 'src/cart.js', checked.output);
  });

  await run.promise('A follow-up comment makes a second commit on the branch, in the same conversation', async () => {
    const sandbox = new SandboxSession(stage.machine, session.id);
    const before = await sandbox.conversations();
    same('Conversations after the first turn', before.length, 1);
    await linear.getByLabel('Comment', { exact: true }).fill('Please also count the pieces in the cart.');
    await linear.getByRole('button', { name: 'Send' }).click();
    const answer = await issue.closing(2);
    holds(
      'The answer takes up what was asked',
      answer.type === 'response' &&
        JSON.stringify(answer.content).includes('Please also count the pieces in the cart.'),
      'the words of the comment',
      answer.content,
    );
    await session.turnEnded(2);
    same('Conversations after the second turn', await sandbox.conversations(), before);
    const commits = await checkout.commitsOf(BRANCH);
    same('Commits of the branch', commits.length, 2);
    same('The first commit', commits[0]?.subject, MENDED);
    await checkout.checkOut(BRANCH);
    same('The tests on the branch', (await checkout.npmTest()).code, 0);
    isSaidOnce(issue.activities);
    const [pull, ...others] = stack.github.pulls();
    same('Other pull requests', others, []);
    for (const words of ['Please also count the pieces in the cart.', REMARK]) {
      holds(`The pull request has ${words}`, pull?.body?.includes(words) === true, words, pull?.body);
    }
    await live.turnEnded(2);
    await stage.picture('2-followed-up');
  });

  await linear.close();
  await live.page.close();
  return flightTimes(stage, issue, session);
}

/** Clicks the link as a person does: it opens a tab or leads away, as the page has it. */
async function followLink(stage: Stage, linear: Page): Promise<LivePage> {
  const [opened] = await Promise.all([
    stage.browser.waitForEvent('page'),
    linear.getByRole('link', { name: 'Live session' }).click(),
  ]);
  return new LivePage(opened, stage.console);
}

/** Lines with their first words alone where the words are the script's own. */
function withoutWords(lines: string[]): string[] {
  const kept = /^(thought On it|action (?!Ran git))/;
  return lines.map((line) => (kept.test(line) ? line : `${line.split(/\s+/).slice(0, 4).join(' ')} …`));
}

async function flightTimes(stage: Stage, issue: LinearThread, session: CyrusSession): Promise<FlightTimes> {
  const { at, acknowledgedMs } = await issue.webhook('created');
  const first = issue.activities.find(isByCyrus);
  const started = (await session.entries('step')).find((step) => step.step === 'claude' && step.status === 'started');
  const [ended] = await session.entries('turn-ended');
  const request = stage.stack.model?.requests().find((one) => one.script === 'repair');
  if (!first || !started || !ended || !request) throw new Error('the first turn left no times');
  return {
    webhookToAcknowledgedMs: acknowledgedMs,
    webhookToFirstActivityMs: Date.parse(first.createdAt) - at,
    webhookToSandboxReadyMs: started.at - at,
    webhookToFirstModelRequestMs: request.at - at,
    webhookToTurnDoneMs: ended.at - at,
  };
}
