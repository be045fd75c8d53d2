import { exports } from 'cloudflare:workers';
import { expect, it, vi } from 'vitest';
import { init, result, saved } from '../unit/support/session-play.ts';
import { created, newThread, prompted, send } from './support/linear-webhook.ts';
import { Outside } from './support/outside.ts';
import { Reporter, registerWorkspace, session } from './support/sessions.ts';

vi.spyOn(console, 'log').mockImplementation(() => {});

it('the downloaded log has what people asked, each once and before what came of it', async () => {
  const outside = new Outside();
  await registerWorkspace();
  const thread = newThread();
  const reporter = new Reporter(thread);
  await send(created(thread, { promptContext: 'Count every piece, please.' }));
  await vi.waitFor(() => expect(outside.commands).toHaveLength(1));
  await reporter.report(init, result('Counted.', [thread.agentSessionId]), saved(1));
  await send(prompted(thread, 'Mind the shipping, too.'));
  await vi.waitFor(() => expect(outside.commands).toHaveLength(2));
  const id = outside.commands[1]?.id ?? '';
  await reporter.report(init, result('Shipped.', [id]), saved(2, 1, 'b'.repeat(40)));
  const log = await vi.waitFor(async () => {
    const url = `http://cyrus.test/api/sessions/${session(thread).id.toString()}/log`;
    const text = await (await exports.default.fetch(url)).text();
    expect(text).toContain('Shipped.');
    return text;
  });
  const order = ['> ', 'Counted.', 'Mind the shipping, too.', 'Shipped.'].map((words) => log.indexOf(words));
  expect(order).toEqual(order.toSorted((a, b) => a - b));
  expect(order.every((at) => at >= 0)).toBe(true);
  expect(log.match(/Mind the shipping, too\./g)).toHaveLength(1);
  expect(log.match(/^## .* asks \(/gm)).toHaveLength(2);
});
