/** What an issue session is handed, and what it answers. */
import type { CheckpointManifest } from '../../protocol/checkpoint.ts';
import type { IssueNews } from '../lifecycle/issue-news.ts';
import type { SessionEvent } from '../lifecycle/model/events.ts';
import type { Issue } from '../lifecycle/model/state.ts';

/** What a route hands over. */
export interface Delivery {
  /** Unique for each delivery; a repeat bears it again. */
  deliveryId: string;
  /** The same for every delivery of the same content. */
  contentKey: string;
  /** Address of this deployment as the caller reached it. */
  origin: string;
  /** What a session that begins with this delivery is about; null for one that only an existing session takes. */
  about: { workspaceId: string; issue: Issue | null; fallbackName: string } | null;
  event: Exclude<
    SessionEvent,
    { type: 'sandbox-reported' | 'effect-done' | 'effect-failed' | 'effect-delayed' | 'deadline' }
  >;
  /** What Claude is given for a prompt: in a conversation that goes on, and as the very first words of one. */
  promptText?: { followUp: string; first: string };
  /** What it shows of the issue beside. */
  issueNews?: IssueNews;
}

/**
 * `read-only`: a newer version of Cyrus stored the session, and this one cannot take anything in; its thread is told. `closed`: it
 * answers a question that is not open any more, so it changed nothing; why, for people.
 */
export type Accepted = 'accepted' | 'duplicate' | 'no-such-session' | 'read-only' | { closed: string };
/** `watched`: somebody looks on. `isAwaited`: the sandbox has something to do, so that its silence would mean trouble. `read-only`: to be posted again later; nothing was taken in. */
export type Ingested =
  | { kind: 'stored'; stored: number; watched: boolean; isAwaited: boolean }
  | { kind: 'superseded'; message: string }
  | { kind: 'read-only'; message: string };

/** What became of a checkpoint: it counts from now on, instead of `before`; or a newer one does; or its life is over. */
export type NotedCheckpoint =
  | { kind: 'read-only'; message: string }
  | { kind: 'noted'; before: CheckpointManifest | null }
  | { kind: 'stale'; sequence: number }
  | { kind: 'superseded'; message: string };
