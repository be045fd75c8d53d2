/** Takes in what a sandbox reports: its events, and its checkpoints. */
import { closedFor, type Standing } from '../../gateway/openings.ts';
import { asError } from '../../lib/error.ts';
import type { LogEvent, LogFields } from '../../observability/log.ts';
import type { CheckpointManifest } from '../../protocol/checkpoint.ts';
import { asUnreadable, type EventBatch } from '../../protocol/sandbox/batches.ts';
import { plausibleTime } from '../lifecycle/model/clock-time.ts';
import { isSilenceTrouble } from '../lifecycle/model/deadlines.ts';
import { fence } from '../lifecycle/reduce.ts';
import type { SessionEngine } from '../storage/session-engine.ts';
import type { StoredCheckpoint } from '../storage/stored-checkpoint.ts';
import type { Ingested, NotedCheckpoint } from './delivery.ts';

const NO_SESSION = 'there is no such session';

/** What was counted in this hour, and how much it may be. */
export interface Counted {
  stored?: number;
  mostBytes: number;
}

/** What taking in a batch needs of its session. */
export interface BatchTaker {
  engine: SessionEngine;
  /** The state of the session, for a token of this life of the sandbox. */
  standing: Standing;
  counted: Counted;
  /** Whether somebody watches. */
  isWatched: boolean;
  log(event: LogEvent, fields: LogFields): void;
}

/** Answers when the events are durable. @throws what the storage throws, if not even an event that tells of it can be stored */
export function takeBatch(taker: BatchTaker, batch: EventBatch): Ingested {
  const { engine } = taker;
  const { state } = engine;
  const closed = closedFor('report', taker.standing, []);
  if (closed || !state) return { kind: 'superseded', message: closed?.message ?? NO_SESSION };
  const refusal = fence(state, batch);
  if (refusal) return { kind: 'superseded', message: refusal.message };
  takeEvents(taker, batch);
  const now = engine.state ?? state;
  return { kind: 'stored', stored: now.sandbox.cursor, watched: taker.isWatched, isAwaited: isSilenceTrouble(now) };
}

/** One event that cannot be taken in, whatever is wrong with it, keeps neither those after it nor the turn from going on. */
function takeEvents({ engine, counted, log }: BatchTaker, batch: EventBatch): void {
  const take = (events: EventBatch['events'], more?: Counted) =>
    engine.commit(() =>
      engine.state
        ? { state: engine.state, event: { type: 'sandbox-reported', batch: { ...batch, events }, ...more } }
        : null,
    );
  try {
    take(batch.events, counted);
  } catch (error) {
    log('session.batch.failed', { events: batch.events.length, error: asError(error) });
    if (batch.events.length === 0) throw error;
    for (const event of batch.events) {
      try {
        take([event]);
      } catch (reason) {
        log('session.event.failed', { type: event.type, error: asError(reason) });
        take([asUnreadable(event, asError(reason).message)]);
      }
    }
  }
}

/** What taking in a checkpoint needs of its session. */
export interface CheckpointTaker extends Pick<BatchTaker, 'engine' | 'standing'> {
  checkpoint: StoredCheckpoint;
}

/** From now on another sandbox goes on from this checkpoint; its objects are stored. @param now ms since the epoch */
export function takeCheckpoint(taker: CheckpointTaker, manifest: CheckpointManifest, now: number): NotedCheckpoint {
  const { engine, checkpoint: stored } = taker;
  const { state } = engine;
  const closed = closedFor('checkpoint', taker.standing, []);
  if (closed || !state) return { kind: 'superseded', message: closed?.message ?? NO_SESSION };
  const { generation, sequence, eventSeq, prompts } = manifest;
  const at = plausibleTime(manifest.at, now);
  if (generation !== state.sandbox.generation || manifest.conversationId !== state.conversationId) {
    return { kind: 'superseded', message: 'a newer generation of this session has taken over' };
  }
  const before = stored.get();
  if (before?.generation === generation && before.sequence >= sequence) {
    return { kind: 'stale', sequence: before.sequence };
  }
  // What it comprises has to be in the journal, or Claude would remember what nobody can read.
  if (eventSeq > state.sandbox.cursor) return { kind: 'superseded', message: 'events before it are missing' };
  engine.commit(() => {
    stored.put(manifest);
    return { state, event: { type: 'checkpointed', checkpoint: { generation, sequence, at, eventSeq, prompts } } };
  });
  return { kind: 'noted', before };
}
