/**
 * What crosses the WebSocket between an issue session and a viewer, and the view of a session that pages show.
 *
 * A viewer connects to `/api/sessions/:id/live?after=N&protocol=P` with the last number it has and its protocol version. It is sent one `hello`, the entries
 * after N in order, and then what happens. Streamed text travels once: as deltas; the finished block then arrives as a
 * `seal` that names the block instead of repeating it. Who missed a delta sees it by the offset and reconnects.
 * A message holds one frame or several, each a line of JSON. The client sends nothing but the text `ping`, answered
 * `pong` by the platform without waking the object.
 */
import * as z from 'zod';
import { journalEntrySchema, turnOutcomeSchema, usageSchema } from './journal.ts';
import { pullSummarySchema } from './pull-request.ts';
import { protocolSchema } from './version.ts';

const time = z.number().int().nonnegative();

/**
 * What a session is doing, in one word.
 * `waiting` nothing was asked yet or the next prompt is awaited; `starting` the sandbox is prepared; `working` Claude
 * works; `asking` a person has to answer before it continues; `saving` the result is committed and pushed; `stopping` a stop
 * was asked for and not yet confirmed; `queued` too many sessions of the workspace are at work; `parked` a limit of Claude's is
 * used up, and it continues by itself.
 */
export const phaseSchema = z.enum([
  'waiting',
  'queued',
  'starting',
  'working',
  'asking',
  'parked',
  'saving',
  'stopping',
]);
export type Phase = z.infer<typeof phaseSchema>;

/** An option of a question. An answer names its id, for labels may look like one another's place. */
export const choiceSchema = z.object({ id: z.string(), label: z.string(), description: z.string().nullish() });

/** What people are asked while a session is `asking`. An answer names its id, and the options' ids or words of its own. */
export const askedSchema = z.object({
  /** New for each question. */
  id: z.string(),
  text: z.string(),
  /** What exactly a tool would run, where one asks to be let run; visible characters alone. */
  call: z.string().nullable(),
  /** `call` is a diff. */
  isDiff: z.boolean().optional(),
  /** What there is to know before one answers. */
  note: z.string(),
  /** Labels of the options, for pages that do not know `choices`. */
  options: z.array(z.string()),
  /** The options; left out by earlier versions. */
  choices: z.array(choiceSchema).optional(),
  /** Several options may be chosen. */
  multiSelect: z.boolean().optional(),
  /** When it is denied without an answer; null if it stays open. */
  until: time.nullable(),
});
export type Asked = z.infer<typeof askedSchema>;

/** A step of Claude's plan. A state that only a newer server has is shown as one that is still to come. */
export const planStepSchema = z.object({
  content: z.string(),
  status: z.enum(['pending', 'inProgress', 'completed', 'canceled']).catch('pending'),
});
export type PlanStep = z.infer<typeof planStepSchema>;

export const sessionViewSchema = z.object({
  id: z.string(),
  issue: z.object({ identifier: z.string(), title: z.string(), url: z.string() }).nullable(),
  workspaceName: z.string(),
  repository: z.string().nullable(),
  branch: z.string().nullable(),
  /** Directory Claude works in: paths are shown relative to it. Left out before it is known, and by earlier versions. */
  cwd: z.string().optional(),
  /**
   * The newest pull request of the branch; left out before there is one. `seen`: what GitHub said of it last, to somebody who
   * looked; left out before, and since it was changed.
   */
  pullRequest: z
    .object({
      number: z.number().int().positive(),
      url: z.string(),
      draft: z.boolean(),
      seen: pullSummarySchema.optional(),
    })
    .nullish(),
  /** One that only a newer server has is work of some kind. */
  phase: phaseSchema.catch('working'),
  /** Why it is in this phase, in plain words, e.g. "Cloning acme/shop". */
  reason: z.string(),
  phaseSince: time,
  asked: askedSchema.nullable().default(null),
  /** Number of the current or last turn; 0 before the first. */
  turn: z.number().int().nonnegative(),
  /** Start of the current turn; null between turns. */
  turnStartedAt: time.nullable(),
  lastOutcome: turnOutcomeSchema.nullable(),
  model: z.string().nullable(),
  /** Sum over all turns. */
  usage: usageSchema,
  costUsd: z.number().nullable(),
  /** True where a scripted model answers instead of Claude. */
  scriptedModel: z.boolean(),
  /** Windows of Claude's limits: `5h`, `7d`, …; how much of each is used, 0 to 1, and when it is reset. */
  windows: z
    .array(z.object({ name: z.string(), utilization: z.number().nullable(), resetsAt: time.nullable() }))
    .optional(),
  /** Trouble with the Claude account that the operator has to see to. */
  alert: z.string().optional(),
  /** Why nothing can be asked of this session for now, where this version cannot go on with it. */
  readOnly: z.string().optional(),
  /** Claude's plan, in its order; left out if there is none, and by earlier versions. */
  plan: z.array(planStepSchema).optional(),
  /** Commands that run on in the background although the turn is over; left out if there are none. */
  background: z.array(z.string()).optional(),
  /** Effects that were given up. */
  failedEffects: z.number().int().nonnegative(),
  createdAt: time,
  updatedAt: time,
});
export type SessionView = z.infer<typeof sessionViewSchema>;

