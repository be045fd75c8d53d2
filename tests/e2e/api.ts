/**
 * `npm run e2e:api`: a person who signed in makes a token, and the examples of docs/api.md do with it what they say, as they are printed
 * there.
 */
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PROJECT } from '../../dev/settings.ts';
import { LinearThread } from './linear-thread.ts';
import { playOnStage } from './on-stage.ts';
import { holds, type Run, until } from './run.ts';
import type { Stage } from './stage.ts';

const LIMIT_MS = 180_000;
const execute = promisify(execFile);

/** The last example in a language. */
function example(language: 'sh' | 'ts'): string {
  const text = readFileSync(join(PROJECT, 'docs/api.md'), 'utf8');
  const found = [...text.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm'))].at(-1)?.[1];
  if (found === undefined) throw new Error(`docs/api.md has no example in ${language}`);
  return found;
}

async function programs(run: Run, stage: Stage): Promise<void> {
  const { stack } = stage;
  const page = await stage.browser.newPage();

  const token = await run.promise('Ada signs in, and makes a token for a program', async () => {
    await page.goto(stack.url);
    await page.getByRole('link', { name: 'Sign in with Linear' }).click();
    await page.getByRole('radio', { name: 'Ada Example, Example Workspace' }).check();
    await page.getByRole('button', { name: 'Allow' }).click();
    await page.getByText('Ada Example').waitFor();
    const answer = await page.request.post(`${stack.url}/api/me/tokens`, {
      data: { name: 'Examples', scope: 'write' },
    });
    const made: { token: string } = await answer.json();
    holds('The token', made.token.startsWith('cyrus_pat_'), 'cyrus_pat_…', answer.status());
    return made.token;
  });

  const play = async (language: 'sh' | 'ts', issue: string): Promise<string> => {
    const file = join(stack.folder, `example.${language === 'sh' ? 'sh' : 'ts'}`);
    writeFileSync(file, example(language));
    const env = { ...process.env, CYRUS_URL: stack.url, CYRUS_TOKEN: token, ISSUE: issue };
    const { stdout } = await execute(language === 'sh' ? 'bash' : process.execPath, [file], { env, timeout: LIMIT_MS });
    return stdout;
  };

  await run.promise(
    'The example with curl starts a session on an issue, waits for its end, and prints the patch',
    async () => {
      const printed = await play('sh', 'ENG-1');
      holds('The patch', printed.includes('diff --git'), 'a patch', printed.slice(0, 500));
    },
  );

  await run.promise('Linear has the thread, and the answer in it', async () => {
    const thread = new LinearThread(stack.linear, 'ENG-1');
    await thread.closing(1);
    await until('the live page in the thread', async () => (await thread.livePage()).pageUrl.includes('/sessions/'));
  });

  await run.promise('The example in TypeScript follows a session by its stream, and answers its question', async () => {
    const { identifier } = stack.linear.createIssue({ title: 'Pick a colour', description: '[script: question]' });
    const printed = await play('ts', identifier);
    for (const part of ['Asked: ', 'Claude: ', 'Ended: completed']) {
      holds('What it prints', printed.includes(part), part, printed.slice(-500));
    }
  });
  await page.close();
}

await playOnStage('Programs work by a token', 8 * 60_000, programs, { SIGN_IN: 'linear' });
