import { describe, expect, it } from 'vitest';
import { toGitHubError } from '../../../src/github/errors.ts';

const refused = (status: number, message: string) =>
  toGitHubError('open a pull request in acme/shop', status, new Headers(), { message }, 0);

describe('what GitHub forbids', () => {
  it.each([
    ['Resource not accessible by integration', /write access to contents/],
    ['This installation has been suspended', /suspension lifted/],
    ['Repository was archived so is read-only.', /unarchive/],
    ['Resource protected by organization SAML enforcement. You must grant your OAuth token access.', /single sign-on/],
    ['The `acme` organization has an IP allow list enabled, and your IP address is not permitted.', /IP addresses/],
    ['`acme` forbids access via a personal access token (classic).', /credential that the organization allows/],
    ['Upgrade to GitHub Pro or make this repository public to enable this feature.', /resolve this on GitHub/],
  ])('is followed by what helps against that, and by nothing else: %s', (message, hint) => {
    const error = refused(403, message);
    expect(error.kind).toBe('forbidden');
    expect(error.message).toContain(message);
    expect(error.hint).toMatch(hint);
  });

  it('or cannot do now is tried again, and what it will not do is not', () => {
    expect([408, 425, 500, 502, 503].map((status) => refused(status, '').retryable)).toEqual(Array(5).fill(true));
    expect([400, 404, 409, 410, 422, 451].map((status) => refused(status, '').retryable)).toEqual(Array(6).fill(false));
  });
});
