/** What labels make of Claude: the role, the model, the tools (pure). */

import { type Permissions, SANDBOX_TOOLS } from '../protocol/sandbox/start.ts';
import { type Effort, effortSchema, type RepositorySettings, type Role } from '../protocol/settings/repository.ts';
import { type RoleTools, toolAccess } from './tool-access.ts';

/** How Claude is to work on one issue. */
export interface Assignment {
  role: Role;
  /** Alias or full name of a model, for `--model`. */
  model: string;
  /** For `--effort`; left out: as the model does by itself. */
  effort?: Effort;
  /** Names of the CLI's tools, for `--tools`. */
  tools: string[];
  /** Which of them are used without asking; left out in what older versions stored: all. */
  permissions?: Permissions;
  /** What the role adds to the system prompt. */
  instructions: string;
}

const ROLES: Record<Role, { labels: string[]; tools: RoleTools; instructions: string }> = {
  builder: { labels: ['builder', 'feature', 'improvement'], tools: 'everything', instructions: '' },
  debugger: {
    labels: ['debugger', 'bug'],
    tools: 'everything',
    instructions: `Your role is debugger. First reproduce the fault, with a test that fails because of it. Then find the cause, not just the place
where it shows, and say what it is. Fix it with the smallest change that removes the cause, and show that the test passes.`,
  },
  scoper: {
    labels: ['scoper', 'prd', 'plan'],
    tools: 'looking',
    instructions: `Your role is scoper. You change nothing. Read the relevant code, then answer with a plan: what is asked, what is
unclear, which files and interfaces are affected, the steps in an order in which each can be reviewed by itself, the risks, and how it will be tested.`,
  },
  reviewer: {
    labels: ['reviewer', 'review'],
    tools: 'looking-commands',
    instructions: `Your role is reviewer. You change no file. Look at what the branch and the issue are about (only commands
that change nothing run, such as git diff and git log), and answer with your findings, the most serious first: where (file and line), what is wrong, in which case it fails, and what would fix it. If you find nothing, say so plainly.`,
  },
};

/** Roles in the order in which their labels are looked for: one that changes nothing wins over one that does. */
const ORDER: Role[] = ['scoper', 'reviewer', 'debugger', 'builder'];
/** Roles that change nothing. */
export const rolesThatLook: readonly Role[] = ORDER.filter((role) => ROLES[role].tools !== 'everything');
/** Families of models that a label or a wish may name. */
export const modelNames = ['fable', 'opus', 'sonnet', 'haiku'];

/** The model that a wish names: a family, or a full name. @returns null if it names none */
export function modelNamed(wish: string): string | null {
  const name = wish.trim().toLowerCase();
  return modelNames.includes(name) || /^claude-[a-z0-9][a-z0-9.-]{2,60}$/.test(name) ? name : null;
}

/** The effort that a wish names. @returns null if it names none */
export function effortNamed(wish: string): Effort | null {
  return effortSchema.safeParse(wish.trim().toLowerCase()).data ?? null;
}

/** A label `effort:high`, also with a space, `=` or `/` between the two. */
const EFFORT_LABEL = /^effort\s{0,5}[:=/ ]\s{0,5}(\w{1,20})$/;

function effortOfLabels(present: string[]): Effort | null {
  const named = present.map((label) => effortNamed(EFFORT_LABEL.exec(label)?.[1] ?? ''));
  return named.find((effort) => effort !== null) ?? null;
}

/** What people wished for in words; null: nothing. */
export interface Wished {
  model: string | null;
  effort: Effort | null;
}
const NOTHING_WISHED: Wished = { model: null, effort: null };

/**
 * @param labels names of the labels
 * @param settings of the repository; its model and instructions win over the role's, its tools over those of a role that may edit
 * @param model the deployment's usual model
 * @param wished wins over labels
 */
export function assign(
  labels: string[],
  settings: RepositorySettings,
  model: string,
  wished: Wished = NOTHING_WISHED,
): Assignment {
  const present = labels.map((label) => label.trim().toLowerCase());
  const role =
    ORDER.find((candidate) => {
      const own = settings.roleLabels[candidate] ?? [];
      return [...ROLES[candidate].labels, ...own].some((label) => present.includes(label.toLowerCase()));
    }) ?? 'builder';
  const { tools, instructions } = ROLES[role];
  return {
    role,
    ...modelAndEffort(role, labels, settings, model, wished),
    ...toolAccess(tools, settings),
    instructions: [instructions, byAdmin([settings.instructions, settings.roleInstructions[role] ?? ''])]
      .filter((text) => text !== '')
      .join('\n\n'),
  };
}

/**
 * The model and the effort of a role: what people wished for, else what a label names, else what is set for the role, for the
 * repository, for the deployment. Parameters as for `assign`.
 */
export function modelAndEffort(
  role: Role,
  labels: string[],
  settings: RepositorySettings,
  model: string,
  wished: Wished = NOTHING_WISHED,
): Pick<Assignment, 'model' | 'effort'> {
  const present = labels.map((label) => label.trim().toLowerCase());
  const ofLabels = modelNames.find((name) => present.includes(name));
  const { roleModels, roleEfforts } = settings;
  const effort = wished.effort ?? effortOfLabels(present) ?? roleEfforts[role] ?? settings.effort;
  return {
    model: wished.model ?? ofLabels ?? roleModels[role] ?? settings.model ?? model,
    ...(effort !== undefined && { effort }),
  };
}

/** What an admin set wins over the repository's own prompts, which the sandbox adds; those win over the role's words. */
function byAdmin(texts: string[]): string {
  const said = texts.map((text) => text.trim()).filter((text) => text !== '');
  if (said.length === 0) return '';
  const heading =
    'An admin of Cyrus set this for the repository. It overrides everything else said about how to work in it:';
  return [heading, ...said].join('\n\n');
}

/** Whether nobody and no setting lets Claude change anything: the role only looks, or no tool that changes is offered. */
export function onlyLooks({ role, tools }: Pick<Assignment, 'role' | 'tools'>): boolean {
  const changing: string[] = [...SANDBOX_TOOLS.editing, ...SANDBOX_TOOLS.running];
  return rolesThatLook.includes(role) || !tools.some((tool) => changing.includes(tool));
}
