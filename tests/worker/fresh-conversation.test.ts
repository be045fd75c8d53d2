import { beforeEach, expect, it, vi } from 'vitest';
import { init, result, saved, text } from '../unit/support/session-play.ts';
import { created, newThread, prompted, send } from './support/linear-webhook.ts';
import { Outside } from './support/outside.ts';
import { page, Reporter, registerWorkspace } from './support/sessions.ts';

let outside: Outside;

beforeEach(async () => {
  outside = new Outside();
  await registerWorkspace();
});

/** Ids and texts of the prompts that the sandbox was given. */
function prompts(): { id: string; text: string; turn: number }[] {
  return outside.commands.flatMap((command) => (command.type === 'prompt' ? [command] : []));
}

it('A conversation with a broken record is followed by one that is told what was asked, said and committed', async () => {
  const thread = newThread();
  await send(created(thread));
  await vi.waitFor(() => expect(prompts()).toHaveLength(1));
  const reporter = new Reporter(thread);
  const first = prompts()[0]?.id ?? '';
  await reporter.report(
    init,
    text('The cart counts in cents now.'),
    result('The cart counts in cents now.', [first]),
    saved(1),
  );
  await send(prompted(thread, 'And now the coupons, please.'));
  await vi.waitFor(() => expect(prompts()).toHaveLength(2));
  const second = prompts()[1]?.id ?? '';
  const broken = {
    is_error: true,
    terminal_reason: 'api_error',
    api_error: 'tool_history_mismatch',
    api_error_status: 400,
  };
  await reporter.report(init, result('API Error: 400 due to tool use concurrency issues.', [second], broken));
  await vi.waitFor(() => expect(prompts()).toHaveLength(3));

  const ids = outside.starts.map(({ body }) => body.claude.conversationId);
  expect(new Set(ids).size).toBe(2);
  expect(ids.at(-1)).not.toBe(ids[0]);
  const told = prompts()[2]?.text ?? '';
  for (const part of [
    'The cart counts in cents now.',
    'And now the coupons, please.',
    'cyrus/',
    'This is a new conversation',
  ]) {
    expect(told).toContain(part);
  }
  expect(outside.commands.filter(({ type }) => type === 'stop')).toHaveLength(1);
  const shown = await page(thread);
  expect(JSON.stringify(shown?.entries)).toContain('The work continues in a new one');
});
