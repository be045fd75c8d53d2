import { afterEach, describe, expect, it } from 'vitest';
import { log, logTo } from '../../../container/log.ts';

let written: Record<string, unknown>[] = [];
logTo((line) => written.push(JSON.parse(line)));
afterEach(() => {
  written = [];
});

describe("the sandbox server's log", () => {
  it.each([
    ['git.submodule.fetched', 'info'],
    ['git.bundle.damaged', 'warn'],
    ['server.disk.full', 'error'],
  ] as const)('names what happened, as the Worker does, and derives from it that %s is of level %s', (event, level) => {
    log(event, { path: 'lib' });
    expect(written).toEqual([{ at: expect.any(String), level, event, path: 'lib' }]);
  });

  it('takes tokens out of texts and of the messages of errors', () => {
    log('git.remote.failed', {
      complaint: 'fatal: https://cyrus:secret@host/x',
      error: new Error('refused ghp_abcdefghijklmnop'),
    });
    expect(JSON.stringify(written)).not.toMatch(/secret|ghp_/);
    expect(written).toMatchObject([{ error: 'refused [redacted]' }]);
  });
});
