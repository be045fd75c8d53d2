/** What a sandbox reports: each event has a number, and is kept on its disk until the issue session has it. */
import * as z from 'zod';
import { MAX_SHARED_FILES, sharedFileSchema } from '../files.ts';
import { cutWhole } from '../text/sendable-text.ts';

/** Longest template for pull requests that is filled in, in UTF-16 code units. */
export const MAX_PULL_REQUEST_TEMPLATE = 16 * 1024;

/** Preparations, in their order. `mirror` = clone or fetch, `worktree` = checkout, `restore` = taking up a checkpoint, `setup` = the setup scripts, `claude` = CLI start. */
export const sandboxStepSchema = z.enum(['mirror', 'worktree', 'restore', 'setup', 'claude', 'save']);
export type SandboxStep = z.infer<typeof sandboxStepSchema>;

/** Longest words for people in an event, longest piece of output, and longest text of an event that cannot be read, in UTF-16 code units. */
const MAX_WORDS = 16 * 1024;
const MAX_OUTPUT = 256 * 1024;
export const MAX_UNREADABLE = 16 * 1024;

/** Text that people are shown: what is longer is cut where it enters, for the rest of the event has to get through. */
function shown(max: number) {
  return z.string().transform((text) => cutWhole(text, max));
}

/** A list of which as many as are shown are kept. */
function few<Item extends z.ZodType>(item: Item, max: number) {
  return z.array(item).transform((items) => items.slice(0, max));
}

/** ms; nothing that is told lasts longer than ten years. */
const duration = z
  .number()
  .nonnegative()
  .transform((ms) => Math.min(ms, 315_360_000_000));

export const changedFileSchema = z.object({
  path: shown(4_096),
  /** Lines added and removed; null for a binary file. */
  additions: z.number().int().nonnegative().nullable(),
  deletions: z.number().int().nonnegative().nullable(),
});
export type ChangedFile = z.infer<typeof changedFileSchema>;

export const commitSchema = z.object({ sha: shown(100), subject: shown(1_000) });
export type Commit = z.infer<typeof commitSchema>;

/** Commands in the background, as text for users, and after how many ms without a prompt they are ended. */
export const backgroundSchema = z.object({ commands: few(shown(1_000), 100), endAfterMs: duration });
export type Background = z.infer<typeof backgroundSchema>;

const time = z.number().int().nonnegative();
/** What every event has: its number, and its time in ms since the epoch by the sandbox's clock. */
export const numbered = { seq: z.number().int().positive(), at: time };

