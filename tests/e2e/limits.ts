/**
 * Claude's limits and failures from end to end: the real CLI in a sandbox, the real gateway, the scripted model that fails as the API
 * does. `node tests/e2e/limits.ts`. Prints each promise as it is kept; exits with 1 at the first that is not.
 */
import { join } from 'node:path';
import type { Stack } from '../../dev/stack.ts';
import type { CyrusSession } from './cyrus-session.ts';
import { LinearThread } from './linear-thread.ts';
import { holds, Run, until, within } from './run.ts';
import { endProcesses, makeFolder, setStack } from './stage.ts';

const LIMIT_MS = 8 * 60_000;
/** The gateway's patience in this run, in seconds. */
const ANSWER_SECONDS = 3;
const STALL_SECONDS = 2;
const LOOK = '[script: no-change] Look around.';

/** An issue whose session is found. */
async function assign(
  stack: Stack,
  title: string,
  text = LOOK,
): Promise<{ thread: LinearThread; session: CyrusSession }> {
  const thread = LinearThread.assign(stack.linear, title, text);
  return { thread, session: await thread.livePage() };
}

function scripted({ model }: Stack) {
  if (!model) throw new Error('this run needs the scripted model');
  return model;
}

async function parks(stack: Stack): Promise<void> {
  scripted(stack).failNext({ status: 429, limit: 'five_hour', resetsInSeconds: 20 });
  const { thread, session } = await assign(stack, 'Meet the limit');
  const parked = await until('the session to park', async () => {
    const { session: view } = await session.read();
    return view.phase === 'parked' ? view : null;
  });
  holds(
    'The page says why and until when',
    /5-hour limit is used up; continues at \d\d:\d\d UTC/.test(parked.reason),
    'the reason',
    parked.reason,
  );
  await until(
    'Linear to say so, once',
    () => thread.shown.filter((line) => line.includes('continues by itself at')).length === 1,
    {
      limitMs: 60_000,
      describe: () => thread.shown,
    },
  );
  stack.linear.comment(thread.issue, 'And mind the tests.');
  const closing = await thread.closing(1, 120_000);
  holds('It goes on by itself', closing.type === 'response', 'a response', closing.content);
  const { entries } = await session.read();
  const resumed = entries.filter((entry) => entry.kind === 'prompt');
  holds('The comment was not lost', resumed.length === 2, 2, resumed.length);
  const used = (await session.read()).session.windows;
  holds(
    'The page shows the windows',
    (used ?? []).some(({ name }) => name === '5h'),
    '5h',
    used,
  );
}

async function fallsBack(stack: Stack): Promise<void> {
  scripted(stack).failNext({ status: 529, times: 3 });
  const { thread, session } = await assign(stack, 'Meet an overload');
  const closing = await thread.closing();
  holds('It is done all the same', closing.type === 'response', 'a response', closing.content);
  const changes = await session.entries('model-changed');
  holds('The page says which model took over', changes.length > 0, 'an entry', changes);
}

async function noticesSilence(stack: Stack): Promise<void> {
  const model = scripted(stack);
  const before = model.requests().length;
  model.failNext({ hang: true });
  const { thread } = await assign(stack, 'Meet silence');
  const closing = await thread.closing();
  holds('It is done all the same', closing.type === 'response', 'a response', closing.content);
  const [silent, repeated] = model.requests().slice(before);
  within('Repeated after', (repeated?.at ?? Number.MAX_SAFE_INTEGER) - (silent?.at ?? 0), (ANSWER_SECONDS + 3) * 1000);
}

async function recovers(stack: Stack): Promise<void> {
  scripted(stack).failNext({ stallMidStream: true });
  const since = Date.now();
  const { thread } = await assign(stack, 'Meet a stall');
  const closing = await thread.closing();
  holds('It is done all the same', closing.type === 'response', 'a response', closing.content);
  within('Recovered after', Date.now() - since, 25_000);
}

