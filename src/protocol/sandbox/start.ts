/** The start of a session in a sandbox: what the issue session sends with `PUT /sessions/:id`, and what the sandbox server answers. */
import * as z from 'zod';
import { checkpointManifestSchema } from '../checkpoint.ts';
import { MAX_MCP_SERVERS, sandboxMcpServerSchema } from '../settings/mcp.ts';
import { effortSchema, roleSchema } from '../settings/repository.ts';
import { protocolSchema } from '../version.ts';

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
    /** How much Claude thinks (`--effort`); left out: as the model does by itself. */
    effort: effortSchema.optional(),
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
