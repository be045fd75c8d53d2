/**
 * The configuration of cyrusagents (`~/.cyrus/config.json`), and what of it is a setting here (pure).
 * Source: packages/core/src/config-schemas.ts of github.com/ceedaragents/cyrus.
 */
import * as z from 'zod';
import {
  type RepositorySettings,
  type Role,
  repositorySettingsSchema,
  toolRuleSchema,
} from '../../src/protocol/settings/repository.ts';

const user = z.union([z.string(), z.object({ id: z.string() }), z.object({ email: z.string() })]);
const accessSchema = z.looseObject({ allowedUsers: z.array(user).optional(), blockedUsers: z.array(user).optional() });
type Access = z.infer<typeof accessSchema>;
const labelPromptSchema = z.union([z.array(z.string()), z.looseObject({ labels: z.array(z.string()) })]);

const repositorySchema = z.looseObject({
  id: z.string().optional(),
  name: z.string(),
  baseBranch: z.string(),
  githubUrl: z.string().optional(),
  linearWorkspaceId: z.string().optional(),
  teamKeys: z.array(z.string()).optional(),
  routingLabels: z.array(z.string()).optional(),
  projectKeys: z.array(z.string()).optional(),
  isActive: z.boolean().optional(),
  allowedTools: z.array(z.string()).optional(),
  disallowedTools: z.array(z.string()).optional(),
  appendInstruction: z.string().optional(),
  model: z.string().optional(),
  labelPrompts: z.record(z.string(), labelPromptSchema).optional(),
  userAccessControl: accessSchema.optional(),
});
type TheirRepository = z.infer<typeof repositorySchema>;

export const theirConfigSchema = z.looseObject({
  repositories: z.array(repositorySchema),
  claudeDefaultModel: z.string().optional(),
  defaultModel: z.string().optional(),
  defaultAllowedTools: z.array(z.string()).optional(),
  defaultDisallowedTools: z.array(z.string()).optional(),
  userAccessControl: accessSchema.optional(),
});
export type TheirConfig = z.infer<typeof theirConfigSchema>;

/** One repository as it is to be here. */
export interface Planned {
  /** Linear's organization id; null: the file does not say. */
  workspaceId: string | null;
  /** `owner/name` */
  fullName: string;
  cloneUrl: string;
  baseBranch: string;
  settings: Partial<RepositorySettings>;
}

export interface ImportPlan {
  repositories: Planned[];
  /** What does not map, each as a sentence that says what to do. No value of a secret. */
  notes: string[];
}

/** Fields that say how cyrusagents itself runs, or that are taken from elsewhere here: nothing is lost without them. */
const NOT_NEEDED = new Set([
  ...['id', 'repositoryPath', 'workspaceBaseDir', 'linearToken', 'linearRefreshToken', 'linearWorkspaceName'],
  ...['linearWorkspaces', 'linearWorkspaceSlug', 'ngrokAuthToken', 'stripeCustomerId', 'issueUpdateTrigger'],
  ...['useSkillBasedWorkflow'],
]);

/** What to do about fields that have no setting of the same meaning. */
const ADVICE: Readonly<Record<string, string>> = {
  promptTemplatePath: 'there are no prompt templates; put what matters into --instructions or a CLAUDE.md',
  mcpConfigPath: 'add each server by npm run repositories -- mcp add',
  fallbackModel: 'set CLAUDE_OVERLOAD_FALLBACKS for the deployment',
  claudeDefaultFallbackModel: 'set CLAUDE_OVERLOAD_FALLBACKS for the deployment',
  defaultFallbackModel: 'set CLAUDE_OVERLOAD_FALLBACKS for the deployment',
  global_setup_script:
    'npm run repositories -- workspace set --setting setupScript="$(cat FILE)", if it can run in a sandbox',
  promptDefaults: 'tools are set for a repository, not for a role; the roles scoper and reviewer look on only',
  defaultRunner: 'Claude Code is the only agent here',
  geminiDefaultModel: 'Claude Code is the only agent here',
  codexDefaultModel: 'Claude Code is the only agent here',
};
const ROLES: readonly Role[] = ['builder', 'debugger', 'scoper'];

