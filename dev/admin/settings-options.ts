/** Options of the command line that set something for a repository or a workspace, as a merge patch of its settings. */
import { readFileSync } from 'node:fs';
import type { ParseArgsOptionsConfig } from 'node:util';
import { z } from 'zod';
import { messageOf } from '../../src/lib/error.ts';
import { mergePatch } from '../../src/lib/merge-patch.ts';
import { parseJson } from '../../src/lib/parse-json.ts';
import { UsageProblem } from './usage.ts';

/** Options that make a list, by the setting they make. */
const LISTS = {
  label: 'labels',
  project: 'projects',
  team: 'teams',
  'allow-user': 'allowedUsers',
  'block-user': 'blockedUsers',
  'allow-team': 'allowedTeams',
  'block-team': 'blockedTeams',
  'base-branches': 'baseBranches',
} as const;
/** Those that a workspace has too. */
const RULES = ['allow-user', 'block-user', 'allow-team', 'block-team'];
const WORDS = ['model', 'verbosity'] as const;

/** For `parseArgs`; every one may be left out. */
export const SETTINGS_OPTIONS: ParseArgsOptionsConfig = {
  ...Object.fromEntries(Object.keys(LISTS).map((name) => [name, { type: 'string', multiple: true }])),
  ...Object.fromEntries([...Object.keys(LISTS), ...WORDS, 'tools'].map((name) => [`no-${name}`, { type: 'boolean' }])),
  ...Object.fromEntries(WORDS.map((name) => [name, { type: 'string' }])),
  tools: { type: 'string' },
  default: { type: 'boolean' },
  'no-default': { type: 'boolean' },
  'role-label': { type: 'string', multiple: true },
  instructions: { type: 'string' },
  'instructions-file': { type: 'string' },
  'role-instructions': { type: 'string', multiple: true },
  setting: { type: 'string', multiple: true },
  settings: { type: 'string' },
};

export type Given = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;

const objectSchema = z.record(z.string(), z.unknown());

/**
 * @param given parsed options
 * @returns a merge patch of the settings, empty if nothing was given; what it may hold is for the deployment to say
 * @throws UsageProblem
 */
export function settingsPatch(given: Given): Record<string, unknown> {
  const file = typeof given.settings === 'string' ? readObject(given.settings) : {};
  const single = texts(given.setting).map(settingOf);
  return objectSchema.parse([optionsPatch(given), ...single].reduce<unknown>(joinPatches, file));
}

/** The options that make no sense for a workspace, of those given. */
export function foreignToWorkspace(given: Given): string[] {
  const own = new Set([...RULES, ...RULES.map((name) => `no-${name}`), 'settings', 'setting']);
  return Object.keys(given).filter((name) => Object.hasOwn(SETTINGS_OPTIONS, name) && !own.has(name));
}

function optionsPatch(given: Given): Record<string, unknown> {
  const patch: Record<string, unknown> = {};
  for (const [option, setting] of Object.entries(LISTS)) {
    const list = texts(given[option]);
    if (list.length > 0) patch[setting] = list;
    if (given[`no-${option}`]) patch[setting] = exclusive(option, list.length > 0, []);
  }
  for (const word of WORDS) {
    if (given[word] !== undefined) patch[word] = given[word];
    if (given[`no-${word}`]) patch[word] = exclusive(word, given[word] !== undefined, null);
  }
  if (typeof given.tools === 'string') patch.tools = toolsOf(given.tools);
  if (given['no-tools']) patch.tools = exclusive('tools', given.tools !== undefined, null);
  if (given.default) patch.isDefault = true;
  if (given['no-default']) patch.isDefault = exclusive('default', given.default === true, false);
  const roleLabels = pairs(given['role-label'], 'role-label');
  if (roleLabels.length > 0) patch.roleLabels = groupBy(roleLabels);
  const instructions = instructionsOf(given);
  if (instructions !== undefined) patch.instructions = instructions;
  const roleInstructions = pairs(given['role-instructions'], 'role-instructions');
  if (roleInstructions.length > 0) patch.roleInstructions = Object.fromEntries(roleInstructions);
  return patch;
}

function exclusive<T>(option: string, isGiven: boolean, value: T): T {
  if (isGiven) throw new UsageProblem(`--${option} and --no-${option} contradict each other.`);
  return value;
}

function toolsOf(choice: string): string | string[] {
  if (['readOnly', 'safe', 'all'].includes(choice)) return choice;
  // A comma inside of a pattern, `Bash(a, b)`, parts nothing.
  return choice
    .split(/,(?![^(]*\))/)
    .map((name) => name.trim())
    .filter((name) => name !== '');
}

function instructionsOf(given: Given): string | undefined {
  const { instructions, 'instructions-file': file } = given;
  if (typeof file !== 'string') return typeof instructions === 'string' ? instructions : undefined;
  if (instructions !== undefined) throw new UsageProblem('Give --instructions or --instructions-file, not both.');
  return readText(file);
}

/** `name.of.setting=value`; a value that is no JSON is a text. */
function settingOf(text: string): Record<string, unknown> {
  const [path, value] = splitPair(text, 'setting');
  const keys = path.split('.');
  return keys.reduceRight<unknown>((inner, key) => ({ [key]: inner }), parseJson(value) ?? fallback(value)) as Record<
    string,
    unknown
  >;
}

function fallback(value: string): string | null {
  return value === 'null' ? null : value;
}

/** Two merge patches as one: unlike a merge, what takes a key out is kept. */
function joinPatches(first: unknown, second: unknown): unknown {
  const [a, b] = [objectSchema.safeParse(first), objectSchema.safeParse(second)];
  if (!a.success || !b.success) return second;
  const joined = Object.entries(b.data).map(([key, value]) => [key, joinPatches(a.data[key], value)]);
  return { ...a.data, ...Object.fromEntries(joined) };
}

function pairs(option: Given[string], name: string): [string, string][] {
  return texts(option).map((text) => splitPair(text, name));
}

function splitPair(text: string, name: string): [string, string] {
  const at = text.indexOf('=');
  if (at < 1) throw new UsageProblem(`--${name} wants NAME=VALUE, not "${text}".`);
  return [text.slice(0, at).trim(), text.slice(at + 1)];
}

function groupBy(entries: [string, string][]): Record<string, string[]> {
  const groups: Record<string, string[]> = {};
  for (const [key, value] of entries) groups[key] = [...(groups[key] ?? []), value];
  return groups;
}

function texts(option: Given[string]): string[] {
  return Array.isArray(option) ? option.filter((one) => typeof one === 'string') : [];
}

function readObject(file: string): Record<string, unknown> {
  const parsed = objectSchema.safeParse(parseJson(readText(file)));
  if (!parsed.success) throw new UsageProblem(`${file} holds no JSON object.`);
  return parsed.data;
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageProblem(`${file} cannot be read: ${messageOf(error)}`);
  }
}

/** The settings that come of a patch if nothing was set before. */
export function settingsFrom(patch: Record<string, unknown>): unknown {
  return mergePatch({}, patch);
}
