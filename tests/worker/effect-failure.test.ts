import { describe, expect, it } from 'vitest';
import { GitHubError } from '../../src/github/errors.ts';
import { LinearError } from '../../src/linear/api/errors.ts';
import { SandboxError } from '../../src/sandbox/sandbox.ts';
import { SetupError } from '../../src/session/effects/effect-context.ts';
import { toFailure } from '../../src/session/effects/failure.ts';
import { DatabaseError } from '../../src/store/database.ts';

describe('an attempt at an effect that fails', () => {
  it.each([
    ['Linear does not answer', new LinearError('unreachable', 'HTTP 502'), 'passing'],
    ['Linear takes no token', new LinearError('unauthorized', 'HTTP 401'), 'unauthorized'],
    ['GitHub does not answer', new GitHubError('unreachable', 'HTTP 502'), 'passing'],
    ['the sandbox is busy', new SandboxError('busy', { retryable: true, hint: 'Wait.' }), 'passing'],
    ['the database does not answer', new DatabaseError('D1 is down', { cause: null }), 'passing'],
    ['something unknown is thrown', 'no error at all', 'passing'],
  ])('is retryable where %s, with its cause', (_when, thrown, cause) => {
    expect(toFailure(thrown)).toMatchObject({ kind: 'retryable', cause });
  });

  it.each([
    ['Linear refuses', new LinearError('refused', 'no such issue'), 'Trying again does not help'],
    ['GitHub refuses', new GitHubError('forbidden', 'HTTP 403', { hint: 'Ask an admin.' }), 'Ask an admin.'],
    ['the sandbox refuses', new SandboxError('no', { retryable: false, hint: 'Deploy again.' }), 'Deploy again.'],
    ['something is missing that a person has to supply', new SetupError('no text', 'Comment again.'), 'Comment again.'],
  ])('is terminal where %s, and says what a person can do', (_when, thrown, hint) => {
    expect(toFailure(thrown)).toMatchObject({ kind: 'terminal', hint: expect.stringContaining(hint) });
  });

  it('is not tried again before the time that the other side named', () => {
    const limited = new LinearError('rate-limited', 'too many requests', { retryAt: 1_700_000_000_000 });
    expect(toFailure(limited)).toMatchObject({ kind: 'retryable', retryAt: 1_700_000_000_000 });
  });
});
