/** Where sessions stand, for tests whose promise is another one. */
import type { Standing } from '../../../src/gateway/openings.ts';
import type { AskStanding } from '../../../src/routes/gateway/standing.ts';

/** A turn is under way, in a sandbox in which Claude was not started yet. */
export const AT_WORK: Standing = {
  stage: 'turn',
  isFresh: true,
  mayWake: false,
  isJustOver: false,
  baseBranch: 'main',
};

/** As the session's object says it, whatever the database knows of workspace and repository. */
export const asTheSessionSays: AskStanding = (env, _config, { s, g }) =>
  Promise.resolve(env.ISSUE_SESSION.get(env.ISSUE_SESSION.idFromString(s)).standing(g));