/** @param config as the schema has read it */
export function planImport(config: TheirConfig): ImportPlan {
  const notes: string[] = [];
  const known = new Set(Object.keys(theirConfigSchema.shape));
  notes.push(...unmapped(config, known, 'The file'));
  const model = config.claudeDefaultModel ?? config.defaultModel;
  if (model !== undefined)
    notes.push(
      `The default model is a setting of the deployment: npm run settings -- set CLAUDE_MODEL ${plain(model)}`,
    );
  const repositories = config.repositories.flatMap((one) => planOne(one, config, notes) ?? []);
  const names = new Map<string, number>();
  for (const { workspaceId, fullName } of repositories) {
    const key = `${workspaceId} ${fullName.toLowerCase()}`;
    names.set(key, (names.get(key) ?? 0) + 1);
    if (names.get(key) === 2) notes.push(`${fullName} is in the file more than once: only the first is taken.`);
  }
  const seen = new Set<string>();
  return {
    repositories: repositories.filter(({ workspaceId, fullName }) => {
      const key = `${workspaceId} ${fullName.toLowerCase()}`;
      return !seen.has(key) && seen.add(key);
    }),
    notes,
  };
}

/** @returns null: it is not taken; the notes say why */
function planOne(theirs: TheirRepository, config: TheirConfig, notes: string[]): Planned | null {
  const { name } = theirs;
  const where = `${plain(name)}:`;
  if (theirs.isActive === false) {
    notes.push(`${where} is switched off (isActive) and is not taken.`);
    return null;
  }
  const address = addressOf(theirs.githubUrl);
  if (address === null) {
    notes.push(
      `${where} has no githubUrl that is an https address: add it by npm run repositories -- add OWNER/NAME --clone-url ADDRESS`,
    );
    return null;
  }
  const access = accessOf(theirs.userAccessControl, config.userAccessControl);
  if (access === null) {
    notes.push(
      `${where} allows nobody (allowedUsers is empty). Here an empty list allows everybody, so it is not taken: add it with --allow-user.`,
    );
    return null;
  }
  notes.push(...unmapped(theirs, new Set(Object.keys(repositorySchema.shape)), where));
  const settings: Partial<RepositorySettings> = {
    ...list('teams', theirs.teamKeys),
    ...list('labels', theirs.routingLabels),
    ...list('projects', theirs.projectKeys),
    ...access,
    ...(theirs.model !== undefined && { model: theirs.model }),
    ...(theirs.appendInstruction !== undefined && { instructions: theirs.appendInstruction }),
    ...toolsOf(theirs, config, where, notes),
    ...rolesOf(theirs, where, notes),
  };
  const checked = repositorySettingsSchema.safeParse(settings);
  if (!checked.success) {
    notes.push(
      `${where} is not taken, since a value does not fit: ${z.prettifyError(checked.error).replace(/\s+/g, ' ')}`,
    );
    return null;
  }
  return { workspaceId: theirs.linearWorkspaceId ?? null, ...address, baseBranch: theirs.baseBranch, settings };
}

/** `https://github.com/acme/shop`, also with `.git` at its end. */
function addressOf(url: string | undefined): { fullName: string; cloneUrl: string } | null {
  const found = /^(https:\/\/[\w.-]+(?::\d+)?)\/([\w.-]+(?:\/[\w.-]+)+)$/.exec(
    (url ?? '').replace(/\/$/, '').replace(/\.git$/, ''),
  );
  const [, host, fullName] = found ?? [];
  return host === undefined || fullName === undefined ? null : { fullName, cloneUrl: `${host}/${fullName}.git` };
}

