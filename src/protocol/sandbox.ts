/**
 * What crosses the boundary between an issue session and its sandbox.
 *
 * Plain HTTP both ways, idempotent both ways. The issue session sends a start (`PUT /sessions/:id`) and commands
 * (`POST /sessions/:id/commands`) with ids of its own; the sandbox numbers everything that happens, keeps it on disk
 * until acknowledged, and posts it in batches (`POST {gateway}/events`). All times are milliseconds since the epoch.
 */
import * as z from 'zod';
import { checkpointManifestSchema } from './checkpoint.ts';
import { MAX_SHARED_FILES, sharedFileSchema } from './files.ts';
import { MAX_MCP_SERVERS, sandboxMcpServerSchema } from './settings/mcp.ts';
import { roleSchema } from './settings/repository.ts';
import { cutWhole } from './text/sendable-text.ts';
import { protocolSchema } from './version.ts';

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

/** Longest template for pull requests that is filled in, in UTF-16 code units. */
export const MAX_PULL_REQUEST_TEMPLATE = 16 * 1024;

/** Tools of the CLI that make sense without a terminal, a person beside it, or a life beyond the turn. */
export const SANDBOX_TOOLS = {
  looking: [
    'AskUserQuestion',
    'Task',
    'Read',
    'Glob',
    'Grep',
    'WebFetch',
    'WebSearch',
    'TaskCreate',
    'TaskGet',
    'TaskList',
    'TaskUpdate',
  ],
  editing: ['Edit', 'Write', 'NotebookEdit'],
  running: ['Bash', 'TaskStop'],
};

const time = z.number().int().nonnegative();
const uuid = z.uuid();

/**
 * Which of the offered tools are used without asking, as rules of the CLI. `ask` goes before `allow`. `others`, what
 * neither names: `allow` runs it, `ask` asks people (`can_use_tool`), `refuse` lets the sandbox say no. The CLI
 * lets commands pass that it knows to change nothing, unless `ask` names them.
 */
export const permissionsSchema = z.object({
  allow: z.array(z.string().min(1)),
  ask: z.array(z.string().min(1)),
  others: z.enum(['allow', 'ask', 'refuse']),
});
export type Permissions = z.infer<typeof permissionsSchema>;

/** What people decide about a tool that asks; the message is for Claude. */
export const decisionSchema = z.discriminatedUnion('allowed', [
  z.object({ allowed: z.literal(true) }),
  z.object({ allowed: z.literal(false), message: z.string().min(1) }),
]);
export type Decision = z.infer<typeof decisionSchema>;

/** How the CLI authenticates towards the gateway; decides which environment variable carries the session token. */
export const claudeCredentialSchema = z.enum(['subscription', 'api-key']);
export type ClaudeCredential = z.infer<typeof claudeCredentialSchema>;

/** Body of `PUT /sessions/:id`. A second start of the same generation is the same session and changes nothing but the token. */
export const startSessionSchema = z.object({
  /** Version of the protocol that the Worker speaks; see version.ts. */
  protocol: protocolSchema,
  /** Life number given by the issue session; a higher one supersedes every earlier incarnation of this session. */
  generation: z.number().int().positive(),
  /** Numbering of events that the issue session has seen of this generation: a sandbox without it answers 410 `lost`. */
  knows: uuid.optional(),
  /** Work of an earlier incarnation, which this one takes up; without a disk that holds it. */
  restore: checkpointManifestSchema.optional(),
  /** Turn whose work is in `restore` and was not saved: it is saved once it is restored. */
  saveTurn: z.number().int().positive().optional(),
  gateway: z.object({
    /** Base address, without trailing slash; `/events`, `/patch/…`, `/anthropic` and `/git/…` lie under it. */
    url: z.url(),
    /** Signed, expiring, session-bound token. It is no credential for anything but the gateway. */
    token: z.string().min(1),
  }),
  repository: z.object({
    /** `owner/name`; the clone address is `{gateway.url}/git/{fullName}.git`. */
    fullName: z.string().regex(/^(?!\.)[\w.-]+(\/(?!\.)[\w.-]+)+$/),
    /**
     * Digest of the workspace and the clone address behind the name: what a sandbox server keeps of a repository is for those
     * alone that have the same. Left out by a Worker before this was known.
     */
    identity: z
      .string()
      .regex(/^[0-9a-f]{64}$/)
      .optional(),
    baseBranch: z.string().min(1),
    /** The one branch this session may push. */
    branch: z.string().min(1),
    /**
     * Commit that the session last put onto its branch; null: nothing yet, so that a branch of that name is somebody else's.
     * Left out by a Worker that does not know: what is there is taken for the session's.
     */
    pushed: z.string().nullable().optional(),
    /**
     * The state of the session's pull request: `head`, the commit that it proposes, or proposed last; `base`, what it is merged into.
     * Left out if there is none, or that is not known.
     */
    pullRequest: z
      .object({
        number: z.number().int().positive(),
        state: z.enum(['open', 'closed', 'merged']),
        head: z.string(),
        base: z.string(),
      })
      .optional(),
    /** Nothing is ever pushed for the session: it only looks. Left out: its work is pushed, or the Worker does not say. */
    readOnly: z.boolean().optional(),
  }),
  claude: z.object({
    credential: claudeCredentialSchema,
    model: z.string().min(1),
    /** Taken by the CLI where Claude's API is overloaded. */
    fallbackModel: z.string().min(1).optional(),
    /** The gateway gives up on a request without an answer, and on a pause in one, after so many seconds; the CLI a little later. */
    answerSeconds: z.number().int().positive().default(300),
    stallSeconds: z.number().int().positive().default(120),
    /** Which of the repository's own prompts are for Claude, besides those for every role. */
    role: roleSchema.optional(),
    /** Names of the CLI's tools; left out: everything that makes sense in a sandbox. */
    tools: z
      .array(z.string().regex(/^[\w-]+$/))
      .min(1)
      .optional(),
    /** Left out: nothing is asked. */
    permissions: permissionsSchema.optional(),
    /** MCP servers besides the CLI's own tools; left out: none. */
    mcpServers: z.array(sandboxMcpServerSchema).max(MAX_MCP_SERVERS).optional(),
    /** Claude's own session id (`--session-id`, later `--resume`): one conversation for the life of the issue session. */
    conversationId: uuid,
    /** Appended to Claude's system prompt, after the repository's CLAUDE.md. */
    systemPrompt: z.string(),
  }),
  /**
   * A variable for the environment of Claude and the setup script that looks like a credential and opens nothing: the gateway
   * ends the session when it meets it in a request.
   */
  decoy: z.object({ name: z.string().regex(/^[A-Z][A-Z_]*$/), value: z.string().min(1) }).optional(),
  /**
   * The issue session knows results after which a turn continues (`line.goesOn`) and `work-ended`. Left out by older ones: for them every
   * result ends a turn.
   */
  waitsForHelpers: z.boolean().optional(),
  /** Author and committer of commits made in the sandbox. */
  author: z.object({ name: z.string().min(1), email: z.string().min(1) }),
  /**
   * How commits are made. `message`: of the commit that holds what Claude left uncommitted, `{{branch}}` in it being the branch;
   * `trailers`: last lines of every message; `issue`: the identifier that a message may name; `hooks`: the repository's commit hooks
   * run. Left out by older Workers.
   */
  commits: z
    .object({
      message: z.string().min(1),
      trailers: z.array(z.string()).default([]),
      issue: z.string().nullable().default(null),
      hooks: z.boolean().default(false),
    })
    .optional(),
  /** Setup scripts that an admin set, in their order; they run before the repository's optional `cyrus-setup.sh`. */
  setupScripts: z
    .array(z.object({ of: z.enum(['workspace', 'repository']), script: z.string().min(1) }))
    .max(2)
    .optional(),
  /** Seconds that each setup script may take. */
  setupTimeoutSeconds: z.number().int().positive().default(600),
});
export type StartSession = z.infer<typeof startSessionSchema>;

