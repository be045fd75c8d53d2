/** What an operator finds in the log of a session: from the webhook to the end of its turn, by the issue's key. */
import { runDurableObjectAlarm } from 'cloudflare:test';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { spyOnLog } from '../support/log-spy.ts';
import { init, result, saved } from '../unit/support/session-play.ts';
import { created, newThread, ORGANIZATION, send } from './support/linear-webhook.ts';
import { Outside } from './support/outside.ts';
import { Reporter, registerWorkspace, session } from './support/sessions.ts';

let outside: Outside;
let logged: ReturnType<typeof spyOnLog>;

beforeEach(async () => {
  await registerWorkspace();
  outside = new Outside();
  logged = spyOnLog();
});
afterEach(() => void vi.useRealTimers());

const lines = (event: string) => logged.mock.calls.map(([line]) => line).filter((line) => line.event === event);

describe('the log', () => {
  it('has one line for an accepted webhook, and for the beginning and the end of a turn, each with the issue', async () => {
    const thread = newThread();
    const named = { session: session(thread).id.toString(), issue: 'ENG-7', workspace: ORGANIZATION, level: 'info' };
    await send(created(thread), { deliveryId: 'delivery-1' });
    await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
    await new Reporter(thread).report(init, result('Done.', [thread.agentSessionId]), saved(1, 0));
    await vi.waitFor(() => expect(lines('session.turn.ended')).toHaveLength(1));
    expect(lines('linear.webhook.accepted')).toEqual([
      { event: 'linear.webhook.accepted', ...named, type: 'prompted', delivery: 'delivery-1', outcome: 'accepted' },
    ]);
    expect(lines('session.turn.started')).toEqual([{ event: 'session.turn.started', ...named, turn: 1 }]);
    expect(lines('session.turn.ended')).toMatchObject([{ ...named, turn: 1, outcome: 'completed' }]);
  });

  it('has one line for an effect that is given up, as an error, with what it was', async () => {
    outside.interfere = (_url, body) =>
      body.includes('issueUpdate')
        ? Response.json({ data: null, errors: [{ message: 'no', extensions: { type: 'forbidden', statusCode: 403 } }] })
        : null;
    const thread = newThread();
    await send(created(thread));
    await vi.waitFor(() =>
      expect(lines('session.effect.given_up')).toMatchObject([
        { level: 'error', session: session(thread).id.toString(), issue: 'ENG-7', effect: 'start-issue' },
      ]),
    );
  });

  it('calls it no failure that Linear has an activity already, and sends the rest', async () => {
    let refused = 0;
    outside.interfere = (_url, body) => {
      if (refused > 0 || !/\$a1\b/.test(body)) return null;
      refused += 1;
      return Response.json({ data: null, errors: [{ message: 'conflict on insert of AgentActivity' }] });
    };
    const thread = newThread();
    await send(created(thread));
    await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
    const reporter = new Reporter(thread);
    await reporter.report(init, result('Done.', [thread.agentSessionId]), saved(1, 0));
    vi.useFakeTimers({ now: Date.now() + 25_000, toFake: ['Date'] });
    await runDurableObjectAlarm(session(thread));
    await vi.waitFor(() => expect(outside.said.map(({ content }) => content.body).join()).toContain('Done.'));
    expect(lines('session.effect.failed')).toEqual([]);
  });
});