/** The repository's own list of allowed people goes before the common one; who is blocked anywhere is blocked. Null: nobody is allowed. */
function accessOf(own: Access | undefined, common: Access | undefined) {
  const allowed = (own?.allowedUsers ?? common?.allowedUsers)?.map(nameOf);
  if (allowed?.every((name) => name.trim() === '')) return null;
  const blocked = [...(common?.blockedUsers ?? []), ...(own?.blockedUsers ?? [])];
  return {
    ...list('allowedUsers', allowed),
    ...list('blockedUsers', [...new Set(blocked.map(nameOf))]),
  };
}

function nameOf(one: z.infer<typeof user>): string {
  if (typeof one === 'string') return one;
  return 'id' in one ? one.id : one.email;
}

function toolsOf(
  theirs: TheirRepository,
  config: TheirConfig,
  where: string,
  notes: string[],
): Partial<RepositorySettings> {
  const allowed = theirs.allowedTools ?? config.defaultAllowedTools;
  const withheld = [...(config.defaultDisallowedTools ?? []), ...(theirs.disallowedTools ?? [])];
  if (allowed === undefined) {
    if (withheld.length > 0) {
      notes.push(
        `${where} keeps ${named(withheld)} from Claude. Here tools are a list of those that are allowed (--tools), or people are asked first (--ask-first).`,
      );
    }
    return {};
  }
  // A tool that is withheld as a whole is withheld in each of its calls.
  const rules = allowed.filter((rule) => !withheld.includes(rule) && !withheld.includes(rule.replace(/\(.*$/s, '')));
  const odd = rules.filter((rule) => !toolRuleSchema.safeParse(rule).success);
  if (odd.length > 0)
    notes.push(`${where} names tools that the CLI does not write so, and they are left out: ${named(odd)}`);
  const narrower = withheld.filter((rule) => rule.includes('('));
  if (narrower.length > 0)
    notes.push(
      `${where} keeps single calls from Claude: ${named(narrower)}. Here people are asked before such calls: --ask-first.`,
    );
  const tools = rules.filter((rule) => !odd.includes(rule));
  if (tools.length > 0) return { tools };
  notes.push(`${where} is left with no tool, so it gets read-only ones.`);
  return { tools: 'readOnly' };
}

function rolesOf({ labelPrompts = {} }: TheirRepository, where: string, notes: string[]): Partial<RepositorySettings> {
  const roleLabels: Partial<Record<Role, string[]>> = {};
  for (const [role, prompt] of Object.entries(labelPrompts)) {
    const labels = Array.isArray(prompt) ? prompt : prompt.labels;
    const known = ROLES.find((one) => one === role);
    if (known === undefined) {
      notes.push(
        `${where} has the role ${plain(role)} for ${named(labels)}, which is not there: such issues are worked on as any other.`,
      );
      continue;
    }
    roleLabels[known] = labels;
    const others = Array.isArray(prompt) ? [] : Object.keys(prompt).filter((field) => field !== 'labels');
    if (others.length > 0)
      notes.push(`${where} sets ${named(others)} for the role ${known}. ${ADVICE.promptDefaults?.replace(/^t/, 'T')}.`);
  }
  return Object.keys(roleLabels).length === 0 ? {} : { roleLabels };
}

function unmapped(about: object, known: ReadonlySet<string>, where: string): string[] {
  return Object.keys(about)
    .filter((field) => !known.has(field) && !NOT_NEEDED.has(field))
    .map((field) => {
      const advice = Object.hasOwn(ADVICE, field) ? ADVICE[field] : 'no setting here is known for it';
      return `${where} ${plain(field)} is not taken: ${advice}.`;
    });
}

function list<Name extends string>(name: Name, values: readonly string[] | undefined): Partial<Record<Name, string[]>> {
  const entries = values?.filter((one) => one.trim() !== '') ?? [];
  return entries.length === 0 ? {} : ({ [name]: entries } as Partial<Record<Name, string[]>>);
}

function named(words: readonly string[]): string {
  return words.map(plain).join(', ');
}

/** Text of the file on a line of a terminal. */
function plain(text: string): string {
  return text.replace(/[^\p{L}\p{N}\p{P}\p{S} ]/gu, '?').slice(0, 200);
}
