/** A session whose pull request is open. */
import type { EffectResult } from '../../../src/session/lifecycle/model/effect-results.ts';
import { init, result, SessionPlay, saved } from './session-play.ts';

/** A session at rest whose pull request #12 is open. @param hears whether GitHub tells its news by itself */
export function proposed(hears: boolean): SessionPlay {
  const play = new SessionPlay();
  play.hasPullRequests = true;
  play.prompt('p1');
  play.started();
  const effects = play.report(init, result('Mended.', ['p1']), saved(1, 1, '1'.repeat(40)));
  const effect = effects.find(({ kind }) => kind === 'open-pull-request');
  if (!effect) throw new Error('no pull request is asked for');
  const url = 'https://github.test/acme/shop/pull/12';
  const opened: EffectResult = { kind: 'pull-request', state: 'opened', number: 12, url, draft: false, hears };
  play.play({ type: 'effect-done', effect, result: opened });
  return play;
}
