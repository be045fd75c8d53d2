/** A person presses stop while a tool runs; and before that: what may not be found in the sandbox. */
import { join } from 'node:path';
import { UNKNOWN_TOKEN } from '../../container/gateway/sealed-token.ts';
import { TOKEN_PREFIX } from '../../src/gateway/token.ts';
import { isClosing, isSaidOnce, LinearThread } from './linear-thread.ts';
import { holds, type Run, same, until, within } from './run.ts';
import { SandboxSession } from './sandbox-session.ts';
import { findInFiles, secretsOf } from './secrets.ts';
import type { Stage } from './stage.ts';

/** A stop must have ended every process by then. */
const STOP_LIMIT_MS = 2_000;

/** @returns milliseconds from the stop's webhook until the last process of the session was gone */
export async function stopping(run: Run, stage: Stage): Promise<{ stopMs: number }> {
  const { stack } = stage;
  const issue = LinearThread.assign(stack.linear, 'A tool that never ends', '[script: long-tool]');
  const session = await issue.livePage();
  const sandbox = new SandboxSession(stage.machine, session.id);

  const { tool, processes } = await run.promise('Claude runs a tool that would never end', async () => {
    const tool = await sandbox.longTool();
    const processes = await sandbox.processes();
    holds(
      'Its processes are known',
      tool.every((pid) => processes.includes(pid)),
      tool,
      processes,
    );
    return { tool, processes };
  });

  await run.promise('No real credential is in the sandbox, its processes or the logs', async () => {
    await noCredentialIn(stage);
    const secrets = secretsOf(stack);
    same('Credentials in the session’s processes', await sandbox.inProcesses(processes, secrets), []);
    // A server without a secret of its own, as in a container, keeps no token at all: then none may be there, whichever it is.
    const kept = await sandbox.token(stack.secrets.sandboxSecret);
    const token = [{ name: 'session token', text: kept === UNKNOWN_TOKEN ? TOKEN_PREFIX : kept }];
    same('The session token in the session’s files', await sandbox.inFiles(token), []);
    const id = [{ name: 'conversation', text: (await sandbox.conversations())[0] ?? 'none' }];
    holds('Files are searched', (await sandbox.inFiles(id)).length > 0, 'the id of the conversation', id);
    same('The session token in its processes', await sandbox.inProcesses(processes, token), []);
    same('The session token in the logs', findInFiles(join(stack.folder, 'logs'), token), []);
    const marker = [{ name: 'marker', text: sandbox.paths.dir }];
    const marked = await sandbox.inProcesses(tool, marker);
    holds('Processes are searched', marked.length >= tool.length, 'the marker in each', marked);
  });

  const stopMs = await run.promise('Stop ends Claude and all it started within 2 s', async () => {
    const page = await stage.browser.newPage();
    await page.goto(`${stack.linear.url}/example/issue/${issue.issue}`);
    const watch = await sandbox.watch(processes);
    await page.getByRole('button', { name: 'Stop' }).click();
    const gone = await watch.gone;
    same('Processes that are left', gone.left, []);
    same('Processes of the session', await sandbox.processes(), []);
    const { at } = await issue.webhook('prompted');
    within('From the webhook to the end of the last process', gone.at - at, STOP_LIMIT_MS);
    await page.close();
    return gone.at - at;
  });

  await run.promise('The stop is answered once, by a response', async () => {
    await issue.closing();
    const ended = await session.turnEnded(1);
    same('The outcome', ended.outcome, 'stopped');
    const closings = () => issue.activities.filter(isClosing).map((activity) => activity.type);
    same('Closing activities', closings(), ['response']);
    same('The state of the session', issue.session.status, 'complete');
    isSaidOnce(issue.activities);
    // Everything that was to be said after the end of the turn has been said once the outbox is empty.
    const log = await until(
      'the log of the turn',
      async () => (await session.download('log')).includes('Stopped') || null,
    );
    holds('The log', log, true, log);
    same('Closing activities, later', closings(), ['response']);
    same('Failed effects', (await session.read()).session.failedEffects, 0);
  });
  return { stopMs };
}

/** @throws Unkept naming each file of the sandbox or log that holds a real credential */
export async function noCredentialIn({ stack, machine }: Pick<Stage, 'stack' | 'machine'>): Promise<void> {
  const secrets = secretsOf(stack);
  same('Credentials in the sandbox', await machine.search(secrets), []);
  same('Credentials in the logs', findInFiles(join(stack.folder, 'logs'), secrets), []);
}
