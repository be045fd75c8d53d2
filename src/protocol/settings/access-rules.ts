/** Who may give work to Cyrus: rules that an admin sets for a workspace, and for each repository. */
import * as z from 'zod';

const list = z.array(z.string().trim().min(1).max(200)).max(1_000);
const names = list.default([]);

/**
 * People are named by email or Linear id, teams by key, name or id; compared without case. An empty list of allowed ones
 * allows everyone of the workspace; who is blocked is blocked, also where allowed. Two more words name whom no list can:
 * `automation`, requests for which Linear names nobody (a rule of the triage, another agent), which a list of allowed
 * people therefore leaves out unless it has the word; and `outside`, people who are no members of the workspace, who are
 * left out unless a list of allowed ones has the word, or their id.
 */
export const accessRulesSchema = z.object({
  allowedUsers: names,
  blockedUsers: names,
  /** Teams whose issues may be given to Cyrus. */
  allowedTeams: names,
  blockedTeams: names,
});
export type AccessRules = z.infer<typeof accessRulesSchema>;

/** A setup script that an admin sets. */
export const setupScriptSchema = z.string().trim().min(1).max(20_000);

/** What an admin may set for a workspace (`PUT /api/admin/workspaces/:id/settings`); it comes before what repositories say. */
export const workspaceSettingsSchema = z.object({
  ...accessRulesSchema.shape,
  /** People who may look on, and neither give work nor steer it from the page: emails, Linear ids, or the word `guests`. */
  viewers: list.optional(),
  /** Sessions that may be at work at once; left out: what MAX_SESSIONS_AT_ONCE says. */
  sessionsAtOnce: z.number().int().min(1).max(1_000).optional(),
  /** Run with bash in each new worktree, before everything that a repository brings. */
  setupScript: setupScriptSchema.optional(),
});
export type WorkspaceSettings = z.infer<typeof workspaceSettingsSchema>;

/** The settings of a workspace for which nothing was set. */
export const defaultWorkspaceSettings: WorkspaceSettings = workspaceSettingsSchema.parse({});
