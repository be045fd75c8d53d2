/** Outcomes of `npm run repositories`, for people. */
import { defaultSettings } from '../../src/protocol/settings/repository.ts';
import type { Outcome, ShownRepository } from './commands.ts';
import { describeMcpOutcome } from './mcp-commands.ts';

/** @returns lines to be printed */
export function describeOutcome(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'repositories':
      return outcome.repositories.length === 0
        ? `${outcome.workspace.name} has no repository yet; \`add\` adds one.`
        : table(outcome.repositories.map(rowOf));
    case 'repository':
      return [outcome.done, describeRepository(outcome.repository)].filter((part) => part !== null).join('\n\n');
    case 'removed':
      return `${outcome.fullName} is removed.`;
    case 'mcp-servers':
    case 'mcp-server':
    case 'mcp-removed':
      return describeMcpOutcome(outcome);
    case 'workspaces':
      return outcome.workspaces.length === 0
        ? 'No workspace has installed Cyrus yet.'
        : table(outcome.workspaces.map(({ id, name, urlKey, status }) => [urlKey, name, status, id]));
    case 'workspace': {
      const { name, urlKey, status, id, settings, ignoredWebhooks } = outcome.workspace;
      const lines = [[name, `${urlKey}, ${status}, ${id}`], ...settingLines(settings, {})];
      const { total, since } = ignoredWebhooks;
      lines.push(['webhooks passed over', total === 0 ? '0' : `${total} since ${new Date(since).toISOString()}`]);
      return [outcome.done, table(lines)].filter((part) => part !== null).join('\n\n');
    }
  }
}

/** One line of the list: what sends issues there stands for the rest. */
function rowOf({ fullName, baseBranch, cloneUrl, hasCredential, settings }: ShownRepository): string[] {
  const rules = ['labels', 'projects', 'teams'].flatMap((key) => {
    const list = settings[key];
    return Array.isArray(list) && list.length > 0 ? [`${key}: ${list.join(', ')}`] : [];
  });
  if (settings.isDefault === true) rules.push('default');
  return [fullName, baseBranch, cloneUrl, hasCredential ? 'with credential' : 'public', rules.join('; ')];
}

function describeRepository({ fullName, baseBranch, cloneUrl, hasCredential, settings }: ShownRepository): string {
  return table([
    [fullName, `${cloneUrl}, ${baseBranch}, ${hasCredential ? 'with credential' : 'public'}`],
    ...settingLines(settings, defaultSettings),
  ]);
}

/** Settings that differ from their defaults; the rest goes without saying. */
function settingLines(settings: Record<string, unknown>, defaults: object): string[][] {
  const usual = new Map(Object.entries(defaults).map(([key, value]) => [key, JSON.stringify(value)]));
  return Object.entries(settings)
    .filter(([key, value]) => JSON.stringify(value) !== usual.get(key))
    .map(([key, value]) => [key, words(value)]);
}

function words(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? '(none)' : value.map(String).join(', ');
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function table(rows: string[][]): string {
  const widths: number[] = [];
  for (const row of rows)
    row.forEach((cell, index) => {
      widths[index] = Math.max(widths[index] ?? 0, cell.length);
    });
  return rows
    .map((row) =>
      row
        .map((cell, index) => cell.padEnd(widths[index] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
