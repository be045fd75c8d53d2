import { describe, expect, it } from 'vitest';
import { toLinearError } from '../../src/linear/api/errors.ts';

const said = (status: number, extensions: Record<string, unknown>, message = 'words of Linear') =>
  toLinearError(status, [{ message, extensions }], new Headers());

describe('an error of Linear is told by its body, whatever the status of the answer', () => {
  it.each([
    [200, { type: 'authentication error' }, 'unauthorized'],
    [200, { type: 'unknown', statusCode: 401 }, 'unauthorized'],
    [200, { code: 'AUTHENTICATION_ERROR' }, 'unauthorized'],
    [200, { statusCode: 429 }, 'rate-limited'],
    [400, { type: 'ratelimited', code: 'RATELIMITED' }, 'rate-limited'],
    [200, { type: 'unknown', statusCode: 503 }, 'unreachable'],
    [200, { code: 'INTERNAL_SERVER_ERROR' }, 'unreachable'],
    [200, { type: 'lock timeout' }, 'unreachable'],
    [200, { type: 'forbidden', code: 'FORBIDDEN', statusCode: 403 }, 'refused'],
    [403, { type: 'forbidden' }, 'refused'],
    [200, { type: 'feature not accessible' }, 'refused'],
    [200, { type: 'usage limit exceeded' }, 'refused'],
    [400, { type: 'invalid input', code: 'INPUT_ERROR' }, 'refused'],
    [400, { code: 'GRAPHQL_VALIDATION_FAILED' }, 'refused'],
    [400, { type: 7, statusCode: 'x' }, 'refused'],
  ])('HTTP %i with %j', (status, extensions, kind) => {
    const error = said(status, extensions);
    expect(error.kind).toBe(kind);
    expect(error.message).toContain('words of Linear');
  });

  it('and in the words that Linear has for people, if it has some', () => {
    const error = said(200, { type: 'feature not accessible', userPresentableMessage: 'Not on your plan.' });
    expect(error.message).toBe('Linear refused: Not on your plan.');
  });
});