/** Answer to `PUT /sessions/:id` and `GET /sessions/:id`. */
export const sandboxStatusSchema = z.object({
  /** Version of the protocol that the server speaks. */
  protocol: protocolSchema,
  sessionId: z.string(),
  generation: z.number().int().positive(),
  /** New for each life of the server process. */
  bootId: uuid,
  /** New for each numbering of events; the same across restarts of the server on the same disk. */
  streamId: uuid,
  /** Last number given to an event. */
  lastSeq: z.number().int().nonnegative(),
  /** One that a newer server has is work of some kind. */
  state: z.enum(['preparing', 'ready', 'working', 'failed', 'closed']).catch('working'),
});
export type SandboxStatus = z.infer<typeof sandboxStatusSchema>;

/**
 * Body of `POST /sessions/:id/commands`. The same id sent twice is carried out once.
 * - `prompt`: a user message; written to the CLI at once, also mid-turn. Its id is the message's uuid.
 * - `answer`: to a question of Claude's (`can_use_tool` of AskUserQuestion); refused with 409 if it is not open any more.
 * - `decide`: on a tool that asks to be let run (`can_use_tool` of any other tool); refused with 409 likewise. It runs with the
 *   input it asked with, or is told the message.
 * - `stop`: interrupt, then end the CLI's whole process tree; what was done is saved, and a `saved` event always closes
 *   the stop, also when nothing ran. It concerns its turn and earlier ones: their prompts are dropped when they arrive
 *   later, and the work of a later turn continues undisturbed.
 */
export const sandboxCommandSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('prompt'), id: uuid, turn: z.number().int().positive(), text: z.string().min(1) }),
  z.object({
    type: z.literal('answer'),
    id: uuid,
    requestId: z.string().min(1),
    /** The tool's input, completed by the answers, as the CLI wants it back. */
    input: z.record(z.string(), z.unknown()),
  }),
  z.object({
    type: z.literal('decide'),
    id: uuid,
    requestId: z.string().min(1),
    decision: decisionSchema,
  }),
  z.object({ type: z.literal('stop'), id: uuid, turn: z.number().int().nonnegative() }),
]);
export type SandboxCommand = z.infer<typeof sandboxCommandSchema>;

/** Preparations, in their order. `mirror` = clone or fetch, `worktree` = checkout, `restore` = taking up a checkpoint, `setup` = the setup scripts, `claude` = CLI start. */
export const sandboxStepSchema = z.enum(['mirror', 'worktree', 'restore', 'setup', 'claude', 'save']);
export type SandboxStep = z.infer<typeof sandboxStepSchema>;

/** Longest words for people in an event, longest piece of output, and longest text of an event that cannot be read, in UTF-16 code units. */
const MAX_WORDS = 16 * 1024;
const MAX_OUTPUT = 256 * 1024;
const MAX_UNREADABLE = 16 * 1024;

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

const numbered = { seq: z.number().int().positive(), at: time };

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
    /** Commands in the background that ended with it, as text for users; left out where there were none. */
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
    /** What the share folder holds and the gateway has, at `{gateway}/shared/{hash}`; left out where it holds nothing. */
    shared: z.array(sharedFileSchema).max(MAX_SHARED_FILES).optional(),
    /** The repository's template for pull requests; left out where it has none, or nothing was pushed. */
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
  const at = time.safeParse(known.data.at);
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