/** Everything a sandbox reports. `line` carries the CLI's raw stdout line, untouched. */
export const sandboxEventSchema = z.discriminatedUnion('type', [
  z.object({
    ...numbered,
    type: z.literal('step'),
    step: sandboxStepSchema,
    status: z.enum(['started', 'done']),
    /** One line for people, e.g. "20 commits fetched". */
    detail: shown(2_000).optional(),
    durationMs: duration.optional(),
    /** It is done and did not succeed, as `detail` says; the work goes on all the same. Left out by earlier versions. */
    failed: z.literal(true).optional(),
    /** The step cannot go on before this passes, for people: what is waited for. An older Worker shows the detail alone. */
    waitsFor: shown(2_000).optional(),
  }),
  /** The worktree is ready and the CLI may be prompted. */
  z.object({
    ...numbered,
    type: z.literal('ready'),
    branch: shown(500),
    /** Commit the branch was at when the session was prepared. */
    baseCommit: shown(100),
    worktree: shown(4_096),
    /** True when an earlier conversation is being continued. */
    resumed: z.boolean(),
  }),
  /** `goesOn`: a result that does not end the turn, because helpers of Claude's are still at work. Left out by older servers. */
  z.object({ ...numbered, type: z.literal('line'), line: z.string(), goesOn: z.boolean().optional() }),
  /** A turn that went on after a result is over, and no other result comes. Only if the start says `waitsForHelpers`. */
  z.object({ ...numbered, type: z.literal('work-ended') }),
  z.object({ ...numbered, type: z.literal('stderr'), text: shown(MAX_OUTPUT) }),
  z.object({ ...numbered, type: z.literal('setup-output'), text: shown(MAX_OUTPUT) }),
  z.object({ ...numbered, type: z.literal('cli-started'), pid: z.number().int(), resumed: z.boolean() }),
  z.object({
    ...numbered,
    type: z.literal('cli-exited'),
    code: z.number().int().nullable(),
    signal: shown(100).nullable(),
    /** True when a turn was open: the issue session must not wait for its result. */
    duringTurn: z.boolean(),
    /** Why, where the driver knows: it was stopped, it idled out, it went silent. */
    cause: z.enum(['idle', 'stop', 'silent', 'crash']),
    /** Highest turn of the prompts it had not answered, or of the stop; left out if there is none. */
    turn: z.number().int().nonnegative().optional(),
    /**
     * What became of the prompts it had not answered, by their ids: `read` are in the conversation on this disk, `unread`
     * are gone with it, or were dropped by the stop. Those that wait for the next process are in neither.
     */
    prompts: z.object({ read: few(shown(100), 1_000), unread: few(shown(100), 1_000) }).optional(),
    /** Commands in the background that ended with it, as text for users; left out if there were none. */
    background: few(shown(1_000), 100).optional(),
  }),
  /** After each turn: what Claude left uncommitted is committed, the branch pushed, the patch stored. */
  z.object({
    ...numbered,
    type: z.literal('saved'),
    turn: z.number().int().positive(),
    /** Number of the last event before the work that is saved had ended: its result, or the end of its process. */
    after: z.number().int().nonnegative().optional(),
    branch: shown(500),
    head: shown(100),
    /** Commits of the branch that the base branch does not have, newest first, at most 50. */
    commits: few(commitSchema, 50),
    /** Files changed against the base, at most 300. */
    files: few(changedFileSchema, 300),
    /** Commits made since the last `saved`. */
    newCommits: z.number().int().nonnegative(),
    pushed: z.boolean(),
    /** Size of the patch at `{gateway}/patch/{head}`; null when the branch changes nothing or the patch could not be stored. */
    patchBytes: z.number().int().nonnegative().nullable(),
    /** What the share folder holds and the gateway has, at `{gateway}/shared/{hash}`; left out if it holds nothing. */
    shared: z.array(sharedFileSchema).max(MAX_SHARED_FILES).optional(),
    /** The repository's template for pull requests; left out if it has none, or nothing was pushed. */
    pullRequestTemplate: z.string().max(MAX_PULL_REQUEST_TEMPLATE).optional().catch(undefined),
    /** What runs in the background; left out if nothing does. */
    background: backgroundSchema.optional(),
    /** A save that was reported before, e.g. because the push had failed, is repeated: it ends no turn. */
    again: z.boolean().optional(),
    /** What went wrong (e.g. the push was refused), as text for users. */
    problem: shown(MAX_WORDS).optional(),
  }),
  /** Something people should know, in one line. */
  z.object({ ...numbered, type: z.literal('notice'), text: shown(MAX_WORDS) }),
  /** Made by the Worker of an event that it cannot read: `of` is its type, `raw` its text. No sandbox sends it. */
  z.object({
    ...numbered,
    type: z.literal('unreadable'),
    of: shown(100),
    raw: shown(MAX_UNREADABLE),
    why: shown(1_000),
  }),
  /** The session cannot go on; preparations end here. */
  z.object({
    ...numbered,
    type: z.literal('failed'),
    step: sandboxStepSchema,
    message: shown(MAX_WORDS),
    /** What a person can do about it. */
    hint: shown(MAX_WORDS),
  }),
]);
export type SandboxEvent = z.infer<typeof sandboxEventSchema>;
export type SandboxEventBody = SandboxEvent extends infer E
  ? E extends SandboxEvent
    ? Omit<E, 'seq' | 'at'>
    : never
  : never;
