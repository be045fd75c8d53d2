/**
 * The state of an issue session: plain data, stored as one row, changed only by session/lifecycle/reduce.ts.
 * All times are milliseconds since the epoch.
 */
import { initialPlan, type PlanState } from '../../../claude/plan.ts';
import { initialReaderState, type ReaderState } from '../../../claude/stream.ts';
import type { KnownLimit } from '../../../claude/words.ts';
import type { Window } from '../../../claude-quota/windows.ts';
import { ownValue } from '../../../lib/own-value.ts';
import type { SharedFile } from '../../../protocol/files.ts';
import type { HeldPush } from '../../../protocol/held-push.ts';
import type { TurnOutcome, Usage } from '../../../protocol/journal.ts';
import type { PullSummary } from '../../../protocol/pull-request.ts';
import type { Background } from '../../../protocol/sandbox/events.ts';
import type { Intake } from '../intake.ts';
import type { ContextItem, Said } from '../issue-context.ts';
import type { Following } from '../pull-request/following.ts';
import type { ClosedRequest, Request } from '../requests.ts';
import type { WishEdit } from '../start/wish-edits.ts';
import type { Access } from './admission.ts';
import type { Arrangement, Person } from './directives.ts';
import { initialNarration, type NarrationState } from './narration.ts';
import type { PhaseState, StopKind } from './phases.ts';
import type { Pace } from './post-pacing.ts';
import type { ClosedQuestion, Grant, OpenQuestion } from './questions.ts';
import type { RecentCall } from './unconfirmed-calls.ts';

export interface SandboxState {
  /** Life number; 0 before the first. */
  generation: number;
  /** Numbering of events in this life; null until first heard of. */
  streamId: string | null;
  /** Last event number stored. */
  cursor: number;
  heardAt: number;
  /** Its CLI tells which prompts it reads; left out until it did. Holds for later lives too: what has not said so yet may only not have come to it. */
  tellsReading?: boolean;
}

/** A sandbox of which nothing was heard yet. @param generation number of its life; `now` in ms since the epoch */
export function nextLife({ tellsReading }: SandboxState, generation: number, now: number): SandboxState {
  return { generation, streamId: null, cursor: 0, heardAt: now, ...(tellsReading && { tellsReading }) };
}

/** The last checkpoint, as far as the lifecycle needs it; the manifest is kept beside the state. */
export interface CheckpointNote {
  generation: number;
  sequence: number;
  at: number;
  /** Last event of its life that it comprises. */
  eventSeq: number;
  /** Those of the turn's prompts that are in it. */
  prompts: string[];
}

export interface Issue {
  id: string;
  identifier: string;
  title: string;
  url: string;
  teamId: string | null;
  /** Null or left out: no more than its id is known. */
  team?: { id: string; key: string; name: string } | null;
  /** Names of its labels; left out before a webhook showed them. */
  labels?: string[];
}

/** A request that a notification told of, and for which Linear should open a thread. */
export interface ExpectedThread {
  promptId: string;
  commentId: string | null;
  author: string | null;
  person: Person | null;
  text: string;
  since: number;
  /** When it was asked, by Linear's clock; left out by older versions. */
  at?: number;
}

/** That something was asked in a thread; what Linear did not return the issue is left out. `at`: by its clock, in ms since the epoch. */
export interface Ask {
  at: number;
  commentId?: string;
  personId?: string;
}

/** In `expectedThread.since`: the thread is being opened, and no longer waited for. */
export const OPENING = Number.MAX_SAFE_INTEGER;

/** What was proposed of the work. */
export interface Proposal {
  /** Commit for which everything was done that had to be; null: none yet. */
  head: string | null;
  /**
   * `isOver`: it was closed or merged, as GitHub said when a turn began. `seen`: what GitHub said of it last, to those who look;
   * left out before, and since it was changed.
   */
  pullRequest: { number: number; url: string; draft: boolean; isOver?: boolean; seen?: PullSummary } | null;
  /** Agent sessions in which it is linked. */
  linked: string[];
}

/**
 * An agent session: when it was first heard of, when something was last said to it, and how often. `isExpected`: it was looked
 * up for a notification, and Linear's own event about it, which is late, asks for nothing new.
 */
