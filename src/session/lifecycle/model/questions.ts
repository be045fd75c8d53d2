/** What people are asked: which repository it is, what Claude asks by a tool, and what a tool needs permission for. */

/** Which repository is it? Nothing runs until that is known. */
export interface RepositoryQuestion {
  kind: 'repository';
  /** Left out by earlier versions, which named it by the time at which it was asked. */
  id?: string;
  options: string[];
  /** What is asked, if it is not which repository this is about. */
  question?: string;
}

/** What Claude asks by its tool AskUserQuestion, one question after the other. */
export interface ClaudeQuestion {
  kind: 'claude';
  requestId: string;
  input: Record<string, unknown>;
  questions: ClaudeQuestionPart[];
  /** Of earlier versions, by the question's text; `replies` is what counts. */
  answers: Record<string, string>;
  /** The answer to each question, in their order; null: none yet. Left out by earlier versions. */
  replies?: (string | null)[];
  /** When the open question was asked; left out by earlier versions. */
  askedAt?: number;
  /** What people said to something that was asked before, and that did not reach Claude; for Claude. Left out: nothing. */
  before?: string;
  /** The tool waits in a running sandbox; otherwise the answer begins a new one. */
  isLive: boolean;
}

/** One of several questions that Claude asks with one call. */
export interface ClaudeQuestionPart {
  question: string;
  options: string[];
  /** What each option means; null where Claude does not say. Left out where it says so of none. */
  descriptions?: (string | null)[];
  /** Several options may be chosen. */
  multiSelect?: boolean;
}

/** A tool asks to be let run. */
export interface PermissionQuestion {
  kind: 'permission';
  requestId: string;
  /** What it would do, in one line: "run a command". */
  title: string;
  /** What exactly it would run or write, in visible characters; at most `MAX_SHOWN` of them, of a push all. */
  shown: string;
  /** Its whole length, where `shown` is cut. */
  cutFrom: number | null;
  /** What the CLI gives as its reason. */
  why: string | null;
  /** What "for this session" allows; null where it is too long to be shown whole. */
  grant: { key: string; words: string } | null;
  /** Fingerprint of the whole call; left out by earlier versions. */
  call?: string;
  /** What was said to it and is neither a yes nor a no; left out before. */
  unclear?: string;
  /** It is a push of what runs on the git host: the gateway's fingerprint of these contents. */
  push?: string;
}

/** A question that was open and is closed. Times in ms since the epoch. */
export interface ClosedQuestion {
  id: string;
  askedAt: number;
  closedAt: number;
  /** Who answered it, in words; null if nobody did. */
  by: string | null;
  /** Agent sessions in which it was asked. */
  threads: string[];
}

/** What Claude's process asks people. */
export type OpenQuestion = ClaudeQuestion | PermissionQuestion;

/** Allowed for the whole session, or once more where the process that asked was lost. */
export interface Grant {
  repository: string | null;
  key: string;
  once: boolean;
}

/** Whether a process of Claude's waits for the answer. */
export function isLive(about: RepositoryQuestion | OpenQuestion): boolean {
  return about.kind === 'permission' || (about.kind === 'claude' && about.isLive);
}
