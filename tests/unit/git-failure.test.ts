import { describe, expect, it } from 'vitest';
import { complaint, GitError, refusedRefs, remoteFailure } from '../../container/git/git.ts';
import { diedFromOutside } from '../../container/git/killed-git.ts';
import { pushFailure } from '../../container/save/push.ts';

const ENDED = "fatal: remote helper 'http' aborted session\n";
const failure = (stderr: string) =>
  new GitError({ command: 'fetch', code: 128, stderr, stdout: '', timedOut: false, tooLarge: false });

it('what went wrong with the git host is told, not that git’s own helper ended because of it', () => {
  const refused = failure(`fatal: unable to access 'http://g/': The requested URL returned error: 403\n${ENDED}`);
  expect(complaint(refused)).toBe("unable to access 'http://g/': The requested URL returned error: 403");
  expect(remoteFailure(refused)).toBe('auth');
  expect(remoteFailure(failure(`fatal: unable to access: The requested URL returned error: 413\n${ENDED}`))).toBe(
    'other',
  );
});

it('a helper of git’s that was cut off without a word is worth another try', () => {
  expect(remoteFailure(failure(ENDED))).toBe('network');
  expect(complaint(failure(ENDED))).toContain('aborted session');
});

it('a crash of git’s helper is no outage of the host: it is told at once, and a kill is tried again', () => {
  const crashed = failure(`error: git-remote-http died of signal 11\n${ENDED}`);
  expect(remoteFailure(crashed)).toBe('other');
  expect(complaint(crashed)).toContain('died of signal 11');
  expect(remoteFailure(failure(`error: git-remote-http died of signal 9\n${ENDED}`))).toBe('network');
});

it('what was killed from outside may succeed next time; a crash, a time-out and an end by the server itself do not', () => {
  const ended = { command: 'fetch', stdout: '', timedOut: false, tooLarge: false };
  const died = (code: number | null, stderr = '', more: object = {}) =>
    diedFromOutside(new GitError({ ...ended, code, stderr, ...more }));
  expect([died(null), died(137), died(143)]).toEqual([true, true, true]);
  expect(died(128, `error: git-remote-http died of signal 9\n${ENDED}`)).toBe(true);
  expect(died(128, 'fatal: Out of memory, malloc failed')).toBe(true);
  expect(died(128, `error: git-remote-http died of signal 11\n${ENDED}`)).toBe(false);
  expect([died(null, '', { timedOut: true }), died(null, 'the session has ended'), died(1), died(128)]).toEqual([
    false,
    false,
    false,
    false,
  ]);
  expect(complaint(new GitError({ ...ended, code: null, stderr: '' }))).toBe('git was killed');
});

describe('a push that the host has read and refused', () => {
  const refused = (stdout: string, ...words: string[]) =>
    new GitError({
      command: 'push',
      code: 1,
      stdout: `To http://g/\n!\t0123:refs/heads/cyrus/eng-1\t${stdout}\nDone\n`,
      stderr: [...words.map((word) => `remote: ${word}`), 'error: failed to push some refs to http://g/'].join('\n'),
      timedOut: false,
      tooLarge: false,
    });

  it.each([
    ['a large file with a telling name', ['error: File certs/openssl-timeout.bin is 120.00 MB; this exceeds']],
    ['a secret in such a file', ['- Push cannot contain secrets', 'path: config/ssl.conf:3']],
    ['a hook that speaks of the network', ['Connection refused by the policy server', 'RPC failed in the linter']],
    ['a hook that speaks of passwords', ['Authentication failed: password in settings.py']],
    ['a hook that speaks of addresses', ["repository 'x' not found in the allow list", 'returned error: 503']],
  ])('is a refusal, whatever the host says of it: %s', (_what, words) => {
    expect(remoteFailure(refused('[remote rejected] (pre-receive hook declined)', ...words))).toBe('other');
  });

  it('says why in the parentheses of git’s own line, with parentheses in it', () => {
    const reason = 'refusing to allow an OAuth App to create `.github/workflows/ci.yml` (no `workflow` scope)';
    expect(refusedRefs(refused(`[remote rejected] (${reason})`))).toEqual([reason]);
    expect(refusedRefs(failure('fatal: unable to access'))).toEqual([]);
  });

  it('is Claude’s to put right, in the host’s words; a fault of the host’s own is tried again as it is', () => {
    const hook = pushFailure('cyrus/eng-1', refused('[remote rejected] (pre-receive hook declined)', 'No tabs.'));
    expect(hook).toMatchObject({ isForClaude: true, retry: false, stale: false });
    expect(hook.problem).toContain('pre-receive hook declined · No tabs.');
    for (const reason of ['Internal Server Error', 'Cyrus: the git host answered 503; try again later']) {
      const fault = pushFailure('cyrus/eng-1', refused(`[remote rejected] (${reason})`));
      expect(fault).toMatchObject({ isForClaude: false, retry: true, stale: false });
    }
    const asked = pushFailure('cyrus/eng-1', refused('[remote rejected] (sign your commits and try again)'));
    expect(asked).toMatchObject({ isForClaude: true, retry: false });
  });

  it.each([
    ['[rejected] (stale info)', []],
    ['[rejected] (fetch first)', []],
    [
      '[remote rejected] (failed to update ref)',
      ["error: cannot lock ref 'refs/heads/x': is at 0123456 but expected 789abcd"],
    ],
    ["[remote rejected] (cannot lock ref 'refs/heads/x': reference already exists)", []],
  ])('that somebody else’s push overtook is looked at again: %s', (line, words) => {
    expect(pushFailure('cyrus/eng-1', refused(line, ...words))).toMatchObject({ stale: true, retry: true });
  });

  it.each([
    ['[remote rejected] (pre-receive hook declined)', 'stale info in NEWS: fetch first'],
    ["[remote rejected] (cannot lock ref 'refs/heads/x/y': 'refs/heads/x' exists; cannot create 'refs/heads/x/y')", ''],
    ['[remote rejected] (push declined due to repository rule violations)', 'error: GH013: Repository rule violations'],
    ['[remote rejected] (protected branch hook declined)', 'error: GH006: Protected branch update failed'],
  ])('is not overtaken for the words of it: %s', (line, words) => {
    const failure = pushFailure('cyrus/eng-1', refused(line, words));
    expect(failure).toMatchObject({ stale: false, isForClaude: true });
    expect(failure.problem).toContain(words);
  });
});

it('a push that is too large for a server on the way stays too large, and that is what is told', () => {
  const stderr = [
    'error: RPC failed; HTTP 413 curl 22 The requested URL returned error: 413',
    'send-pack: unexpected disconnect while reading sideband packet',
    'fatal: the remote end hung up unexpectedly',
  ].join('\n');
  expect(remoteFailure(failure(stderr))).toBe('other');
  expect(pushFailure('cyrus/eng-1', failure(stderr))).toMatchObject({ retry: false, isForClaude: true });
  expect(complaint(failure(stderr))).toContain('413');
  expect(remoteFailure(failure(stderr.replaceAll('413', '429')))).toBe('network');
});
