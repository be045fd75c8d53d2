import { describe, expect, it } from 'vitest';
import type { GitHubApi } from '../../src/github/access.ts';
import { LOOK_EVERY_MS, type LookOptions, PullRequestLook } from '../../src/session/viewers/pull-request-look.ts';

const NOW = Date.UTC(2026, 0, 5);

/** A session whose repository is on no GitHub, so that each question has the answer "none". */
class Looked {
  now = NOW;
  asked = 0;
  api: () => Promise<GitHubApi | null> = async () => null;
  readonly stored = new Map<string, unknown>();
  readonly kv: LookOptions['kv'] = {
    get: <T>(key: string) => this.stored.get(key) as T | undefined,
    put: (key, value) => void this.stored.set(key, value),
  };
  readonly look = new PullRequestLook({
    kv: this.kv,
    api: () => {
      this.asked += 1;
      return this.api();
    },
    now: () => this.now,
    onStatus: () => {},
  });
}

describe('what GitHub said of a pull request', () => {
  it('is good for a minute', async () => {
    const looked = new Looked();
    await looked.look.look(12);
    looked.now += LOOK_EVERY_MS - 1;
    await looked.look.look(12);
    expect(looked.asked).toBe(1);
    looked.now += 1;
    await looked.look.look(12);
    expect(looked.asked).toBe(2);
  });

  it('is asked again if it was kept by a clock that was a day ahead', async () => {
    const looked = new Looked();
    looked.now += 24 * 3_600_000;
    await looked.look.look(12);
    looked.now = NOW;
    await looked.look.look(12);
    expect(looked.asked).toBe(2);
  });

  it('leaves nothing behind of a session that was deleted while GitHub was asked', async () => {
    const looked = new Looked();
    let answer: (api: null) => void = () => {};
    looked.api = () => new Promise((resolve) => (answer = resolve));
    const look = looked.look.look(12);
    looked.look.end();
    answer(null);
    expect(await look).toEqual({ kind: 'none' });
    expect(looked.stored.size).toBe(0);
  });
});