export interface Thread {
  since: number;
  saidAt: number;
  pace: Pace;
  isExpected?: boolean;
}

/** A stop that is carried out once the turn that was saved when it came is over; as `Halt`. */
export interface BackgroundStop {
  id: string;
  author: string | null;
  words: string;
  how: StopKind;
}

export interface SessionState {
  version: 1;
  id: string;
  workspaceId: string;
  /** Address of this deployment as people reach it; links are built on it. */
  origin: string;
  issue: Issue | null;
  /** Claude's own session id: one conversation for the life of the issue session. */
  conversationId: string;
  branch: string;
  /** The branch as the sandbox named it before its start was answered; null or left out: it did not. */
  readyBranch?: string | null;
  repository: string | null;
  /**
   * Digest of the workspace and the clone address that stand behind the repository's name since the session works in it; left
   * out before that was noted.
   */
  cloneOf?: { repository: string; identity: string };
  /** Branch the work starts from; null: the repository's own. */
  baseBranch: string | null;
  /** What was decided when the repository was chosen; null before. */
  arrangement: Arrangement | null;
  /** Who may ask, as of the last start; left out before. */
  access?: Access;
  /** Each agent session, by its id. */
  agentSessions: Record<string, Thread>;
  /** When a thread was last written to by people, by Linear's clock; left out before. */
  askedAt?: number;
  /** The latest of what people asked in threads, oldest first; left out before. */
  asks?: Ask[];
  /** What was asked up to then is not in `asks`; left out where everything is. */
  asksSince?: number;
  /** What was asked in Linear before this was stopped or withdrawn; by Linear's clock, left out before the first stop. */
  stoppedAt?: number;
  /** The latest time that Linear gave for anything, by its clock. */
  linearNow?: number;
  /** How much later its last events arrived, see linear-clock.ts; left out before. */
  lags?: number[];
  /** A request whose thread has not arrived yet. */
  expectedThread: ExpectedThread | null;
  /** Others of that kind, which come after it, oldest first; left out before the first. */
  alsoExpected?: ExpectedThread[];
  /** What Claude is to be told along with the next prompt, oldest first. */
  context: ContextItem[];
  /** What was brought in within the hour that it names; left out before that was counted. */
  intake?: Intake;
  /**
   * When the issue was completed, canceled, archived or removed, or Cyrus lost access to it, in ms since the epoch; null or left out: it
   * is open, as far as is known. Asking again opens it.
   */
  overAt?: number | null;
  /** When it was first found that the files on the sandbox server are to be deleted, in ms since the epoch; left out: they were not yet. */
  purgeDueAt?: number;
  /** Who changed the wishes in the issue's description since this session is there, oldest first; left out: nobody. */
  wishEdits?: WishEdit[];
  /** When an edit of the issue is told to Claude in the middle of a turn, as this prompt, unless another edit follows it. */
  editDue?: { id: string; first: number; at: number } | null;
  /** Comments that came as prompts, newest last: told again beside the thread, they are no news. */
  heard?: string[];
  /** Words of prompts whose comments Linear did not name, newest last: the same. */
  heardWords?: Said[];
  /** When Linear showed the issue as it is known; left out before that changed. */
  issueAt?: number;
  phase: PhaseState;
  /** What Claude's process of this generation asked while something else was asked or saved; oldest first. */
  openQuestions?: { generation: number; about: OpenQuestion }[];
  /** The questions that were closed last, newest last; left out before the first. */
  closedQuestions?: ClosedQuestion[];
  /** Life of the sandbox in which Claude was last started; left out before. */
  claudeSince?: number;
  /** Claude's API does not take this conversation any more: people may have a new one begun. */
  offersFresh?: boolean;
  /** Commands that run in the background of a sandbox that has nothing else to do; left out where there are none. */
  background?: Background | null;
  /** A stop came while a turn was saved: what still runs in the background when that is done is ended too. */
  backgroundStop?: BackgroundStop | null;
  /** What people allowed for good; left out before the first. */
  grants?: Grant[];
  /** Fingerprints of contents that run at the git host and that people let be pushed, the newest last. Left out before the first. */
  allowedPushes?: string[];
  /** The last push that the gateway held back, with the diff that it made; left out before the first. */
  heldPush?: HeldPush;
  /** Requests for the next turn, oldest first. */
  queue: Request[];
  /** Requests that were closed last, newest last; left out before the first. */
  closed?: readonly ClosedRequest[];
  turns: number;
  sandbox: SandboxState;
  /** Null or left out: there is none. */
  checkpoint?: CheckpointNote | null;
  /** What Claude's tools did in this turn, newest last; left out before the first turn. */
  calls?: readonly RecentCall[];
  reader: ReaderState;
  /** Cyrus was uninstalled: nothing may be said in Linear until somebody asks again. */
  isMuted: boolean;
  narration: NarrationState;
  plan: PlanState;
  model: string | null;
  /** The limit of the plan that was last reported. */
  limit: KnownLimit | null;
  /** The windows of Claude's limits as last heard of. */
  windows?: Window[];
  /** Trouble with the Claude account that somebody has to see to. */
  alert?: string | null;
  /** Sum over the finished turns, and what the running one has used so far. */
  usage: Usage;
  turnUsage: Usage;
  costUsd: number | null;
  lastOutcome: TurnOutcome | null;
  failedEffects: number;
  /** What Claude's share folder held at the last save. */
  shared?: SharedFile[];
  /** Every push of this session was noted; left out for one that began before pushes were. */
  notesPushes?: true;
  /** The branch that the issue itself names as base; left out: the repository's settings say, as they are now. */
  baseWish?: string | null;
  /** The place that names it; left out: not known. */
  baseWishBy?: 'issue' | 'comment';
  /** Author of its commits; left out before the first start. */
  author?: { name: string; email: string };
  /** Left out before anything was proposed. */
  proposal?: Proposal;
  /** What is awaited of its pull request on GitHub; left out before there was one. */
  following?: Following;
  /** Since when the sandbox owes the word that all work of the last turn is saved; null or left out: it does not. */
  saveDue?: number | null;
  /** How many turns had begun when the decoy credential was caught last; left out before. */
  alarm?: number;
  /** Grows with every change; lets readers drop older copies. */
  revision: number;
  createdAt: number;
  updatedAt: number;
  /** When people or Claude did something last, in ms since the epoch; null or left out: at `updatedAt`. */
  activeAt?: number | null;
}

