import { LinearThread } from './linear-thread.ts';
import { LivePage } from './live-page.ts';
import { holds, type Run, same, until } from './run.ts';
import { type Stage, setRepository } from './stage.ts';

export async function permissions(run: Run, stage: Stage): Promise<void> {
  const { stack } = stage;
  await setRepository(stack, { tools: 'safe' });
  const issue = LinearThread.assign(stack.linear, 'Say something twice', '[script: parallel-tools 2]');
  const session = await issue.livePage();
  const live = await LivePage.open(stage.browser, stage.console, session.pageUrl);
  const panel = live.page.getByRole('region', { name: 'Claude asks to run a command' });

  await run.promise(
    'A command that is not allowed asks in Linear and on the page, and runs after "Allow once"',
    async () => {
      const question = await until('the question in Linear', () => questions(issue)[0]);
      holds('It shows the command', question.includes('```\necho "parallel 1"\n```'), 'the command', question);
      await panel.getByText('echo "parallel 1"').waitFor();
      await stage.picture('3-asked');
      await panel.getByRole('button', { name: 'Allow once' }).click();
      await panel.getByText('echo "parallel 2"').waitFor();
    },
  );

  await run.promise(
    'The next command, which asked together with it, is denied by a no that says why, and Claude reads it',
    async () => {
      same(
        'Questions in Linear',
        (await until('the second question', () => questions(issue)[1] && questions(issue))).length,
        2,
      );
      stack.linear.comment(issue.issue, 'No, once is enough.');
      await session.turnEnded(1);
      const [ended] = await session.entries('turn-ended');
      const isBoth =
        ended?.text.includes('- parallel 1') === true && ended.text.includes('and said: No, once is enough.');
      holds('The answer tells of both', isBoth, 'the first output, and the words of the second', ended?.text);
      await panel.waitFor({ state: 'detached' });
    },
  );

  await live.page.close();
  await setRepository(stack, {});
}

function questions(issue: LinearThread): string[] {
  return issue.shown.filter((line) => line.startsWith('elicitation '));
}
