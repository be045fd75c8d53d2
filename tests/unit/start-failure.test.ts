import { describe, expect, it } from 'vitest';
import { explainStartFailure } from '../../src/sandbox/start-failure.ts';

describe('A container that does not start', () => {
  it.each([
    ['there is no container instance that can be provided to this durable object, try again later', /free container/],
    ['you are requesting too many containers per second', /how many containers are started/],
    ['No such image available named cloudflare-dev/sandbox:1', /image of the container/],
    ['Container exited before we could determine the container health, exit code: 1', /ended while it was starting/],
    ['Failed to verify port 8080 is available after 30000ms', /is slow to start/],
    ['Network connection lost.', /interrupted the start/],
    ['Containers have not been enabled for this Durable Object class.', /not enabled/],
  ])('for %j is told as a state with its reason', (message, reason) => {
    expect(explainStartFailure(message).reason).toMatch(reason);
  });

  it('for a reason that is not known still says what to do', () => {
    const { reason, hint } = explainStartFailure('something new');
    expect(reason).toBe('The container did not start; trying again');
    expect(hint).toContain('Cloudflare dashboard');
  });
});
