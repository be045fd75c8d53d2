/** A sandbox that is reached, and does not reach Cyrus: by a wrong PUBLIC_URL, or a firewall. */
import { runDurableObjectAlarm } from 'cloudflare:test';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { spyOnLog } from '../support/log-spy.ts';
import { init } from '../unit/support/session-play.ts';
import { created, newThread, send } from './support/linear-webhook.ts';
import { BOOT_ID, Outside, STREAM_ID } from './support/outside.ts';
import { page, Reporter, registerWorkspace, session } from './support/sessions.ts';

let outside: Outside;

beforeEach(async () => {
  await registerWorkspace();
  outside = new Outside();
});
afterEach(() => void vi.useRealTimers());

it('a sandbox whose reports never arrive is told of within a minute, in the thread, on the page and in the log, with the address', async () => {
  const logged = spyOnLog();
  const thread = newThread();
  const sessionId = session(thread).id.toString();
  let lastSeq = 0;
  outside.interfere = (url, _body, request) => {
    if (request.method !== 'PUT' || !url.endsWith(`/sessions/${sessionId}`)) return null;
    const identity = { sessionId, generation: 1, bootId: BOOT_ID, streamId: STREAM_ID };
    return Response.json({ ...identity, lastSeq, state: 'preparing' });
  };
  await send(created(thread));
  await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
  lastSeq = 3;
  vi.useFakeTimers({ now: Date.now() + 50_000, toFake: ['Date'] });
  await runDurableObjectAlarm(session(thread));
  const words = 'Waiting for the sandbox: it runs, but does not reach Cyrus at http://cyrus.test, which is PUBLIC_URL';
  await vi.waitFor(async () => expect((await page(thread))?.session.reason).toBe(words));
  await vi.waitFor(() =>
    expect(outside.said.map(({ content }) => content.body ?? '').join()).toContain(
      `${words}. An admin has to correct that address`,
    ),
  );
  expect(logged.mock.calls.map(([line]) => line)).toContainEqual({
    event: 'alert.sandbox.gateway_unreachable',
    level: 'error',
    alert: true,
    session: sessionId,
    issue: 'ENG-7',
    workspace: 'org-1',
    address: 'http://cyrus.test',
  });
  await new Reporter(thread).report(init);
  expect((await page(thread))?.session.phase).toBe('working');
});
