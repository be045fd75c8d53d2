/**
 * The journal: the append-only, numbered log of an issue session. The live page, Linear's activities and the R2 log
 * all derive from it. Times are milliseconds since the epoch; `turn` is 0 for what happens outside of any turn.
 */
import * as z from 'zod';
import { sharedFileSchema } from './files.ts';
import { backgroundSchema, changedFileSchema, commitSchema, sandboxStepSchema } from './sandbox/events.ts';

const time = z.number().int().nonnegative();

/** Text longer than this is cut when it enters the journal; `truncatedFrom` then holds its original length. */
export const MAX_ENTRY_TEXT = 64 * 1024;

export const usageSchema = z.object({
  inputTokens: z.number().nonnegative(),
  outputTokens: z.number().nonnegative(),
  cacheReadTokens: z.number().nonnegative(),
  cacheCreationTokens: z.number().nonnegative(),
});
export type Usage = z.infer<typeof usageSchema>;

/** One hunk of a file edit, as the CLI reports it (`structuredPatch`): lines carry their ` `, `+` or `-`. */
export const hunkSchema = z.object({
  oldStart: z.number().int(),
  oldLines: z.number().int(),
  newStart: z.number().int(),
  newLines: z.number().int(),
  lines: z.array(z.string()),
});
export type Hunk = z.infer<typeof hunkSchema>;

/** Set on what a subagent said or did: the id of the tool call that started it. */
const parent = { parentToolUseId: z.string().optional() };
const truncated = { truncatedFrom: z.number().int().optional() };

export const turnOutcomeSchema = z.enum(['completed', 'stopped', 'failed']);
export type TurnOutcome = z.infer<typeof turnOutcomeSchema>;

