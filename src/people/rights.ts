/** What people may do: the one place that decides (pure). Every route names an action, see routes/middleware/needs.ts. */
import type { TokenScope } from '../protocol/people.ts';
import { membershipIn, type Person, type Role } from './person.ts';

/** What a request is about. Of a session the team of its issue: `none` if there is no issue, `unknown` if it is not known. */
export type Resource =
  | { kind: 'deployment' }
  | { kind: 'workspace'; workspaceId: string }
  | { kind: 'session'; workspaceId: string; team: { id: string } | 'none' | 'unknown' };

/** What a route does. */
export type Action = keyof typeof RULES;

/**
 * `anyone`: who is signed in; what they are shown is judged piece by piece. A role: in the workspace of the resource.
 * `installer`: an admin of any workspace, or who has ACCESS_PASSWORD. `operator`: an owner, or who has it.
 */
const RULES = {
  'page.open': 'anyone',
  'self.see': 'anyone',
  'self.sign-out': 'anyone',
  'self.tokens': 'anyone',
  'sessions.list': 'anyone',
  'sessions.start': 'anyone',
  'session.read': 'viewer',
  'session.work': 'member',
  'workspace.read': 'viewer',
  'workspace.audit': 'admin',
  'workspace.usage': 'admin',
  'workspace.settings': 'admin',
  'workspace.webhooks': 'admin',
  'deployment.install': 'installer',
  'deployment.examine': 'operator',
  'deployment.audit': 'owner',
  'deployment.usage': 'owner',
  'deployment.settings': 'owner',
} as const satisfies Record<string, Rule>;

/** The scope that a token needs for an action. No token may do what is not named here. */
const SCOPES: Partial<Record<Action, TokenScope>> = {
  'self.see': 'read',
  'sessions.list': 'read',
  'sessions.start': 'write',
  'session.read': 'read',
  'session.work': 'write',
  'workspace.read': 'read',
  'workspace.usage': 'read',
  'workspace.settings': 'admin',
  'workspace.webhooks': 'admin',
  'deployment.usage': 'read',
  'deployment.settings': 'admin',
};

type Rule = 'anyone' | 'installer' | 'operator' | 'owner' | Role;

const REACH: Record<TokenScope, number> = { read: 0, write: 1, admin: 2 };
const RANK: Record<Role, number> = { viewer: 0, member: 1, admin: 2 };

/** The whole deployment, for actions that concern no workspace by itself. */
export const DEPLOYMENT: Resource = { kind: 'deployment' };

/**
 * Whether a person may do something. Workspaces and private teams are seen by those alone who see them in Linear.
 * @param person null: nobody is signed in
 */
export function mayDo(person: Person | null, action: Action, resource: Resource): boolean {
  if (person === null || !isWithinScope(person, action)) return false;
  if (person.isOwner) return true;
  const rule: Rule = RULES[action];
  if (person.kind === 'setup') return rule === 'installer' || rule === 'operator';
  if (rule === 'owner' || rule === 'operator') return false;
  if (rule === 'anyone') return true;
  if (rule === 'installer') return person.memberships.some(({ role }) => role === 'admin');
  if (resource.kind === 'deployment') return false;
  const membership = membershipIn(person, resource.workspaceId);
  if (membership === null || RANK[membership.role] < RANK[rule]) return false;
  if (resource.kind === 'workspace') return true;
  const { team } = resource;
  // Whose it is cannot be told, so nobody is shown it who might not see it in Linear.
  if (team === 'unknown') return false;
  // A conversation without an issue may be about a document of any team.
  if (team === 'none') return membership.role === 'admin';
  return membership.teamIds.includes(team.id);
}

/** The scope that a token needs for an action; null: none is enough. */
export function scopeFor(action: Action): TokenScope | null {
  return SCOPES[action] ?? null;
}

/** Whether the token of a person, if they have one, is for this. */
export function isWithinScope({ token }: Person, action: Action): boolean {
  if (token === undefined) return true;
  const needed = SCOPES[action];
  return needed !== undefined && REACH[token.scope] >= REACH[needed];
}

/** Whether the person is told that there is such a thing: what they may not see does not exist for them. */
export function maySee(person: Person | null, resource: Resource): boolean {
  return mayDo(person, resource.kind === 'session' ? 'session.read' : 'workspace.read', resource);
}
