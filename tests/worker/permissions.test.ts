import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { HELD_PUSH_TOOL } from '../../src/protocol/held-push.ts';
import type { SandboxCommand } from '../../src/protocol/sandbox/commands.ts';
import { repositorySettingsSchema } from '../../src/protocol/settings/repository.ts';
import { PERMISSION_LIMIT_MS } from '../../src/session/lifecycle/model/deadlines.ts';
import { openDatabase } from '../../src/store/database.ts';
import { upsertRepository } from '../../src/store/workspaces/repositories.ts';
import { init, permission } from '../unit/support/session-play.ts';
import { created, newThread, ORGANIZATION, prompted, send, type Thread } from './support/linear-webhook.ts';
import { Outside } from './support/outside.ts';
import { journal, page, Reporter, registerWorkspace, session } from './support/sessions.ts';

let outside: Outside;

beforeEach(async () => {
  outside = new Outside();
  await registerWorkspace();
  const cloneUrl = 'https://git.test/acme/shop.git';
  const settings = repositorySettingsSchema.parse({ tools: 'safe', askFirst: ['WebFetch'] });
  const input = { cloneUrl, baseBranch: 'main', settings };
  await upsertRepository(openDatabase(env.DB, env.ENCRYPTION_KEY), ORGANIZATION, 'acme/shop', input, 1);
});

afterEach(() => {
  vi.useRealTimers();
});

/** A session in which a command asks, and its question is in the thread. */
async function asking(): Promise<{ thread: Thread; reporter: Reporter }> {
  const thread = newThread();
  await send(created(thread));
  await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
  const reporter = new Reporter(thread);
  await reporter.report(init, permission('r1', 'npm publish'));
  await vi.waitFor(() => expect(outside.said.at(-1)?.content.type).toBe('elicitation'));
  return { thread, reporter };
}

function decisions(): SandboxCommand[] {
  return outside.commands.filter(({ type }) => type === 'decide');
}

it('the settings of a repository reach the sandbox as tools and rules', async () => {
  await asking();
  const { claude } = outside.starts[0]?.body ?? {};
  expect(claude?.tools).toContain('Bash');
  expect(claude?.permissions).toMatchObject({ ask: ['Bash', 'WebFetch'], others: 'ask' });
});

it('a command that asks is answered from the thread, also after the object was evicted', async () => {
  const { thread } = await asking();
  expect(outside.said.at(-1)?.content.body).toContain('npm publish');
  expect((await page(thread))?.session).toMatchObject({
    phase: 'asking',
    reason: 'Claude asks to run a command',
    asked: { id: 'r1', call: 'npm publish', options: ['Allow once', 'Allow for this session', 'Deny'] },
  });
  await evictDurableObject(session(thread));
  await send(prompted(thread, 'Allow once'));
  await vi.waitFor(() => expect(decisions()).toHaveLength(1));
  expect(decisions()[0]).toMatchObject({ requestId: 'r1', decision: { allowed: true } });
  expect((await page(thread))?.session).toMatchObject({ phase: 'working', asked: null });
});

it('a no that says more reaches Claude as the reason why not', async () => {
  const { thread } = await asking();
  await send(prompted(thread, 'No, use the staging registry.'));
  await vi.waitFor(() => expect(decisions()).toHaveLength(1));
  expect(decisions()[0]).toMatchObject({
    decision: { allowed: false, message: expect.stringContaining('use the staging registry.') },
  });
});

it('a command that asks is denied without an answer by the alarm after ten minutes, and the thread is told', async () => {
  const { thread } = await asking();
  const alarm = await runInDurableObject(session(thread), (_, state) => state.storage.getAlarm());
  const asked = (await page(thread))?.session.asked;
  expect(asked?.until).not.toBeNull();
  expect(alarm ?? Number.POSITIVE_INFINITY).toBeLessThanOrEqual(asked?.until ?? 0);
  vi.setSystemTime(Date.now() + PERMISSION_LIMIT_MS + 1_000);
  await runDurableObjectAlarm(session(thread));
  await vi.waitFor(() => expect(decisions()).toHaveLength(1));
  expect(decisions()[0]).toMatchObject({ decision: { allowed: false } });
  const told = 'Nobody answered within 10 minutes, so Claude was not allowed to run a command';
  expect((await journal(thread)).some((entry) => entry.kind === 'notice' && entry.text.startsWith(told))).toBe(true);
  await vi.waitFor(() => expect(outside.said.some(({ content }) => content.body?.startsWith(told))).toBe(true));
});

const SESSIONS = 'http://cyrus.test/api/sessions';

