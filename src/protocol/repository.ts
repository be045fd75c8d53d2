/** What an admin may set for a repository: which issues go to it, who may ask, and how Claude works on it. */
import { z } from 'zod';

/** Roles that a label can give Claude. */
export const roleSchema = z.enum(['builder', 'debugger', 'scoper', 'reviewer']);
export type Role = z.infer<typeof roleSchema>;

/**
 * Tools Claude may use: a preset, or a list of the CLI's tool names.
 * `readOnly` looks and searches; `safe` edits files too, but runs no command; `all` is everything a sandbox offers.
 */
export const toolChoiceSchema = z.union([z.enum(['readOnly', 'safe', 'all']), z.array(z.string().min(1)).min(1)]);
export type ToolChoice = z.infer<typeof toolChoiceSchema>;

/** How much of the work is told in Linear: `quiet` only results, `normal` also actions, `verbose` also every thought. */
export const verbositySchema = z.enum(['quiet', 'normal', 'verbose']);
export type Verbosity = z.infer<typeof verbositySchema>;

const names = z.array(z.string().trim().min(1)).default([]);

export const repositorySettingsSchema = z.object({
  /** Names of labels and projects, keys or names of teams, whose issues go to this repository; compared without case. */
  labels: names,
  projects: names,
  teams: names,
  /** Takes what no other rule sends elsewhere. */
  isDefault: z.boolean().default(false),
  /** Emails or ids of people, and keys of teams; an empty list of allowed ones allows everyone. */
  allowedUsers: names,
  blockedUsers: names,
  allowedTeams: names,
  /** Overrides what the role gives. */
  tools: toolChoiceSchema.optional(),
  model: z.string().trim().min(1).optional(),
  verbosity: verbositySchema.default('normal'),
  /** Labels that give a role, besides the usual ones. */
  roleLabels: z.partialRecord(roleSchema, names).default({}),
  /** Added to what Claude is told, for every role or for one. */
  instructions: z.string().max(20_000).default(''),
  roleInstructions: z.partialRecord(roleSchema, z.string().max(20_000)).default({}),
});
export type RepositorySettings = z.infer<typeof repositorySettingsSchema>;

/** The settings of a repository for which nothing was set. */
export const defaultSettings: RepositorySettings = repositorySettingsSchema.parse({});
