import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { type ScriptedModel, startScriptedModel } from '../../dev/claude/scripted-model.ts';
import { runGit } from '../../dev/git/git-command.ts';
import { type GitHost, startGitHost } from '../../dev/git/git-host.ts';
import { SAMPLE_REPOSITORY, sampleRepository } from '../../dev/git/sample-repository.ts';
import { type CliConversation, type CliEvent, startCli } from './cli-conversation.ts';

const token = 'scripted-token-0123456789';
const issue = 'ENG-1: The cart total is wrong\n\nThree mugs cost as much as one mug.';
const bin = join(import.meta.dirname, '../../node_modules/.bin');

let directory: string;
let worktree: string;
let host: GitHost;
let model: ScriptedModel;
let started: CliConversation[] = [];

// The CLI, its tools and git are real processes on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 30_000 });

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'scripted-cli-'));
  host = await startGitHost({ root: join(directory, 'repositories'), username: 'cyrus', password: 'secret' });
  await host.ensureRepository(SAMPLE_REPOSITORY, await sampleRepository());
  const origin = host.cloneUrl(SAMPLE_REPOSITORY).replace('://', '://cyrus:secret@');
  await runGit(['clone', '--quiet', '--bare', origin, join(directory, 'mirror.git')]);
});

afterAll(async () => {
  await host.close();
  await rm(directory, { recursive: true, force: true, maxRetries: 5 });
});

beforeEach(async () => {
  model = await startScriptedModel({ expectedCredential: { header: 'authorization', value: token } });
  const name = randomUUID();
  worktree = join(directory, name);
  await runGit(['worktree', 'add', '--quiet', '-b', `cyrus/${name}`, worktree, 'main'], {
    cwd: join(directory, 'mirror.git'),
  });
});

afterEach(async () => {
  for (const cli of started) cli.kill('SIGKILL');
  started = [];
  await model.close();
});

async function cli(args: string[] = [], environment: Record<string, string> = {}): Promise<CliConversation> {
  const conversation = await startCli({
    baseUrl: model.url,
    directory: worktree,
    home: `${worktree}-home`,
    credential: { CLAUDE_CODE_OAUTH_TOKEN: token },
    arguments: args,
    environment,
  });
  started.push(conversation);
  return conversation;
}

const git = (...args: string[]) => runGit(args, { cwd: worktree });
const subjects = async () => (await git('log', '--format=%s', 'main..HEAD')).split('\n').filter(Boolean);
const testsPass = () =>
  promisify(execFile)(join(bin, 'node'), ['--test'], { cwd: worktree }).then(
    () => true,
    () => false,
  );
const toolCalls = (events: CliEvent[]) =>
  events
    .filter((event) => event.type === 'assistant')
    .flatMap((event) => (Array.isArray(event.message?.content) ? event.message.content : []))
    .filter((block) => block.type === 'tool_use')
    .map((block) => z.looseObject({ name: z.string(), input: z.looseObject({}) }).parse(block));
const callsTool = (event: CliEvent) => toolCalls([event]).length > 0;

test('the real CLI mends the sample repository: the failing test passes, the work is committed, the answer says so', async () => {
  expect(await testsPass()).toBe(false);
  const conversation = await cli();
  const result = await conversation.ask(issue);
  expect(result).toMatchObject({ is_error: false, terminal_reason: 'completed' });
  expect(result.result).toContain('**Tests:** all pass');
  expect(toolCalls(conversation.events).map((call) => call.name)).toEqual(['Bash', 'Read', 'Edit', 'Bash', 'Bash']);
  expect(await testsPass()).toBe(true);
  expect(await subjects()).toEqual(['Count every piece in the cart total']);
  expect(await git('status', '--porcelain')).toBe('');
  expect(conversation.events.map((event) => event.type)).toContain('rate_limit_event');
  expect(model.requests().every((request) => request.authorized && request.status === 200)).toBe(true);
  expect(await conversation.end()).toBe(0);
});

test('a follow-up makes a second commit and is quoted, and its words are only ever text', async () => {
  const conversation = await cli();
  await conversation.ask(issue);
  const words = "Also test this: \"; $(touch pwned) `touch pwned` ' + process.exit(3) + ' */ </script>";
  const result = await conversation.ask(words);
  expect(result.result).toContain('> Also test this:');
  expect(await subjects()).toHaveLength(2);
  expect((await subjects())[0]).toContain('Take up: Also test this');
  expect(await testsPass()).toBe(true);
  expect(await git('ls-files')).not.toContain('pwned\n');
  await conversation.end();
});

test('a message in the middle of a turn is acknowledged in the next step and taken up in the same turn', async () => {
  const conversation = await cli();
  conversation.say(issue);
  await conversation.until(callsTool);
  conversation.say('And please mention gift wrapping');
  const result = await conversation.until((event) => event.type === 'result');
  const said = conversation.events
    .flatMap((event) =>
      event.type === 'assistant' && Array.isArray(event.message?.content) ? event.message.content : [],
    )
    .map((block) => String(block.text ?? ''));
  expect(said).toContainEqual(
    expect.stringContaining('You wrote while I was working: “And please mention gift wrapping”'),
  );
  expect(result.result).toContain('## The cart total counts every piece');
  expect(result.result).toContain('> And please mention gift wrapping');
  expect(await subjects()).toEqual([
    'Take up: And please mention gift wrapping',
    'Count every piece in the cart total',
  ]);
  await conversation.end();
});

test('if editing is refused the change is made another way', async () => {
  const conversation = await cli(['--disallowedTools', 'Edit']);
  const result = await conversation.ask(issue);
  expect(result.is_error).toBe(false);
  expect(await testsPass()).toBe(true);
  expect(await subjects()).toHaveLength(1);
  await conversation.end();
});

