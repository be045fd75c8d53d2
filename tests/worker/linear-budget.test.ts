import { runDurableObjectAlarm } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { SandboxEventBody } from '../../src/protocol/sandbox/events.ts';
import { repositorySettingsSchema } from '../../src/protocol/settings/repository.ts';
import { openDatabase } from '../../src/store/database.ts';
import { upsertRepository } from '../../src/store/workspaces/repositories.ts';
import { init, line, result, saved, text } from '../unit/support/session-play.ts';
import { created, newThread, ORGANIZATION, send, type Thread } from './support/linear-webhook.ts';
import { Outside } from './support/outside.ts';
import { journal, Reporter, registerWorkspace, session } from './support/sessions.ts';

const HOUR_MS = 3_600_000;
const STEP_MS = 10_000;

let outside: Outside;
/** Requests to Linear's API, whatever they were. */
let calls: number;

beforeEach(async () => {
  outside = new Outside();
  calls = 0;
  outside.interfere = (url) => {
    if (url.includes('api.linear.app')) calls += 1;
    return null;
  };
  await registerWorkspace();
});

afterEach(() => {
  vi.useRealTimers();
});

function toolCall(number: number): SandboxEventBody[] {
  const id = `tool-${number}`;
  const block = { type: 'tool_use', id, name: 'Bash', input: { command: `npm test -- --part ${number}` } };
  const message = { id: `msg-${id}`, role: 'assistant', model: 'claude-sonnet-5-5', content: [block] };
  const answer = { type: 'tool_result', tool_use_id: id, content: `part ${number} passed` };
  return [
    ...(number % 6 === 0 ? [text(`Part ${number} is next.`)] : []),
    line({ type: 'assistant', message, parent_tool_use_id: null }),
    line({ type: 'user', message: { role: 'user', content: [answer] }, parent_tool_use_id: null }),
  ];
}

/** Lets the object do what is due, as its alarm would. */
async function settle(thread: Thread): Promise<void> {
  await runDurableObjectAlarm(session(thread));
}

/** An hour in which Claude runs a command every ten seconds, and its end. */
async function hourOfWork(): Promise<Thread> {
  const thread = newThread();
  await send(created(thread));
  await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
  const reporter = new Reporter(thread);
  await reporter.report(init);
  const begin = Date.now();
  vi.useFakeTimers({ toFake: ['Date'], now: begin });
  for (let number = 0; number < HOUR_MS / STEP_MS; number += 1) {
    vi.setSystemTime(begin + number * STEP_MS);
    await reporter.report(...toolCall(number));
    await settle(thread);
  }
  await reporter.report(text('All 360 parts pass.'), result('All 360 parts pass.', [thread.agentSessionId]), saved(1));
  await vi.waitFor(async () => {
    await settle(thread);
    expect(outside.said.map(({ content }) => content.type)).toContain('response');
  });
  return thread;
}

describe('an hour of work with 360 commands', () => {
  it('costs at most 40 calls to Linear, and nothing of it is missing there', async () => {
    const thread = await hourOfWork();
    expect(calls).toBeLessThanOrEqual(40);
    expect(new Set(outside.saidIds()).size).toBe(outside.said.length);
    const told = outside.said.filter(({ content, ephemeral }) => content.type === 'action' && !ephemeral);
    expect(told.map(({ content }) => content.parameter)).toEqual(
      Array.from({ length: 360 }, (_, number) => `npm test -- --part ${number}`),
    );
    expect(outside.said.at(-1)?.content).toMatchObject({ type: 'response' });
    expect((await journal(thread)).map((entry) => entry.kind)).not.toContain('effect-failed');
  });

  it('costs a handful of calls if the repository is quiet', async () => {
    const settings = repositorySettingsSchema.parse({ verbosity: 'quiet' });
    const repository = { cloneUrl: 'https://git.test/acme/shop.git', baseBranch: 'main', settings };
    await upsertRepository(openDatabase(env.DB, env.ENCRYPTION_KEY), ORGANIZATION, 'acme/shop', repository, 1);
    await hourOfWork();
    expect(calls).toBeLessThanOrEqual(16);
  });
});
