/** An image goes from the issue into the sandbox, and from there to the live page and back into Linear. */
import { createHash } from 'node:crypto';
import { LinearThread } from './linear-thread.ts';
import { LivePage } from './live-page.ts';
import { holds, type Run, same, until } from './run.ts';
import { SandboxSession } from './sandbox-session.ts';
import type { Stage } from './stage.ts';

/** A red square of one pixel. */
const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==',
  'base64',
);

export async function attachments(run: Run, stage: Stage): Promise<void> {
  const { stack } = stage;
  const filename = 'broken cart (1).png';
  const address = stack.linear.addFile({ filename, contentType: 'image/png', bytes: PNG });
  const issue = LinearThread.assign(
    stack.linear,
    'A picture says what is wrong',
    `[script: attachment]\n\n![the broken cart](${address})`,
  );
  const session = await issue.livePage();

  await run.promise('The image of an issue lies beside the worktree, and Claude is told where', async () => {
    await session.turnEnded(1);
    const files = await new SandboxSession(stage.machine, session.id).files();
    same('Files of the session', files.length, 1);
    same('The bytes in the sandbox', files[0]?.base64, PNG.toString('base64'));
    const [ended] = await session.entries('turn-ended');
    const checksum = createHash('sha256').update(PNG).digest('hex');
    holds('Claude has read it', ended?.text.includes(checksum) === true, checksum, ended?.text);
    same('Files on the branch', (await session.entries('saved')).at(-1)?.files, []);
  });

  await run.promise('What Claude shares is shown on the live page, and in Linear as a file of Linear', async () => {
    const live = await LivePage.open(stage.browser, stage.console, session.pageUrl);
    await live.turnEnded(1);
    const image = live.page.getByRole('img', { name: 'What I saw' });
    await until('the image on the page', () => image.evaluate((node: HTMLImageElement) => node.naturalWidth === 1));
    await stage.picture('attachment');
    await live.page.close();
    const answer = JSON.stringify((await issue.closing()).content);
    const asset = /!\[What I saw\]\(([^)]+)\)/.exec(answer)?.[1] ?? '';
    holds('The answer shows a file of Linear', asset.startsWith(`${stack.linear.url}/uploads/`), 'an upload', answer);
    const token = { authorization: `Bearer ${stack.secrets.linearAccessToken}` };
    const stored = Buffer.from(await (await fetch(asset, { headers: token })).arrayBuffer());
    same('The bytes at Linear', stored.equals(PNG), true);
    same('Failed effects', (await session.read()).session.failedEffects, 0);
  });
}