export const noUsage: Usage = { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheCreationTokens: 0 };

/** The state before anything happened. */
export function initialState(about: {
  id: string;
  workspaceId: string;
  origin: string;
  issue: Issue | null;
  branch: string;
  conversationId: string;
  now: number;
}): SessionState {
  const { now, ...identity } = about;
  return {
    version: 1,
    ...identity,
    repository: null,
    baseBranch: null,
    arrangement: null,
    agentSessions: {},
    expectedThread: null,
    context: [],
    phase: { name: 'waiting', since: now },
    queue: [],
    turns: 0,
    sandbox: { generation: 0, streamId: null, cursor: 0, heardAt: now },
    reader: initialReaderState,
    isMuted: false,
    narration: initialNarration,
    plan: initialPlan,
    model: null,
    limit: null,
    usage: noUsage,
    turnUsage: noUsage,
    costUsd: null,
    lastOutcome: null,
    failedEffects: 0,
    notesPushes: true,
    revision: 0,
    createdAt: now,
    updatedAt: now,
  };
}

/** What is known of a thread; undefined for one in which nothing was said yet. */
export function threadKnown({ agentSessions }: Pick<SessionState, 'agentSessions'>, id: string): Thread | undefined {
  return ownValue(agentSessions, id);
}

/** Sum of two usages. */
export function addUsage(a: Usage, b: Usage): Usage {
  return {
    inputTokens: a.inputTokens + b.inputTokens,
    outputTokens: a.outputTokens + b.outputTokens,
    cacheReadTokens: a.cacheReadTokens + b.cacheReadTokens,
    cacheCreationTokens: a.cacheCreationTokens + b.cacheCreationTokens,
  };
}
