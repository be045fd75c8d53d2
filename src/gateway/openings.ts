/**
 * What a session token opens: what a sandbox may ask for, by the state of its session and by what its role may do. One
 * table, asked by every route of the gateway and by the session's own object. Pure.
 */

/**
 * The state of a session, seen from one life of its sandbox.
 * - `turn`: a turn is under way: prepared, worked on, asked about, saved
 * - `ending`: the turn was called off, and what it did is saved
 * - `late-save`: the turn is over, and the sandbox has not said that all of its work is saved
 * - `rest`: between two turns
 * - `alarm`: the decoy credential was caught, and no turn was begun since
 * - `withdrawn`: the workspace or the repository is not Cyrus's any more
 * - `other-life`: another life of the sandbox has taken over; `unknown`: there is no such session
 */
export type Stage = 'turn' | 'ending' | 'late-save' | 'rest' | 'alarm' | 'withdrawn' | 'other-life' | 'unknown';

/** The state of a session; plain data, so that it can be kept for a moment. */
export interface Standing {
  stage: Stage;
  /** This is the session's first life, in its first turn, and Claude was not started: what is there is the repository's alone. */
  isFresh: boolean;
  /** The branch that the session's work starts from; null: not known. */
  baseBranch: string | null;
  /** What Claude left running in the background may wake it, without anybody asking. */
  mayWake: boolean;
  /** The last turn ended a short while ago, see `UPKEEP_MS`. */
  isJustOver: boolean;
  /** For people, where a stage alone does not say enough. */
  words?: string;
}

/** For so long after a turn the sandbox stores bundles of what it has for sessions to come, in ms. */
export const UPKEEP_MS = 10 * 60_000;
/** A save that was not confirmed is repeated for about an hour (container/session/save-schedule.ts), in ms. */
export const LATE_SAVE_MS = 2 * 3_600_000;

/** What a role may do besides looking. */
export const RIGHTS = ['push', 'keep', 'change'] as const;
/** `push`: move the session's branch; `keep`: store for other sessions; `change`: call tools that change something. */
export type Right = (typeof RIGHTS)[number];

/** What can be asked of the gateway. */
export type Ask =
  | 'report'
  | 'checkpoint'
  | 'restore'
  | 'patch'
  | 'share'
  | 'read-cache'
  | 'keep-bundle'
  | 'keep-setup'
  | 'claude'
  | 'read-git'
  | 'ask-push'
  | 'push'
  | 'tools';

const SAVING: readonly Stage[] = ['turn', 'ending', 'late-save'];
const AT_REST: readonly Stage[] = [...SAVING, 'rest'];

/** In which stages each thing is open, whatever else is asked of it below. */
const OPEN: Record<Ask, readonly Stage[]> = {
  report: [...AT_REST, 'alarm', 'withdrawn'],
  checkpoint: [...AT_REST, 'alarm'],
  restore: AT_REST,
  patch: [...AT_REST, 'alarm'],
  share: SAVING,
  'read-cache': ['turn'],
  'keep-bundle': SAVING,
  'keep-setup': ['turn'],
  claude: ['turn'],
  'read-git': [...AT_REST, 'alarm'],
  'ask-push': SAVING,
  push: SAVING,
  tools: ['turn'],
};

const NEEDS: Partial<Record<Ask, Right>> = { push: 'push', 'keep-bundle': 'keep', 'keep-setup': 'keep' };

/** Why something is not open: a word for programs and a sentence for people. */
export interface Closed {
  error: 'superseded' | 'no_such_session' | 'closed' | 'read_only' | 'too_late';
  message: string;
}

/**
 * Whether a token opens what is asked for.
 * @param rights of the token's role
 * @returns null if it does; else why not
 */
export function closedFor(ask: Ask, standing: Standing, rights: readonly Right[]): Closed | null {
  const { stage, words } = standing;
  if (stage === 'unknown') return { error: 'no_such_session', message: words ?? 'there is no such session' };
  if (stage === 'other-life') {
    return { error: 'superseded', message: words ?? 'a newer generation of this session has taken over' };
  }
  const needed = NEEDS[ask];
  if (needed && !rights.includes(needed)) return { error: 'read_only', message: READ_ONLY_WORDS[needed] };
  if (ask === 'keep-setup' && !standing.isFresh) {
    return { error: 'too_late', message: 'the result of a setup script is stored only before Claude is started' };
  }
  if (OPEN[ask].includes(stage) || isOpenAtRest(ask, standing)) return null;
  return { error: 'closed', message: words ?? CLOSED_WORDS[stage] };
}

/** What is open between two turns for a reason of its own. */
function isOpenAtRest(ask: Ask, { stage, mayWake, isJustOver }: Standing): boolean {
  if (stage !== 'rest' && stage !== 'late-save') return false;
  if (ask === 'claude') return mayWake;
  return (ask === 'keep-bundle' || ask === 'read-cache') && isJustOver;
}

const READ_ONLY_WORDS: Record<Right, string> = {
  push: 'this session is read-only, so it cannot push',
  keep: 'a read-only session cannot store anything for other sessions',
  change: 'this session is read-only, so it cannot call a tool that changes anything',
};

const CLOSED_WORDS: Record<Exclude<Stage, 'other-life' | 'unknown'>, string> = {
  turn: 'sessions may not do this',
  ending: 'the turn was stopped: its work is saved, and nothing else is done in it',
  'late-save': 'no turn is running: this is possible again when the next one begins',
  rest: 'no turn is running: this is possible again when the next one begins',
  alarm:
    'a credential was about to leave the sandbox, so the session was stopped: this is possible again when its next turn begins',
  withdrawn: 'Cyrus no longer has access to the workspace or the repository of this session',
};
