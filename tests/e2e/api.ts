/**
 * `npm run e2e:api`: a person who signed in makes a token, and the examples of docs/api.md do with it what they say, as they are printed
 * there.
 */
import { execFile, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort, PROJECT } from '../../dev/settings.ts';
import { callerSchema, sessionsSchema, startedSchema } from '../../src/protocol/v1/schemas.ts';
import { newWebhookSchema, webhookTestSchema } from '../../src/protocol/v1/webhooks.ts';
import { sessionViewSchema } from '../../src/protocol/viewer.ts';
import { LinearThread } from './linear-thread.ts';
import { playOnStage } from './on-stage.ts';
import { holds, type Run, until } from './run.ts';
import type { Stage } from './stage.ts';

const LIMIT_MS = 180_000;
/** Which of the page's examples in their language each is; the first in `sh` makes a token with a password. */
const [SESSION_IN_SH, WEBHOOK_IN_SH] = [1, 2];
const [SESSION_IN_TS, WEBHOOK_IN_TS] = [0, 1];
const execute = promisify(execFile);

/** @param nth example in this language, from 0 */
function example(language: 'sh' | 'ts', nth: number): string {
  const text = readFileSync(join(PROJECT, 'docs/api.md'), 'utf8');
  const found = [...text.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm'))][nth]?.[1];
  if (found === undefined) throw new Error(`docs/api.md has no example ${nth} in ${language}`);
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
      data: { name: 'Examples', scope: 'admin' },
    });
    const made: { token: string } = await answer.json();
    holds('The token', made.token.startsWith('cyrus_pat_'), 'cyrus_pat_…', answer.status());
    return made.token;
  });

  const written = (language: 'sh' | 'ts', nth: number): string => {
    const file = join(stack.folder, `example-${nth}.${language}`);
    writeFileSync(file, example(language, nth));
    return file;
  };
  const play = async (language: 'sh' | 'ts', nth: number, variables: Record<string, string>): Promise<string> => {
    const env = { ...process.env, CYRUS_URL: stack.url, CYRUS_TOKEN: token, ...variables };
    const command = language === 'sh' ? 'bash' : process.execPath;
    const { stdout } = await execute(command, [written(language, nth)], { env, timeout: LIMIT_MS });
    return stdout;
  };
  const ask = async (path: string, body?: object): Promise<unknown> => {
    const response = await fetch(`${stack.url}/api/v1${path}`, {
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body && { method: 'POST', body: JSON.stringify(body) }),
    });
    return response.json();
  };

  await run.promise(
    'The example with curl starts a session on an issue, waits for its end, and prints the patch',
    async () => {
      const printed = await play('sh', SESSION_IN_SH, { ISSUE: 'ENG-1' });
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
    const printed = await play('ts', SESSION_IN_TS, { ISSUE: identifier });
    for (const part of ['Asked: ', 'Claude: ', 'Ended: completed']) {
      holds('What it prints', printed.includes(part), part, printed.slice(-500));
    }
  });

  await run.promise(
    'A text starts a session on an issue that Linear has from then on, with the title and the repository',
    async () => {
      const { data } = sessionsSchema.parse(await ask('/sessions'));
      const repository = data.find((one) => one.repository !== null)?.repository ?? '';
      const text = 'Say hello in the README.';
      const { session, issue } = startedSchema.parse(await ask('/sessions', { text, repository }));
      const inLinear = stack.linear.issues().find(({ identifier }) => identifier === issue);
      holds('The title in Linear', inLinear?.title === 'Say hello in the README', text, inLinear?.title);
      const ended = async () => {
        const view = sessionViewSchema.parse(await ask(`/sessions/${session}`));
        return view.phase === 'waiting' && view.lastOutcome !== null && view;
      };
      const view = await until('the end of the session', ended, { limitMs: 90_000, everyMs: 500 });
      holds('The repository', view.repository === repository, repository, view.repository);
    },
  );

  await run.promise(
    'A service has itself told, by the example with curl, and checks signatures by that in TypeScript',
    async () => {
      const { workspaces } = callerSchema.parse(await ask('/me'));
      const [port, workspace = ''] = [await freePort(), workspaces[0]?.id];
      const receiver = `http://127.0.0.1:${port}/`;
      const printed = await play('sh', WEBHOOK_IN_SH, { WORKSPACE: workspace, RECEIVER: receiver });
      const { id, secret } = newWebhookSchema.parse(JSON.parse(printed));
      const env = { ...process.env, PORT: String(port), WEBHOOK_SECRET: secret };
      const service = spawn(process.execPath, [written('ts', WEBHOOK_IN_TS)], {
        env,
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let told = '';
      service.stdout.on('data', (piece) => {
        told += String(piece);
      });
      try {
        await until('the service', () =>
          fetch(receiver, { method: 'POST', body: '{}' }).then(
            ({ status }) => status === 401,
            () => false,
          ),
        );
        const tested = webhookTestSchema.parse(await ask(`/workspaces/${workspace}/webhooks/${id}/test`, {}));
        holds('The test', tested.delivered, 'delivered', tested.problem);
        const { identifier } = stack.linear.createIssue({ title: 'Pick a size', description: '[script: question]' });
        await play('ts', SESSION_IN_TS, { ISSUE: identifier });
        for (const line of ['test ', 'session.needs_you question ', 'session.finished completed ']) {
          await until(`what the service prints: ${line}`, async () => told.includes(line));
        }
      } finally {
        service.kill();
      }
    },
  );
  await page.close();
}

await playOnStage('Programs work by a token', 8 * 60_000, programs, { SIGN_IN: 'linear' });
