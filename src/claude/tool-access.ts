/** Which tools Claude is offered, and which of them are used without asking people (pure). */

import { type Permissions, SANDBOX_TOOLS } from '../protocol/sandbox/start.ts';
import type { RepositorySettings, ToolChoice } from '../protocol/settings/repository.ts';

/** `tools`: what is offered (`--tools`); `permissions`: what of it is asked for first. */
export interface ToolAccess {
  tools: string[];
  permissions: Permissions;
}

const { looking: LOOKING, editing: EDITING, running: RUNNING } = SANDBOX_TOOLS;
const EVERYTHING = [...LOOKING, ...EDITING, ...RUNNING];

/** Plans, helps itself, or asks people anyway: to ask first would be idle. What a subagent does is asked for itself. */
const NEVER_ASKED = ['AskUserQuestion', 'Task', 'TaskCreate', 'TaskGet', 'TaskList', 'TaskUpdate', 'TaskStop'];

/** Looks, and runs what the CLI knows to change nothing, e.g. `git diff`; nobody can allow more. */
const LOOKING_COMMANDS: ToolAccess = {
  tools: [...LOOKING, 'Bash'],
  permissions: { allow: rulesOf(LOOKING), ask: [], others: 'refuse' },
};

/** What a role may do at most. `looking`: no settings and no person let it edit. */
export type RoleTools = 'everything' | 'looking' | 'looking-commands';

/**
 * @param role the most that the role allows
 * @param settings of the repository: they narrow a role that only looks, and decide for one that may do everything
 */
export function toolAccess(
  role: RoleTools,
  { tools: choice, otherTools, askFirst }: Pick<RepositorySettings, 'tools' | 'otherTools' | 'askFirst'>,
): ToolAccess {
  const chosen = choiceAccess(choice ?? 'all', otherTools, askFirst);
  if (role === 'everything') return chosen;
  const most = role === 'looking' ? choiceAccess('readOnly', otherTools, askFirst) : LOOKING_COMMANDS;
  const tools = most.tools.filter((tool) => chosen.tools.includes(tool));
  // Commands are not asked for here: those that change something are refused, the others need no question.
  const ask = chosen.permissions.ask.filter((rule) => toolOf(rule) !== 'Bash');
  return { tools: tools.length > 0 ? tools : most.tools, permissions: { ...most.permissions, ask } };
}

function choiceAccess(
  choice: ToolChoice,
  otherTools: RepositorySettings['otherTools'],
  askFirst: string[],
): ToolAccess {
  switch (choice) {
    case 'readOnly':
      return { tools: LOOKING, permissions: { allow: [], ask: askFirst, others: 'allow' } };
    case 'safe':
      return {
        tools: EVERYTHING,
        permissions: {
          allow: rulesOf([...LOOKING, ...EDITING, 'TaskStop']),
          ask: ['Bash', ...askFirst],
          others: 'ask',
        },
      };
    case 'all':
      return { tools: EVERYTHING, permissions: { allow: [], ask: askFirst, others: 'allow' } };
    default:
      return listAccess(choice, otherTools, askFirst);
  }
}

function listAccess(list: string[], otherTools: RepositorySettings['otherTools'], askFirst: string[]): ToolAccess {
  const named = [...new Set(list.map(toolOf))];
  if (otherTools === 'ask') {
    const tools = [...new Set([...named, ...EVERYTHING])];
    const asked = tools.filter((tool) => !named.includes(tool) && !NEVER_ASKED.includes(tool));
    const allow = rulesOf([...list, ...NEVER_ASKED]);
    return { tools, permissions: { allow, ask: [...asked, ...askFirst], others: 'ask' } };
  }
  const hasPattern = list.some((rule) => rule.includes('('));
  if (!hasPattern) return { tools: named, permissions: { allow: [], ask: askFirst, others: 'allow' } };
  return { tools: named, permissions: { allow: rulesOf(list), ask: askFirst, others: 'refuse' } };
}

/** AskUserQuestion is no permission: people answer it. */
function rulesOf(tools: string[]): string[] {
  return tools.filter((tool) => tool !== 'AskUserQuestion');
}

/** The tool a rule is about: `Bash` of `Bash(npm publish:*)`. */
function toolOf(rule: string): string {
  return rule.split('(', 1)[0] ?? rule;
}
