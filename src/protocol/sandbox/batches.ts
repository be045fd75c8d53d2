/** How events travel: batches of them, what is answered or refused, and what becomes of an event that the Worker cannot read. */
import * as z from 'zod';
import { cutWhole } from '../text/sendable-text.ts';
import { protocolSchema } from '../version.ts';
import { MAX_UNREADABLE, numbered, type SandboxEvent, sandboxEventSchema } from './events.ts';

/** Largest number of events a sandbox puts into one batch. */
export const MAX_BATCH_EVENTS = 500;
/** Size, in bytes of JSON, past which a sandbox closes a batch (a single larger event still travels alone). */
export const MAX_BATCH_BYTES = 1024 * 1024;
/** Longest time the sandbox holds an event back to let others join its batch, while somebody watches. */
export const BATCH_FLUSH_MS = 15;
/** The same while nobody does. */
export const UNWATCHED_FLUSH_MS = 1_000;
/** How often a sandbox with a turn in progress posts an empty batch, so that silence means trouble. */
export const HEARTBEAT_MS = 10_000;

const uuid = z.uuid();

/** Body of `POST {gateway}/events`. An empty batch is a heartbeat. Events are consecutive. */
export const eventBatchSchema = z.object({
  /** Version of the protocol that the server speaks. */
  protocol: protocolSchema,
  generation: z.number().int().positive(),
  bootId: uuid,
  streamId: uuid,
  events: z.array(sandboxEventSchema).max(MAX_BATCH_EVENTS),
});
export type EventBatch = z.infer<typeof eventBatchSchema>;

/**
 * Reads a batch. An event that has a number and is not understood, of a type that is not known here or with content that
 * does not fit, becomes `unreadable`: what comes after it has to get through.
 * @returns the batch; or why it is none
 */
export function readEventBatch(value: unknown): { ok: true; batch: EventBatch } | { ok: false; why: string } {
  const parsed = eventBatchSchema.safeParse(value);
  if (parsed.success) return { ok: true, batch: parsed.data };
  const events = z.object({ events: z.array(z.unknown()) }).safeParse(value);
  if (!events.success) return { ok: false, why: z.prettifyError(parsed.error) };
  const lenient = { ...(value as object), events: events.data.events.map(readEvent) };
  const again = eventBatchSchema.safeParse(lenient);
  return again.success ? { ok: true, batch: again.data } : { ok: false, why: z.prettifyError(again.error) };
}

function readEvent(event: unknown): unknown {
  const parsed = sandboxEventSchema.safeParse(event);
  if (parsed.success && parsed.data.type !== 'unreadable') return event;
  const known = z.looseObject({ seq: numbered.seq, type: z.string().max(100).catch('unknown') }).safeParse(event);
  if (!known.success) return event;
  const at = numbered.at.safeParse(known.data.at);
  const why = parsed.success ? 'no sandbox sends it' : cutWhole(z.prettifyError(parsed.error), 500);
  const raw = cutWhole(JSON.stringify(event) ?? '', MAX_UNREADABLE);
  return { type: 'unreadable', seq: known.data.seq, at: at.success ? at.data : 0, of: known.data.type, raw, why };
}

/** What of an event that could not be taken in is kept. */
export function asUnreadable(event: SandboxEvent, why: string): SandboxEvent {
  const { seq, at, type } = event;
  return { type: 'unreadable', seq, at, of: type, raw: cutWhole(JSON.stringify(event), MAX_UNREADABLE), why };
}

/**
 * 200: everything up to `stored` is durable; go on from `stored + 1`. `watched`: whether somebody watches the session, so
 * that events should come at once; left out by the first version, which wants them so always.
 */
export const eventBatchAnswerSchema = z.object({
  stored: z.number().int().nonnegative(),
  watched: z.boolean().optional(),
  protocol: protocolSchema,
});
export type EventBatchAnswer = z.infer<typeof eventBatchAnswerSchema>;

/** 409: this life of the session is over (a later generation or another disk took over). Stop the CLI and post no more. */
export const supersededAnswerSchema = z.object({ error: z.literal('superseded'), message: z.string() });

/** Every other refusal of the sandbox server and the gateway's own routes. */
export const refusalSchema = z.object({ error: z.string(), message: z.string() });
export type Refusal = z.infer<typeof refusalSchema>;