export const blockKindSchema = z.enum(['text', 'thinking', 'tool-call']);

/** A block that is being streamed. For a tool call `text` is empty and `name` set: its input follows as an entry. */
export const openBlockSchema = z.object({
  block: z.string(),
  kind: blockKindSchema,
  turn: z.number().int().nonnegative(),
  text: z.string(),
  name: z.string().optional(),
  parentToolUseId: z.string().optional(),
});
export type OpenBlock = z.infer<typeof openBlockSchema>;

/** Frames from the issue session to a viewer. Names of the frequent `delta` are short: they are most of the bytes. */
export const viewerFrameSchema = z.discriminatedUnion('t', [
  /**
   * First frame of every connection, and again when the object has forgotten what it was streaming. `head` is the last
   * number of the journal; `open` the blocks being streamed.
   */
  z.object({
    t: z.literal('hello'),
    /** Version of the protocol that the Worker speaks; see version.ts. */
    protocol: protocolSchema,
    session: sessionViewSchema,
    head: z.number().int().nonnegative(),
    open: z.array(openBlockSchema),
  }),
  /** Finished entries, consecutive and in order. */
  z.object({ t: z.literal('entries'), entries: z.array(journalEntrySchema) }),
  /** A block began to stream. */
  z.object({ t: z.literal('open'), open: openBlockSchema }),
  /** Text `x` of block `b`, at offset `o` (UTF-16 code units). */
  z.object({ t: z.literal('d'), b: z.string(), o: z.number().int().nonnegative(), x: z.string() }),
  /** Block `b` is finished: it is the entry `entry` with its text, `length` code units long, as streamed. */
  z.object({
    t: z.literal('seal'),
    b: z.string(),
    length: z.number().int().nonnegative(),
    entry: z.object({
      seq: z.number().int().positive(),
      at: time,
      turn: z.number().int().nonnegative(),
      kind: z.enum(['text', 'thinking']),
      parentToolUseId: z.string().optional(),
    }),
  }),
  /** Streaming of these blocks ended without a seal: their entry follows whole (always so for a tool call), or none does. */
  z.object({ t: z.literal('drop'), blocks: z.array(z.string()) }),
  /** The header changed. */
  z.object({ t: z.literal('session'), session: sessionViewSchema }),
]);
export type ViewerFrame = z.infer<typeof viewerFrameSchema>;

/** Close codes of the live socket. 4404: no such session; a client does not try again. */
export const CLOSE_NO_SUCH_SESSION = 4404;
/** 4401: nobody is signed in, or not any more; a client does not try again. */
export const CLOSE_SIGNED_OUT = 4401;
/** 4100: there is more than one connection carries at once; a client connects again after the last entry it has. */
export const CLOSE_MORE = 4100;
/** 4426: page and Worker are of versions that do not work together; the reason names both. */
export const CLOSE_PROTOCOL = 4426;

/** A pull request in the list: as GitHub described it last. */
export const listedPullSchema = z.object({
  number: z.number().int().positive(),
  url: z.string(),
  ...pullSummarySchema.shape,
});

/** A row of the list at `/`. */
export const sessionRowSchema = z.object({
  id: z.string(),
  identifier: z.string().nullable(),
  title: z.string(),
  url: z.string().nullable(),
  repository: z.string().nullable(),
  phase: phaseSchema.catch('working'),
  reason: z.string(),
  lastOutcome: turnOutcomeSchema.nullable(),
  turn: z.number().int(),
  /** The newest pull request, as far as is known; null if there is none, left out by earlier versions. */
  pullRequest: listedPullSchema.nullish(),
  createdAt: time,
  updatedAt: time,
});
export type SessionRow = z.infer<typeof sessionRowSchema>;
