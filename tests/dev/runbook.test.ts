import { afterAll, describe, expect, it } from 'vitest';
import { CheckCopy } from './check-copy.ts';

const copy = new CheckCopy('dev/checks/runbook.ts', ['src', 'docs']);
afterAll(() => copy.remove());

describe('the check of the runbook', () => {
  it('passes the project as it is', () => {
    expect(copy.run()).toEqual({ status: 0, said: expect.stringContaining('has its entry') });
  });

  it.each([
    [
      'an alert without an entry',
      'docs/runbook.md',
      '### `queue.wait`',
      '### Queue',
      'the alert queue.wait has no entry',
    ],
    [
      'an entry without an alert',
      'docs/runbook.md',
      '### `queue.wait`',
      '### `queue.gone`',
      'there is no alert queue.gone',
    ],
    ['a second entry', 'docs/runbook.md', '### `queue.wait`', '### `queue.wait`\n\n### `queue.wait`', 'two entries'],
    [
      'a new condition',
      'src/operations/watch.ts',
      "  'queue.wait': async",
      "  'queue.novel': async () => [],\n\n  'queue.wait': async",
      'the alert queue.novel has no entry',
    ],
    [
      'a line of the log that nobody is told of',
      'src/linear/tokens/token-keeper.ts',
      "log('alert.linear.reinstall_needed'",
      "log('alert.linear.novel'",
      'nobody is told of alert.linear.novel',
    ],
  ])('refuses %s', (_, file, before, after, problem) => {
    expect(copy.runWith(file, before, after)).toEqual({ status: 1, said: expect.stringContaining(problem) });
  });
});
