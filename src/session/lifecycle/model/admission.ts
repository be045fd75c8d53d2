/** Who may give work to Cyrus, and be heard while it works (pure). Rules: src/protocol/settings/access-rules.ts. */
import type { AccessRules, WorkspaceSettings } from '../../../protocol/settings/access-rules.ts';
import type { Person } from './directives.ts';

/** What is known of who may ask in a session, since its sandbox was last started. */
export interface Access {
  workspace: WorkspaceSettings;
  /** Null: which repository it is has not been decided. */
  repository: AccessRules | null;
  /** Of the issue; null: it has none, or there is no issue. */
  team: { id: string | null; key: string; name: string } | null;
}

/** Somebody whom Linear does not name: a rule of the workspace's triage, another agent. */
export const AUTOMATION: Person = { id: 'automation', email: null };

/** Whether a person in Linear asked. */
export function isByPerson({ person }: { person?: Person }): boolean {
  return person !== undefined && person.id !== AUTOMATION.id;
}

const OUTSIDE = 'outside';

/**
 * Whether a person may give work to Cyrus, answer its questions and steer it. Stopping is open to everyone.
 * @param access null: not known yet; the start of the sandbox finds out
 * @param person undefined: anyone who has the password of the live pages, who may
 * @returns null for yes; otherwise a kind answer that says why not
 */
export function refusalOf(access: Access | null, person: Person | undefined): string | null {
  if (access === null) return null;
  const scopes: [rules: AccessRules | null, where: string][] = [
    [access.workspace, 'in this workspace'],
    [access.repository, 'in this repository'],
  ];
  for (const [rules, where] of scopes) {
    if (rules === null) continue;
    if (!mayTeam(rules, access.team)) {
      const team = access.team ? `of the team ${access.team.name}` : 'outside its teams';
      return `Sorry, Cyrus accepts no work ${team} ${where}. ${WHO_HELPS}`;
    }
    if (person && !isAmong(rules, person)) {
      return `Sorry, you are not among the people who may give work to Cyrus ${where}. ${WHO_HELPS}`;
    }
  }
  const isStranger =
    person?.outside === true && !scopes.some(([rules]) => rules && isNamed(rules.allowedUsers, person));
  return isStranger ? `Sorry, only members of this workspace may give work to Cyrus. ${WHO_HELPS}` : null;
}

/**
 * Whether what somebody wrote in a review counts as a request. Who may not write to the repository is heard only if a list of allowed
 * people has their login, as `github:LOGIN`.
 * @param mayWrite what GitHub says of them
 */
export function mayReview(access: Access | null, person: Person, mayWrite: boolean): boolean {
  if (access === null || refusalOf(access, person) !== null) return false;
  if (mayWrite) return true;
  const named = [...access.workspace.allowedUsers, ...(access.repository?.allowedUsers ?? [])];
  return overlaps(named, [person.id]);
}

const WHO_HELPS = 'A Cyrus admin can change that.';

function mayTeam({ allowedTeams, blockedTeams }: AccessRules, team: Access['team']): boolean {
  const words = team ? [team.id, team.key, team.name] : [];
  if (overlaps(blockedTeams, words)) return false;
  return allowedTeams.length === 0 || overlaps(allowedTeams, words);
}

function isAmong({ allowedUsers, blockedUsers }: AccessRules, person: Person): boolean {
  if (isNamed(blockedUsers, person)) return false;
  return allowedUsers.length === 0 || isNamed(allowedUsers, person);
}

function isNamed(list: string[], { id, email, outside }: Person): boolean {
  return overlaps(list, [id, email, outside === true ? OUTSIDE : null]);
}

function overlaps(list: string[], words: (string | null)[]): boolean {
  const present = words.filter((word) => word !== null && word !== '').map((word) => word?.toLowerCase());
  return list.some((one) => present.includes(one.toLowerCase()));
}
