/** What effects bring back, by kind: the outcome that the lifecycle takes in. Never stored. */

import type { FellBack } from '../../../claude-quota/model-choice.ts';
import type { Window } from '../../../claude-quota/windows.ts';
import type { CommitChecks } from '../../../github/check-failures.ts';
import type { Looked, Remark } from '../../../github/remarks.ts';
import type { PullSummary } from '../../../protocol/pull-request.ts';
import type { SandboxStatus } from '../../../protocol/sandbox/start.ts';
import type { ReachedLimit } from '../../../protocol/settings/start-limits.ts';
import type { IssueNews, Withdrawal } from '../issue-news.ts';
import type { Access } from './admission.ts';
import type { Arrangement, Person } from './directives.ts';
import type { EffectKind } from './effects.ts';

/** The sandbox is up, with what was decided for it. */
export interface Started {
  kind: 'started';
  repository: string;
  /** Name of the session's branch, as it was decided; left out by older versions. */
  branch?: string;
  /** What people have to know of that name; left out: nothing. */
  branchNote?: string;
  /** What was chosen, and why, for people; left out if this start chose nothing. */
  choice?: string;
  baseBranch: string;
  /** The base that the issue names; null or left out: the repository's own. */
  baseWish?: string | null;
  /** The place that names it; left out: not known. */
  baseWishBy?: 'issue' | 'comment';
  /** Digest of the workspace and the repository's clone address. */
  identity?: string;
  /** Author of its commits. */
  author?: { name: string; email: string };
  /** The state of the session's pull request; left out if there is none, or that is not known. */
  pullRequest?: { number: number; state: 'open' | 'closed' | 'merged' };
  arrangement: Arrangement;
  access: Access;
  status: SandboxStatus;
  /** Claude's limits as known at the start. */
  windows?: Window[];
  /** The limits do not allow the model that was wanted. */
  fellBack?: FellBack | null;
}

/** A person has to choose. `question`: what people are asked; left out: which repository it is. */
export interface Unsure {
  kind: 'unsure';
  options: string[];
  why?: string;
  question?: string;
  access: Access;
}

/** None of those who asked may. */
export interface Refused {
  kind: 'refused';
  text: string;
  access: Access;
}

/** No turn can begin until an admin of Cyrus does something. */
interface Blocked {
  kind: 'blocked';
  text: string;
}

/** The sandbox of this life is there no more, or has nothing of the session. */
export interface Lost {
  kind: 'lost';
  generation: number;
}

/** Queue position of a session; 0: it has its slot. `limit`: the one that it waits for, if it waits for more than a slot. */
interface QueuePosition {
  kind: 'queued';
  position: number;
  limit?: ReachedLimit | null;
}

/** `isLinears`: Linear had opened it, and will tell of it. */
export interface ThreadOpened {
  kind: 'thread';
  agentSessionId: string;
  isLinears: boolean;
}

/** The present state of the issue; `why`: the ground for work that is gone, if one is. */
export interface IssueSeen {
  kind: 'issue';
  news: IssueNews | null;
  why: Withdrawal | null;
}

/** The pull request of the branch; or, where no pull request is opened, the branch's page, if its address is known. */
type Proposed =
  | {
      kind: 'pull-request';
      state: 'opened' | 'updated';
      number: number;
      url: string;
      draft: boolean;
      /** Whether GitHub tells by itself what happens there. */
      hears: boolean;
    }
  | { kind: 'branch'; url: string | null };

/** A remark with who wrote it, as the rules on who may ask know people. `isNamedBot`: the settings name it. */
export type RemarkBy = Remark & { person: Person; isNamedBot: boolean };

/** What GitHub says of a pull request. `read`: what people wrote there; left out where that was not asked for, or does not count. */
export interface PullRequestSeen {
  seen: PullSummary;
  read?: { looked: Looked[]; remarks: RemarkBy[]; isMore: boolean };
  /** What its checks say, and what the settings have done about it; left out where they are left to people. */
  checks?: CommitChecks & { mode: 'report' | 'repair' };
}

/** What each kind of effect brings back; null: nothing. */
export interface EffectResults {
  say: null;
  show: null;
  'open-thread': ThreadOpened | null;
  'start-issue': null;
  'look-at-issue': IssueSeen;
  'start-sandbox': Started | Unsure | Refused | Blocked | QueuePosition | Lost;
  'prompt-sandbox': Lost | null;
  'answer-sandbox': null;
  'decide-sandbox': null;
  'stop-sandbox': Lost | null;
  'purge-sandbox': null;
  /** When there is room within Claude's limits, in ms since the epoch; null: not known. */
  'find-room': { kind: 'room'; at: number | null };
  'request-slot': QueuePosition;
  'release-slot': null;
  'open-pull-request': Proposed | null;
  /** What GitHub says of it; null: there is no such pull request any more, or nobody may look. */
  'look-at-pull-request': PullRequestSeen | null;
  'answer-review': null;
  'attach-pull-request': null;
  'index-session': null;
  'archive-turn': null;
  /** The ids of those who are told, and what they are sent. */
  'tell-webhooks': { webhooks: string[]; body: string };
  'post-webhook': null;
}

export type EffectResult = EffectResults[EffectKind];
