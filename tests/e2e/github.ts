/**
 * `npm run e2e:github`: what happens to a pull request on GitHub reaches Claude. A review becomes a commit and an answer in each thread, a red
 * check is repaired, by the webhooks of the stand-in, which come twice, late, in another order, or not at all.
 */
import { planMarker } from '../../dev/claude/scripts.ts';
import { SAMPLE_REPOSITORY } from '../../dev/git/sample-repository.ts';
import type { Stack } from '../../dev/stack.ts';
import { LinearThread } from './linear-thread.ts';
import { playOnStage } from './on-stage.ts';
import { holds, type Run, same, until } from './run.ts';
import { type Stage, setRepository } from './stage.ts';

const GATHER_S = 2;

async function reviewed(run: Run, stage: Stage): Promise<void> {
  const { stack } = stage;
  const { github } = stack;
  github.setPermission(SAMPLE_REPOSITORY, 'ada', 'write');
  await setRepository(stack, { pullRequest: { checks: 'repair' } });
  const first = planMarker({ steps: [{ sh: 'echo one >> notes.txt' }], text: 'Noted.' });
  const issue = LinearThread.assign(stack.linear, 'Take notes', first);
  const session = await issue.livePage();
  const pull = () => github.pulls()[0];
  const branch = `cyrus/${issue.issue.toLowerCase()}`;
  const tip = async () => (await stack.git.branches(SAMPLE_REPOSITORY)).find(({ name }) => name === branch)?.sha ?? '';
  const answers = () => pull()?.reviewComments.filter(({ inReplyTo }) => inReplyTo !== null) ?? [];

  await run.promise('A turn that changed something ends in a pull request', async () => {
    await session.turnEnded(1, 240_000);
    same('Pull requests', github.pulls().length, 1);
  });

  await run.promise('A review becomes a commit, and each of its threads is answered once', async () => {
    const before = await tip();
    const plan = planMarker({
      steps: [{ sh: 'echo two >> notes.txt' }],
      text: 'Thread 1: Added the second note.\n\nThread 2: Because it is short.',
    });
    github.webhooks.hold();
    await github.review(SAMPLE_REPOSITORY, 1, 'ada', 'CHANGES_REQUESTED', {
      comments: [
        { path: 'notes.txt', line: 1, body: `A second note, please. ${plan}` },
        { path: 'notes.txt', line: 1, body: 'Why this file?' },
      ],
    });
    await github.settled();
    github.webhooks.release((held) => held.toReversed());
    await github.settled();
    for (const delivery of github.webhooks.deliveries.slice(-3)) github.webhooks.redeliver(delivery);
    await session.turnEnded(2, 240_000);
    const replies = await until('both answers', () => (answers().length === 2 ? answers() : null), { limitMs: 60_000 });
    const words = replies.map(({ body }) => body.split('\n')[0]);
    same('The answers', words.join(' / '), 'Added the second note. / Because it is short.');
    const after = await tip();
    holds('The branch has a new commit', after !== before, 'another tip', after);
    holds('The answer names it', replies[0]?.body.includes(after) === true, after, replies[0]?.body);
    await until('the request to look again', () => pull()?.asked.includes('ada') || null);
  });

  await run.promise(
    'A comment that only asks, by a webhook that did not arrive, is answered without a commit',
    async () => {
      const before = await tip();
      const plan = planMarker({ steps: [], text: 'Thread 3: It is read from top to bottom.' });
      github.webhooks.lose(1);
      github.commentAs(SAMPLE_REPOSITORY, 1, 'ada', `@cyrus how is it read? ${plan}`);
      await github.settled();
      await runCron(stack);
      await session.turnEnded(3, 240_000);
      const comment = await until('the answer', () => pull()?.comments.find(({ author }) => author !== 'ada') ?? null);
      holds('The answer', comment.body.includes('read from top to bottom'), 'it', comment.body);
      same('The tip of the branch', await tip(), before);
    },
  );

  await run.promise('A review by somebody without rights starts nothing, and an approval neither', async () => {
    const evil = planMarker({ steps: [{ sh: 'echo evil >> notes.txt' }], text: 'Thread 4: Done.' });
    await github.review(SAMPLE_REPOSITORY, 1, 'mallory', 'CHANGES_REQUESTED', { body: evil });
    await github.review(SAMPLE_REPOSITORY, 1, 'ada', 'APPROVED', { body: 'Good.' });
    await github.settled();
    const isTold = async () =>
      (await session.read()).entries.some((entry) => entry.kind === 'notice' && entry.text.includes('mallory')) || null;
    await until('the notice on the page', isTold, { limitMs: 60_000 });
    same('Turns', (await session.read()).entries.filter(({ kind }) => kind === 'turn-ended').length, 3);
    same('Answers', answers().length, 2);
  });

  await run.promise(
    'A red check is repaired in the same session, with its log, and only once for a commit',
    async () => {
      const before = await tip();
      const plan = planMarker({ steps: [{ sh: 'echo three >> notes.txt' }], text: 'A note was missing.' });
      const log = `2026-11-30T10:00:00.1234567Z ##[error]Expected three notes ${plan}`;
      github.setChecks({
        repository: SAMPLE_REPOSITORY,
        commit: before,
        runs: [{ name: 'notes', status: 'completed', conclusion: 'failure', log }],
      });
      await github.settled();
      await session.turnEnded(4, 240_000);
      const after = await until('another commit', async () => ((await tip()) === before ? null : await tip()));
      for (const delivery of github.webhooks.deliveries.slice(-2)) github.webhooks.redeliver(delivery);
      github.setChecks({
        repository: SAMPLE_REPOSITORY,
        commit: after,
        runs: [{ name: 'notes', status: 'completed', conclusion: 'success' }],
      });
      await github.settled();
      const green = async () => (await session.read()).session.pullRequest?.seen?.checks === 'passed' || null;
      await until('the green check on the page', green, { limitMs: 60_000 });
      same('Turns', (await session.read()).entries.filter(({ kind }) => kind === 'turn-ended').length, 4);
    },
  );

  await run.promise('Its merge is shown at once, with nobody looking', async () => {
    await github.merge(SAMPLE_REPOSITORY, 1);
    await github.settled();
    const merged = async () => (await session.read()).session.pullRequest?.seen?.state === 'merged' || null;
    await until('the state on the page', merged, { limitMs: 60_000 });
  });
}

/** The scheduled job, which a local run has only when it is asked for (developers.cloudflare.com/workers/configuration/cron-triggers). */
async function runCron({ url }: Stack): Promise<void> {
  const response = await fetch(`${url}/cdn-cgi/handler/scheduled`);
  same('The scheduled job has run', response.status, 200);
}

/** Every wait has a limit of its own; this one is for what nobody thought of. */
const LIMIT_MS = 10 * 60_000;

await playOnStage('A pull request on GitHub', LIMIT_MS, reviewed, { REVIEW_GATHER_SECONDS: String(GATHER_S) });