async function waitsInQueue(stack: Stack): Promise<void> {
  const first = await assign(stack, 'The first', '[script: steps 6 500] Take your time.');
  await until('the first to work', async () => (await first.session.read()).session.phase === 'working');
  const second = await assign(stack, 'The second');
  const queued = await until('the second to wait in the queue', async () => {
    const { session } = await second.session.read();
    return session.phase === 'queued' ? session : null;
  });
  holds('The page says the queue position', queued.reason === 'Next in the queue', 'Next in the queue', queued.reason);
  await first.thread.closing();
  const closing = await second.thread.closing();
  holds('Its turn comes', closing.type === 'response', 'a response', closing.content);
}

async function stopsAtOnce(stack: Stack): Promise<void> {
  const model = scripted(stack);
  const warm = await assign(stack, 'Lose the token');
  await warm.thread.closing();
  model.failNext({ status: 401, times: 100 });
  const since = Date.now();
  stack.linear.comment(warm.thread.issue, LOOK);
  const closing = await warm.thread.closing(2);
  within('Ended after', Date.now() - since, 5_000);
  model.clearFaults();
  const words = JSON.stringify(closing.content);
  holds('It names what to do', words.includes('claude setup-token'), 'claude setup-token', words);
  const { session } = await warm.session.read();
  holds('The page has a banner', session.alert?.includes('claude setup-token') === true, 'an alert', session.alert);
  const before = model.requests().length;
  stack.linear.comment(warm.thread.issue, LOOK);
  const next = JSON.stringify((await warm.thread.closing(3)).content);
  holds('The next turn fails with the same words', next.includes('claude setup-token'), 'claude setup-token', next);
  holds('Claude was not asked for that', model.requests().length === before, before, model.requests().length);
  const headers = { authorization: `Bearer ${stack.secrets.adminToken}` };
  const probed = await fetch(`${stack.url}/api/admin/claude/probe`, { method: 'POST', headers });
  holds('An admin can have it tried again', probed.ok, 200, probed.status);
  stack.linear.comment(warm.thread.issue, LOOK);
  const last = await warm.thread.closing(4);
  holds('It works again', last.type === 'response', 'a response', last.content);
  holds('The banner is gone', (await warm.session.read()).session.alert === undefined, undefined, session.alert);
}

async function counts(stack: Stack): Promise<void> {
  const headers = { authorization: `Bearer ${stack.secrets.adminToken}` };
  await until(
    'what was used to be in the database',
    async () => {
      const response = await fetch(`${stack.url}/api/admin/usage?by=repository`, { headers });
      const body = JSON.stringify(await response.json());
      return /"requests":[1-9]/.test(body) && body.includes('"name":"5h"');
    },
    { limitMs: 15_000 },
  );
}

async function limits(run: Run, folder: string): Promise<void> {
  const variables = {
    CLAUDE_ANSWER_SECONDS: String(ANSWER_SECONDS),
    CLAUDE_STALL_SECONDS: String(STALL_SECONDS),
    MAX_SESSIONS_AT_ONCE: '1',
  };
  const stack = await run.promise('Everything starts', () => setStack({ folder, variables }));
  try {
    await run.promise('An overload (529) makes another model take over', () => fallsBack(stack));
    await run.promise('An API that never answers is noticed in the configured time', () => noticesSilence(stack));
    await run.promise('A stream that stalls recovers', () => recovers(stack));
    await run.promise('A session beyond the cap waits in the queue until its turn comes', () => waitsInQueue(stack));
    await run.promise('A refused token (401) ends the turn within 5 s, and every turn until it is accepted', () =>
      stopsAtOnce(stack),
    );
    await run.promise('A used-up limit parks the session, which goes on by itself at the reset', () => parks(stack));
    await run.promise('What was used, and the windows, are in the database', () => counts(stack));
  } finally {
    await stack.close();
  }
}

async function main(): Promise<void> {
  const folder = makeFolder();
  const run = new Run();
  run.evidence.push({ name: 'logs', path: join(folder, 'logs') });
  const abandon = (why: string) => {
    console.log(`\n  Ended by ${why} during: ${run.current}`);
    endProcesses(folder);
    process.exit(1);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, abandon);
  setTimeout(() => abandon(`its limit of ${LIMIT_MS / 60_000} minutes`), LIMIT_MS).unref();
  try {
    await limits(run, folder);
  } catch (error) {
    run.explain(error);
    process.exitCode = 1;
  }
  endProcesses(folder);
}

await main();