/** The meaning of an entry, without its number, time and turn. */
export const journalBodySchema = z.discriminatedUnion('kind', [
  // People
  z.object({
    kind: z.literal('prompt'),
    promptId: z.string(),
    agentSessionId: z.string().nullable(),
    author: z.string().nullable(),
    source: z.enum(['delegation', 'mention', 'comment', 'page']),
    text: z.string(),
    ...truncated,
  }),
  z.object({
    kind: z.literal('stop-requested'),
    author: z.string().nullable(),
    source: z.enum(['comment', 'page']),
    /** Id of the stop, which is that of the message where a message's words ask for it; left out by earlier versions. */
    promptId: z.string().optional(),
  }),

  // Sandbox
  z.object({
    kind: z.literal('step'),
    step: sandboxStepSchema,
    status: z.enum(['started', 'done']),
    detail: z.string().optional(),
    durationMs: z.number().optional(),
    /** It is done and did not succeed, as `detail` says. Earlier versions left it out. */
    failed: z.literal(true).optional(),
  }),
  z.object({ kind: z.literal('output'), source: z.enum(['setup', 'stderr']), text: z.string(), ...truncated }),

  // Turn
  z.object({ kind: z.literal('turn-started'), promptIds: z.array(z.string()) }),
  z.object({
    kind: z.literal('claude-started'),
    model: z.string(),
    version: z.string(),
    cwd: z.string(),
    tools: z.array(z.string()),
    mcpServers: z.array(z.object({ name: z.string(), status: z.string() })),
  }),
  z.object({
    kind: z.literal('turn-ended'),
    outcome: turnOutcomeSchema,
    /** Plain words for people: what Claude answered, or why it ended. Never a CLI diagnostic. */
    text: z.string(),
    /** Machine-readable cause, e.g. `completed`, `aborted_tools`, `usage_limit_reached`, `sandbox_lost`. */
    reason: z.string(),
    durationMs: z.number().nonnegative(),
    usage: usageSchema.nullable(),
    costUsd: z.number().nullable(),
    numTurns: z.number().nullable(),
    ...truncated,
  }),
  z.object({
    kind: z.literal('saved'),
    branch: z.string(),
    head: z.string(),
    commits: z.array(commitSchema),
    files: z.array(changedFileSchema),
    newCommits: z.number(),
    pushed: z.boolean(),
    patchBytes: z.number().nullable(),
    /** What runs in the background; left out if nothing does. */
    background: backgroundSchema.optional(),
    /** Files that Claude shared so far; left out if there are none. */
    shared: z.array(sharedFileSchema).optional(),
    problem: z.string().optional(),
  }),

  /**
   * What became of the branch's pull request. `pending`: not there yet when the turn ended, and tried on; `failed`: given
   * up, `problem` says why and what to do. Number and address are null for these two.
   */
  z.object({
    kind: z.literal('pull-request'),
    state: z.enum(['opened', 'updated', 'pending', 'failed']),
    number: z.number().int().positive().nullable(),
    url: z.string().nullable(),
    draft: z.boolean(),
    problem: z.string().optional(),
  }),
  /** Where the branch is shown: the host has no pull requests that Cyrus can open, or none are wanted. */
  z.object({ kind: z.literal('branch-link'), branch: z.string(), url: z.string() }),

  // Claude's stream
  z.object({ kind: z.literal('text'), text: z.string(), ...parent, ...truncated }),
  z.object({ kind: z.literal('thinking'), text: z.string(), ...parent, ...truncated }),
  z.object({
    kind: z.literal('tool-call'),
    toolUseId: z.string(),
    name: z.string(),
    input: z.unknown(),
    ...parent,
    ...truncated,
  }),
  z.object({
    kind: z.literal('tool-result'),
    toolUseId: z.string(),
    text: z.string(),
    isError: z.boolean(),
    /** Present for file edits. */
    edit: z.object({ path: z.string(), hunks: z.array(hunkSchema), created: z.boolean() }).optional(),
    ...parent,
    ...truncated,
  }),
  /** The result line as Claude gave it; the lifecycle turns it into `turn-ended` once the work is saved. */
  z.object({
    kind: z.literal('result'),
    isError: z.boolean(),
    terminalReason: z.string(),
    apiError: z.string().nullable(),
    text: z.string(),
    promptIds: z.array(z.string()),
    durationMs: z.number(),
    usage: usageSchema.nullable(),
    costUsd: z.number().nullable(),
    numTurns: z.number().nullable(),
    deniedTools: z.array(z.string()),
    ...truncated,
  }),
  z.object({
    kind: z.literal('retry'),
    attempt: z.number(),
    maxAttempts: z.number(),
    delayMs: z.number(),
    httpStatus: z.number().nullable(),
    error: z.string(),
  }),
  z.object({
    kind: z.literal('rate-limit'),
    status: z.string(),
    limit: z.string(),
    /** Milliseconds since the epoch; null if Claude did not say. */
    resetsAt: time.nullable(),
    /** Share used, 0 to 1, where known. */
    utilization: z.number().nullable(),
    /** Claude's API served the request beyond the plan, for money; left out: it did not. */
    beyondPlan: z.literal(true).optional(),
    /** Every window that was told of. Times in ms since the epoch. */
    windows: z
      .array(
        z.object({
          name: z.string(),
          utilization: z.number().nullable(),
          resetsAt: time.nullable(),
          status: z.string().nullable(),
        }),
      )
      .optional(),
  }),
  z.object({ kind: z.literal('model-changed'), from: z.string(), to: z.string(), reason: z.string() }),
  z.object({
    kind: z.literal('permission-denied'),
    toolUseId: z.string().nullable(),
    name: z.string(),
    message: z.string(),
  }),
  z.object({
    kind: z.literal('compaction'),
    trigger: z.string(),
    tokensBefore: z.number().nullable(),
    tokensAfter: z.number().nullable(),
  }),
  /** A subagent or a background command began, moved on or ended. */
  z.object({
    kind: z.literal('task'),
    taskId: z.string(),
    status: z.string(),
    description: z.string(),
    toolUseId: z.string().nullable(),
  }),
  /** Claude asks its host something (permission, question); answered by the control protocol. */
  z.object({
    kind: z.literal('question'),
    requestId: z.string(),
    name: z.string(),
    input: z.unknown(),
    status: z.enum(['asked', 'withdrawn']),
    /** Present where a tool asks to be let run; `why`: the CLI's reason, where it gives one in words. */
    permission: z.object({ why: z.string().nullable() }).optional(),
    ...truncated,
  }),
  /** Anything worth a line for people that has no kind of its own. */
  z.object({
    kind: z.literal('notice'),
    level: z.enum(['info', 'warning', 'error']),
    text: z.string(),
    /** It tells that the turn began to wait for a slot of the workspace, or got one; left out otherwise, and by earlier versions. */
    slot: z.enum(['awaited', 'free']).optional().catch(undefined),
    ...truncated,
  }),
  /** An effect was given up: what was to be done outside, how often it was tried, why it failed. */
  z.object({ kind: z.literal('effect-failed'), effect: z.string(), attempts: z.number(), error: z.string() }),
  /** A line of a type this version does not know. Kept whole, shown as such. */
  z.object({ kind: z.literal('unknown'), type: z.string(), raw: z.string(), ...truncated }),
]);
export type JournalBody = z.infer<typeof journalBodySchema>;
export type JournalKind = JournalBody['kind'];

const envelope = z.object({ seq: z.number().int().positive(), at: time, turn: z.number().int().nonnegative() });

/** One numbered entry. */
export const journalEntrySchema = z.intersection(envelope, journalBodySchema);
export type JournalEntry = z.infer<typeof envelope> & JournalBody;
