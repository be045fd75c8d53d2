import { expect, it } from 'vitest';
import { complaint, GitError, remoteFailure } from '../../container/git.ts';

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
