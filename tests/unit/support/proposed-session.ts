/** A session whose pull request is open. */
import type { EffectResult } from '../../../src/session/lifecycle/model/effect-results.ts';
import type { Effect } from '../../../src/session/lifecycle/model/effects.ts';
import { init, result, SessionPlay, saved } from './session-play.ts';

/** A session at rest whose pull request #12 is open. @param hears whether GitHub tells its news by itself */
export function proposed(hears: boolean): SessionPlay {
  const play = new SessionPlay();
  play.hasPullRequests = true;
  play.prompt('p1');
  play.started();
  const effects = play.report(init, result('Mended.', ['p1']), saved(1, 1, '1'.repeat(40)));
  proposeIn(play, effects, hears);
  return play;
}

/** GitHub opens or updates the pull request that the effects ask for, if they do. @returns all effects, with what follows */
export function proposeIn(play: SessionPlay, effects: Effect[], hears = true): Effect[] {
  const effect = effects.find(({ kind }) => kind === 'open-pull-request');
  if (!effect) return effects;
  const url = 'https://github.test/acme/shop/pull/12';
  const state = play.state.proposal?.pullRequest ? 'updated' : 'opened';
  const result: EffectResult = { kind: 'pull-request', state, number: 12, url, draft: false, hears };
  return [...effects, ...play.play({ type: 'effect-done', effect, result })];
}