/** An answer as a page sends it; without a question as pages of earlier versions do. */
async function press(thread: Thread, text: string, question?: string, options: string[] = []): Promise<Response> {
  const { id } = (await page(thread))?.session ?? {};
  const body = JSON.stringify({ id: crypto.randomUUID(), text, ...(question && { answers: { question, options } }) });
  const headers = { 'content-type': 'application/json' };
  return exports.default.fetch(`${SESSIONS}/${id}/prompts`, { method: 'POST', headers, body });
}

it('an answer of the page names its question; one that comes late is refused with a message and changes nothing', async () => {
  const { thread, reporter } = await asking();
  await reporter.report(permission('r2', 'rm -rf dist'));
  expect((await press(thread, 'Deny', 'r1', ['deny'])).status).toBe(202);
  await vi.waitFor(() => expect(decisions()).toHaveLength(1));
  const entries = (await journal(thread)).length;
  const late = await press(thread, 'Allow once', 'r1', ['once']);
  expect(late.status).toBe(409);
  expect(await late.json()).toMatchObject({ error: 'question_closed', message: expect.stringContaining('answered') });
  expect((await journal(thread)).length).toBe(entries);
  expect((await page(thread))?.session.asked).toMatchObject({ id: 'r2', call: 'rm -rf dist' });
  expect((await press(thread, 'Allow once', 'r2', ['once'])).status).toBe(202);
  await vi.waitFor(() => expect(decisions()).toHaveLength(2));
  expect(decisions()[1]).toMatchObject({ requestId: 'r2', decision: { allowed: true } });
});

it('a page of an earlier version, which names no question, is understood', async () => {
  const { thread } = await asking();
  expect((await press(thread, 'Allow once')).status).toBe(202);
  await vi.waitFor(() => expect(decisions()).toHaveLength(1));
  expect(decisions()[0]).toMatchObject({ requestId: 'r1', decision: { allowed: true } });
});

const HELD = { files: ['.github'], diff: '+run: env', fingerprint: 'a'.repeat(64) };

/** A session whose push waits for people. */
async function holding(input: unknown = HELD): Promise<{ thread: Thread; reporter: Reporter }> {
  const thread = newThread();
  await send(created(thread));
  await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
  const reporter = new Reporter(thread);
  await session(thread).noteHeldPush(HELD);
  await reporter.report(init, permission('push-1', '', { tool_name: HELD_PUSH_TOOL, input }));
  return { thread, reporter };
}

it('a push of what runs on the git host is shown with its diff, and what a person allows counts for exactly these contents', async () => {
  const { thread } = await holding();
  await vi.waitFor(() => expect(outside.said.at(-1)?.content.type).toBe('elicitation'));
  const question = outside.said.at(-1)?.content.body;
  expect(question).toContain('push changes to what runs on the git host (.github)');
  expect(question).toContain('+run: env');
  expect((await page(thread))?.session.asked).toMatchObject({ call: '+run: env', options: ['Allow once', 'Deny'] });
  expect(await session(thread).isPushAllowed(HELD.fingerprint)).toBe(false);
  await send(prompted(thread, 'Allow once'));
  await vi.waitFor(() => expect(decisions()[0]).toMatchObject({ decision: { allowed: true } }));
  expect(await session(thread).isPushAllowed(HELD.fingerprint)).toBe(true);
  expect(await session(thread).isPushAllowed('b'.repeat(64))).toBe(false);
});

it('a push that is denied is not allowed', async () => {
  const { thread } = await holding();
  await vi.waitFor(() => expect(outside.said.at(-1)?.content.type).toBe('elicitation'));
  await send(prompted(thread, 'Deny'));
  await vi.waitFor(() => expect(decisions()[0]).toMatchObject({ decision: { allowed: false } }));
  expect(await session(thread).isPushAllowed(HELD.fingerprint)).toBe(false);
});

it('a push is shown as the gateway saw it, whatever the sandbox says that it changes', async () => {
  const { thread } = await holding({ ...HELD, files: ['README.md'], diff: '+a harmless line' });
  await vi.waitFor(() => expect(outside.said.at(-1)?.content.type).toBe('elicitation'));
  const shown = `${outside.said.at(-1)?.content.body} ${JSON.stringify(await page(thread))}`;
  expect(shown).toContain('+run: env');
  expect(shown).not.toMatch(/harmless|README/);
});

it('a push that the gateway does not hold is denied without asking', async () => {
  const { thread } = await holding({ ...HELD, fingerprint: 'b'.repeat(64) });
  await vi.waitFor(() => expect(decisions()[0]).toMatchObject({ decision: { allowed: false } }));
  expect(await session(thread).isPushAllowed(HELD.fingerprint)).toBe(false);
});
