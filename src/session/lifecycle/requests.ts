/**
 * The life of a request (pure): who asked what, when, in which thread, and how far it has come. A request lies in exactly one
 * place, among a turn's, in the queue for the next turn, or among the closed ones, and moves only by these functions:
 *
 *     received → handed-over → read → answered | stopped | withdrawn | refused | failed
 *
 * `handed-over` means that the sandbox was told to give it to Claude's process, `read` that Claude has it in its
 * conversation. A process that dies forgets what it had not read: that goes back to `received`, and is handed over again
 * under another id, since the sandbox and the CLI take no id twice.
 */
import type { Person } from './model/directives.ts';

export type OpenStage = 'received' | 'handed-over' | 'read';
export type Closing = 'answered' | 'stopped' | 'withdrawn' | 'refused' | 'failed';

/** Something that Claude is to answer, or that goes into its conversation beside what was asked. Times in ms since the epoch. */
export interface Request {
  /** The id under which it was handed over last. */
  promptId: string;
  /** The id under which it was asked, where it was handed over under another since. */
  of?: string;
  /** The thread that is owed the answer; null where no thread asked. */
  agentSessionId: string | null;
  /** Who asked; left out for the live page, whose password gives the right to, and for what Cyrus itself tells Claude. */
  person?: Person;
  /** When it was asked, by Linear's clock where it came from there; left out by older versions. */
  askedAt?: number;
  /** Left out by older versions: see `stageOf`. */
  stage?: OpenStage;
  /** Number of the turn under which it was handed over last. */
  turn?: number;
  /** The sandbox has had it under this id and gave it back unread. */
  returned?: boolean;
  /** A stop that concerns it was sent, and is not confirmed yet. */
  halted?: boolean;
  /** No result names it: a process that had read it is gone, and what goes on with that work answers for it; or a tool took it. */
  inherited?: boolean;
  /** No request of its own: Cyrus asks to go on after a loss, or people answer a question. A later one takes its place. */
  aside?: boolean;
  /** An aside that holds what people said: it is handed over again as a request is. */
  carries?: boolean;
  /** It begins a conversation that has to be told what was done in the one before. */
  recap?: boolean;
  /** Older versions, in the queue: whether it was handed over. */
  delivered?: boolean;
}

/** What became of a request. */
export interface ClosedRequest {
  id: string;
  agentSessionId: string | null;
  askedAt: number | null;
  closedAt: number;
  how: Closing;
}

/** Closed requests that are remembered. */
const MAX_CLOSED = 30;

/** The state of an open request; total, also for what older versions stored. */
export function stageOf({ stage, inherited, delivered }: Request): OpenStage {
  if (inherited) return 'read';
  return stage ?? (delivered === false ? 'received' : 'handed-over');
}

/** Whether Claude's process may have it: it was handed over, read or not. */
export function isAtClaude(request: Request): boolean {
  return stageOf(request) !== 'received';
}

/** The id under which people asked. */
export function idOf({ of, promptId }: Request): string {
  return of ?? promptId;
}

/** Whether a request was asked no later than `at`. @param at ms since the epoch; null: just now, which covers everything */
export function isAskedBy({ askedAt }: Pick<Request, 'askedAt'>, at: number | null): boolean {
  return at === null || askedAt === undefined || askedAt <= at;
}

/** A request of people, or a change of the issue: not what Cyrus or an answer adds to a turn. */
export function isOwn({ aside }: Request): boolean {
  return aside !== true;
}

/** @param turn number under which it is handed over; the sandbox drops it after a stop of that turn */
export function handedOver(request: Request, turn: number): Request {
  const { returned: _, delivered: _old, inherited: _read, ...rest } = request;
  return { ...rest, stage: 'handed-over', turn };
}

/** Claude has it in its conversation. */
export function read(request: Request): Request {
  const { returned: _, delivered: _old, ...rest } = request;
  return { ...rest, stage: 'read' };
}

/** It is in the conversation, and the process that read it is gone. */
export function inherited(request: Request): Request {
  return { ...read(request), inherited: true };
}

/** The process or the sandbox that had it is gone, and never read it. @param returned whether its sandbox still knows the id */
export function unread(request: Request, returned: boolean): Request {
  const { delivered: _, inherited: _read, halted: _halt, ...rest } = request;
  return { ...rest, stage: 'received', ...(returned && { returned: true }) };
}

/** A request under another id, for a sandbox that takes no id twice. */
export function underId(request: Request, promptId: string): Request {
  return { ...request, of: idOf(request), promptId };
}

/** Adds closed requests to those that are remembered, newest last. What was no request of its own is left out. */
export function withClosed(
  closed: readonly ClosedRequest[],
  requests: readonly Request[],
  how: Closing,
  closedAt: number,
): ClosedRequest[] {
  const more = requests.filter(isOwn).map((request) => ({
    id: idOf(request),
    agentSessionId: request.agentSessionId,
    askedAt: request.askedAt ?? null,
    closedAt,
    how,
  }));
  return [...closed, ...more].slice(-MAX_CLOSED);
}

/** What a sandbox says of the prompts that an ended process of Claude's was given and had not answered; ids. */
export interface PromptsAtExit {
  /** In the conversation on its disk. */
  read: string[];
  /** Given to the process, or waiting for it, and gone with it. */
  unread: string[];
}

/**
 * The state of a request after Claude's process ended.
 * @param told null: a sandbox that does not say; then what `tellsReading` showed counts, or else all is taken for read
 */
export function afterExit(request: Request, told: PromptsAtExit | null, tellsReading: boolean): Request {
  if (!isAtClaude(request) || request.halted) return request;
  if (told?.unread.includes(request.promptId)) return unread(request, true);
  if (request.inherited) return request;
  if (told) return told.read.includes(request.promptId) ? inherited(request) : request;
  return tellsReading && stageOf(request) !== 'read' ? unread(request, true) : inherited(request);
}

/** The state of a request after its sandbox was lost with its disk. @param known ids in the conversation that is restored */
export function afterLoss(request: Request, known: ReadonlySet<string>): Request {
  if (!isAtClaude(request) || request.halted) return request;
  if (known.has(request.promptId)) return inherited(request);
  return request.aside && request.inherited ? request : unread(request, false);
}