test('markers select other scripts', async () => {
  const conversation = await cli();
  expect((await conversation.ask(`${issue} [script: uncommitted]`)).result).toContain('**uncommitted**');
  expect(await subjects()).toEqual([]);
  expect(await git('status', '--porcelain')).toBe(' M src/cart.js\n');

  expect((await conversation.ask('[script: no-change] why?')).result).toContain('Nothing needs to be changed');
  expect((await conversation.ask('[script: many-tools 5]')).result).toBe('Called 5 tools, 0 of which failed.');
  expect((await conversation.ask('[script: parallel-tools 2]')).result).toBe('- parallel 1\n- parallel 2');
  expect((await conversation.ask('[script: long-text 100]')).result?.split(/\s+/)).toHaveLength(100);
  expect((await conversation.ask('[script: steps 2 10]')).result).toContain('2 files in `steps/`');
  expect(await git('status', '--porcelain', '--untracked-files=all')).toContain('?? steps/step-2.txt');
  expect((await conversation.ask('[script: nonsense]')).result).toContain('no script `nonsense`. I know: repair');
  await conversation.end();
});

test('the push-main script pushes to main with the rights that the remote gives', async () => {
  const conversation = await cli();
  await git('remote', 'set-url', 'origin', host.cloneUrl(SAMPLE_REPOSITORY).replace('://', '://cyrus:wrong@'));
  expect((await conversation.ask(`${issue} [script: push-main]`)).result).toContain(
    'The push to `main` was **refused**',
  );
  expect((await host.log(SAMPLE_REPOSITORY, 'main'))[0]?.subject).toBe('Show that the total forgets quantities');
  await conversation.end();
});

test('the long tool has a child process, tells its process ids, and dies with an interrupt; the conversation continues', async () => {
  const conversation = await cli();
  const file = `${worktree}-pids.json`;
  conversation.say(`[script: long-tool ${file}]`);
  const read = () => readFile(file, 'utf8').catch(() => '');
  await expect.poll(read, { timeout: 20_000 }).toContain('child');
  const pids = z.record(z.string(), z.number()).parse(JSON.parse(await read()));
  expect(Object.values(pids).every(isAlive)).toBe(true);
  conversation.interrupt();
  expect(await conversation.until((event) => event.type === 'result')).toMatchObject({
    terminal_reason: 'aborted_tools',
  });
  await expect.poll(() => Object.values(pids).some(isAlive), { timeout: 5_000 }).toBe(false);
  expect((await conversation.ask('Go on [script: no-change]')).is_error).toBe(false);
  await conversation.end();
});

test('killed between two steps and resumed, the script continues where the transcript ends', async () => {
  const id = randomUUID();
  const first = await cli(['--session-id', id]);
  first.say('[script: steps 6 300]');
  await first.until((event) => event.type === 'user' && toolCalls(first.events).length >= 4);
  first.kill('SIGTERM');
  await first.end().catch(() => null);
  const second = await cli(['--resume', id], {
    CLAUDE_CODE_RESUME_INTERRUPTED_TURN: '1',
    CLAUDE_CODE_RESUME_REASON: 'container_recreated',
  });
  const result = await second.until((event) => event.type === 'result');
  expect(result.result).toContain('Done: 6 steps');
  for (let step = 1; step <= 6; step++) {
    expect(await readFile(join(worktree, `steps/step-${step}.txt`), 'utf8')).toBe(`step ${step}\n`);
  }
  await second.end();
});

test('a new model in the place of the old one continues with the same conversation', async () => {
  const conversation = await cli();
  await conversation.ask(issue);
  const port = Number(new URL(model.url).port);
  await model.close();
  model = await startScriptedModel({ port });
  expect((await conversation.ask('More tests please')).result).toContain('> More tests please');
  expect(model.requests()[0]).toMatchObject({ script: 'follow-up', step: 0 });
  await conversation.end();
});

test('a compacted conversation continues', async () => {
  const conversation = await cli();
  await conversation.ask('[script: no-change]');
  await conversation.ask('/compact');
  expect(model.requests().at(-1)).toMatchObject({ script: 'compaction', status: 200 });
  expect((await conversation.ask('And now a test')).result).toContain('> And now a test');
  await conversation.end();
});

test('the CLI names the failures as it would those of the real API', async () => {
  const conversation = await cli([], { CLAUDE_CODE_MAX_RETRIES: '2' });
  const prompt = 'x [script: no-change]';

  model.failNext({ status: 429, limit: 'five_hour' });
  expect(await conversation.ask(prompt)).toMatchObject({ is_error: true, api_error: 'usage_limit_reached' });
  model.failNext({ status: 429, limit: 'seven_day', resetsInSeconds: 86_400 });
  expect(await conversation.ask(prompt)).toMatchObject({ is_error: true, api_error: 'usage_limit_reached' });
  model.failNext({ status: 400 });
  expect((await conversation.ask(prompt)).result).toContain('Credit balance is too low');

  for (const fault of [{ status: 529 }, { status: 500 }, { drop: true }, { dropMidStream: true }] as const) {
    model.failNext(fault);
    const from = conversation.events.length;
    expect(await conversation.ask(prompt), JSON.stringify(fault)).toMatchObject({ is_error: false });
    expect(conversation.events.slice(from).some((event) => event.subtype === 'api_retry')).toBe(true);
  }
  model.failNext({ status: 401, times: 3 });
  expect((await conversation.ask(prompt)).result).toContain('401');
  await conversation.end();
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
