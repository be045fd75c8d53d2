import { runDurableObjectAlarm } from 'cloudflare:test';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { GitHubError } from '../../src/github/errors.ts';
import type { Pending } from '../../src/kernel/effect-rules.ts';
import { Outbox } from '../../src/kernel/outbox.ts';
import { LinearError } from '../../src/linear/api/errors.ts';
import { SandboxError } from '../../src/sandbox/sandbox.ts';
import { SetupError } from '../../src/session/effects/effect-context.ts';
import { toFailure } from '../../src/session/effects/failure.ts';
import type { Effect } from '../../src/session/lifecycle/model/effects.ts';
import { DatabaseError } from '../../src/store/database.ts';
import { created, newThread, send } from './support/linear-webhook.ts';
import { Outside } from './support/outside.ts';
import { registerWorkspace, session } from './support/sessions.ts';

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe('an attempt at an effect that fails', () => {
  it.each([
    ['Linear does not answer', new LinearError('unreachable', 'HTTP 502'), 'passing'],
    ['Linear takes no token', new LinearError('unauthorized', 'HTTP 401'), 'unauthorized'],
    ['GitHub does not answer', new GitHubError('unreachable', 'HTTP 502'), 'passing'],
    ['the sandbox is busy', new SandboxError('busy', { retryable: true, hint: 'Wait.' }), 'passing'],
    ['the database does not answer', new DatabaseError('D1 is down', { cause: null }), 'passing'],
    ['something unknown is thrown', 'no error at all', 'passing'],
  ])('is retryable if %s, with its cause', (_when, thrown, cause) => {
    expect(toFailure(thrown)).toMatchObject({ kind: 'retryable', cause });
  });

  it.each([
    ['Linear refuses', new LinearError('refused', 'no such issue'), 'Trying again does not help'],
    ['GitHub refuses', new GitHubError('forbidden', 'HTTP 403', { hint: 'Ask an admin.' }), 'Ask an admin.'],
    ['the sandbox refuses', new SandboxError('no', { retryable: false, hint: 'Deploy again.' }), 'Deploy again.'],
    ['something is missing that a person has to supply', new SetupError('no text', 'Comment again.'), 'Comment again.'],
  ])('is terminal if %s, and says what a person can do', (_when, thrown, hint) => {
    expect(toFailure(thrown)).toMatchObject({ kind: 'terminal', hint: expect.stringContaining(hint) });
  });

  it('is not tried again before the time that the other side named', () => {
    const limited = new LinearError('rate-limited', 'too many requests', { retryAt: 1_700_000_000_000 });
    expect(toFailure(limited)).toMatchObject({ kind: 'retryable', retryAt: 1_700_000_000_000 });
  });

  it('has failed as well if what it brought back cannot be stored, and its lane continues with the next attempt', async () => {
    await registerWorkspace();
    const outside = new Outside();
    const remove = Outbox.prototype.remove;
    let isRefused = false;
    vi.spyOn(Outbox.prototype, 'remove').mockImplementation(function (
      this: Outbox<Effect>,
      pending: Pending<Effect>[],
    ) {
      if (!isRefused && pending.some(({ effect }) => effect.kind === 'start-sandbox')) {
        isRefused = true;
        throw new Error('the storage is full');
      }
      remove.call(this, pending);
    });
    const thread = newThread();
    await send(created(thread));
    await vi.waitFor(() => expect(isRefused).toBe(true));
    vi.useFakeTimers({ now: Date.now() + 10_000, toFake: ['Date'] });
    await runDurableObjectAlarm(session(thread));
    // Sooner than the platform ends an object that has nothing to do, which would begin everything again.
    await vi.waitFor(() => expect(outside.commands.map(({ type }) => type)).toEqual(['prompt']), 7_000);
    expect(outside.starts).toHaveLength(2);
  });
});
