/** Watching Claude at work: text as it is written, a network that goes away, a comment in between. */
import { isNumberedWithoutGaps } from './cyrus-session.ts';
import { isSaidOnce, LinearThread } from './linear-thread.ts';
import { LivePage } from './live-page.ts';
import { holds, type Run, same, until } from './run.ts';
import { workOf } from './script-steps.ts';
import type { Stage } from './stage.ts';

/** Words of the long answer, and milliseconds between two: over three seconds to watch. */
const WORDS = 300;
const PACE_MS = 12;

export async function watching(run: Run, stage: Stage): Promise<void> {
  const { linear } = stage.stack;

  await run.promise(
    'What Claude writes shows while it is written; a lost network loses and repeats nothing',
    async () => {
      const marker = `[script: long-text ${WORDS} ${PACE_MS}]`;
      const issue = LinearThread.assign(linear, 'Explain the cart', marker);
      const session = await issue.livePage();
      const live = await LivePage.open(stage.browser, stage.console, session.pageUrl);
      const beginning = await until('streamed text on the page', async () => (await live.streamedText()) || null);
      const more = await until('more of it', async () => {
        const text = await live.streamedText();
        return text.length > beginning.length ? text : null;
      });
      holds('The text grows', more.startsWith(beginning), `${beginning}…`, more);
      holds('That is before the end', !(await live.hasEnded()), 'no outcome yet', 'an outcome');
      await stage.picture('3-watched');
      await live.loseNetwork(700);
      await live.turnEnded(1);
      const { answer } = workOf('long-text', [WORDS, PACE_MS], '/');
      const written = (await live.texts()).map(asWords);
      same('What the page shows in the end', written, [asWords(answer)]);
      const before = await live.timeline();
      await live.page.reload();
      await live.turnEnded(1);
      same('The timeline, loaded again', await live.timeline(), before);
      isNumberedWithoutGaps((await session.read()).entries);
      await live.page.close();
    },
  );

  await run.promise('A comment in the middle of a turn reaches Claude within it', async () => {
    const issue = LinearThread.assign(linear, 'Three steps', '[script: steps 3 400]');
    const session = await issue.livePage();
    await until('the first step', () => issue.shown.some((line) => line.startsWith('action Ran echo')));
    linear.comment(issue.issue, 'And mind the shipping costs. [script: no-change]');
    const answer = await issue.closing();
    await session.turnEnded(1);
    const [result, ...more] = await session.entries('result');
    same('Results of Claude', more.length, 0);
    same('Prompts that the result answers', result?.promptIds.length, 2);
    same('Turns', (await session.read()).session.turn, 1);
    const body = JSON.stringify(answer.content);
    for (const words of ['Done: 3 steps', 'You asked: “And mind the shipping costs.”']) {
      holds(`The answer says "${words}"`, body.includes(words), words, answer.content);
    }
    same('Answers in the thread', issue.activities.filter((activity) => activity.type === 'response').length, 1);
    isSaidOnce(issue.activities);
  });
}

/** Text without its line breaks: a browser sets its own. */
function asWords(text: string): string {
  return text.split(/\s+/).join(' ').trim();
}
