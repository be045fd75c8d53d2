/** What an admin may set for a repository: which issues go to it, who may ask, and how Claude works on it. */
import * as z from 'zod';
import { globSchema } from '../../lib/glob.ts';
import { accessRulesSchema, setupScriptSchema } from './access-rules.ts';
import { branchTemplateSchema, DEFAULT_BRANCH_TEMPLATE } from './branch-template.ts';
import { commitSettingsSchema } from './commit-settings.ts';
import { defaultEgress, egressSchema } from './egress.ts';
import { instanceSizeSchema, sandboxChoiceSchema } from './placement.ts';
import { workflowPathSchema } from './workflow-paths.ts';

/** Roles that a label can give Claude. */
export const roleSchema = z.enum(['builder', 'debugger', 'scoper', 'reviewer']);
export type Role = z.infer<typeof roleSchema>;

/** How much Claude thinks before it acts, as the CLI's `--effort` has it (`claude --help`, 2.1.330). */
export const effortSchema = z.enum(['low', 'medium', 'high', 'xhigh', 'max']);
export type Effort = z.infer<typeof effortSchema>;

/**
 * A rule on tools as the CLI writes it: a tool's name (`WebFetch`), or a name with what it is called with
 * (`Bash(npm publish:*)`, `WebFetch(domain:example.com)`; docs: code.claude.com/docs/en/iam).
 */
export const toolRuleSchema = z
  .string()
  .trim()
  .max(500)
  .regex(/^[A-Za-z][\w.-]*(\([^\n\r]+\))?$/, 'a tool\'s name, or one with a pattern, e.g. "Bash(npm publish:*)"')
  // The CLI has no dots in names: an MCP server's `notes.read` is its `mcp__server__notes_read`.
  .transform((rule) => rule.replace(/^[^(]+/, (name) => name.replaceAll('.', '_')));

/**
 * Tools Claude may use: a preset, or a list of the CLI's tools.
 * - `readOnly` looks and searches; nothing else is offered
 * - `safe` also edits files of the worktree, and asks people before each command
 * - `all` is everything a sandbox offers, without asking
 * - a list: these are used without asking; `otherTools` says what becomes of the rest
 */
export const toolChoiceSchema = z.union([z.enum(['readOnly', 'safe', 'all']), z.array(toolRuleSchema).min(1)]);
export type ToolChoice = z.infer<typeof toolChoiceSchema>;

/** How much of the work is told in Linear: `quiet` only results, `normal` also actions, `verbose` also every thought. */
export const verbositySchema = z.enum(['quiet', 'normal', 'verbose']);
export type Verbosity = z.infer<typeof verbositySchema>;

/**
 * The pull request that a turn ends in. Templates name in double braces: `identifier`, `title`, `summary` (Claude's
 * answer), `issue` and `session` (links), `branch`, `closes` ("Fixes ENG-1", where `closesIssue` is on).
 */
export const pullRequestSettingsSchema = z.object({
  /** `draft`: opened as draft where the host has drafts; `off`: the branch is pushed, and that is all. */
  mode: z.enum(['ready', 'draft', 'off']).default('ready'),
  /** Linear links a pull request whose title has the issue's key. */
  titleTemplate: z.string().trim().min(1).max(250).default('{{identifier}}: {{title}}'),
  /** The generated part of the body; what people write around it is kept. */
  bodyTemplate: z.string().max(10_000).default('{{summary}}\n\n---\n\n{{closes}}\n\nIssue: {{issue}} · {{session}}'),
  /** Merging closes the issue in Linear. */
  closesIssue: z.boolean().default(true),
  /** `answer`: Claude works on what people write in reviews, and answers each thread; `ignore`: it is not told of them. */
  reviews: z.enum(['answer', 'ignore']).default('answer'),
  /**
   * What becomes of a check that fails: nothing, it is said in Linear, or Claude repairs it by itself, three times a commit and ten times a
   * pull request at most.
   */
  checks: z.enum(['off', 'report', 'repair']).default('report'),
  /** Who people on GitHub are, for the rules on who may ask: a login, and the email or the Linear id. */
  people: z.record(z.string().trim().min(1).max(100), z.string().trim().min(1).max(200)).default({}),
  /** Logins of bots whose reviews count like those of people: `coderabbitai[bot]`. */
  bots: z.array(z.string().trim().min(1).max(100)).max(50).default([]),
  /** `hold`: a push that changes what runs on the git host waits until a person has allowed these changes. */
  workflows: z.enum(['allow', 'hold']).default('allow'),
  /** What runs there besides the files that CI services read. */
  workflowPaths: z.array(workflowPathSchema).max(50).default([]),
});

const names = z.array(z.string().trim().min(1)).default([]);

export const repositorySettingsSchema = z.object({
  /** Where its sandboxes run; left out: as the deployment says (`SANDBOX`). A change counts from the next start. */
  sandbox: sandboxChoiceSchema.optional(),
  /** How large its containers are. */
  instance: instanceSizeSchema.default('standard'),
  /** Which hosts its containers may reach besides the gateway. */
  egress: egressSchema.default(defaultEgress),
  /** Names of labels and projects, keys or names of teams, whose issues go to this repository; compared without case. */
  labels: names,
  projects: names,
  teams: names,
  /** Takes what no other rule sends elsewhere. */
  isDefault: z.boolean().default(false),
  /** Who may ask, after what is set for the workspace. */
  ...accessRulesSchema.shape,
  /** Overrides what the role gives. */
  tools: toolChoiceSchema.optional(),
  /** Where `tools` is a list, the tools that are not in it: kept from Claude, or asked for each time. */
  otherTools: z.enum(['withhold', 'ask']).default('withhold'),
  /** People are asked before Claude uses these, whatever else allows it. Known by the call's words, so it is no wall. */
  askFirst: z.array(toolRuleSchema).max(100).default([]),
  model: z.string().trim().min(1).optional(),
  effort: effortSchema.optional(),
  /** The same for one role; these win. */
  roleModels: z.partialRecord(roleSchema, z.string().trim().min(1)).default({}),
  roleEfforts: z.partialRecord(roleSchema, effortSchema).default({}),
  verbosity: verbositySchema.default('normal'),
  /** Labels that give a role, besides the usual ones. */
  roleLabels: z.partialRecord(roleSchema, names).default({}),
  /** Added to what Claude is told, for every role or for one. */
  instructions: z.string().max(20_000).default(''),
  roleInstructions: z.partialRecord(roleSchema, z.string().max(20_000)).default({}),
  /** Name of a session's branch, decided at its first start; see branch-template.ts. */
  branchTemplate: branchTemplateSchema.default(DEFAULT_BRANCH_TEMPLATE),
  /**
   * Patterns (lib/glob.ts) of the branches that people may have work start from, besides the base branch. Left out: those that GitHub
   * protects; on other hosts none.
   */
  baseBranches: z.array(globSchema).max(50).optional(),
  commits: commitSettingsSchema.prefault({}),
  pullRequest: pullRequestSettingsSchema.prefault({}),
  /** Run with bash in each new worktree, after the workspace's script and before the repository's own `cyrus-setup.sh`. */
  setupScript: setupScriptSchema.optional(),
  /** How long each of them may take; 600 if nothing is set. */
  setupTimeoutSeconds: z.number().int().min(1).max(3_600).optional(),
});
export type RepositorySettings = z.infer<typeof repositorySettingsSchema>;

/** The settings of a repository for which nothing was set. */
export const defaultSettings: RepositorySettings = repositorySettingsSchema.parse({});
