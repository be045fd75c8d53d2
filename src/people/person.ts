/** Who looks at the pages, and as what: a person with the workspaces they belong to (pure). */
import * as z from 'zod';
import type { TokenScope } from '../protocol/people.ts';

/** What a person may do in a workspace: look on; give work and steer it; also change its settings. */
export type Role = 'viewer' | 'member' | 'admin';

/** A person in a workspace, as Linear says it. Stored: add optional fields only. */
export const membershipSchema = z.object({
  /** Linear's organization id. */
  workspaceId: z.string().min(1),
  /** Linear's id of the person there. */
  userId: z.string().min(1),
  isAdmin: z.boolean(),
  isGuest: z.boolean(),
  /** The teams whose issues the person sees: their own, and the public ones unless they are a guest. */
  teamIds: z.array(z.string()),
  /** When Linear said so, in ms, where it cannot be asked again; left out: when the sign-in was checked. */
  saidAt: z.number().optional(),
});
export type LinearMembership = z.infer<typeof membershipSchema>;

/** The same with what the person may do there. */
export interface Membership extends LinearMembership {
  workspaceName: string;
  role: Role;
}

/**
 * Who is at the other end of a request.
 * - `local`, `password`: the one person of this deployment, who has no name
 * - `setup`: holds ACCESS_PASSWORD where people sign in otherwise; may install, and nothing else
 * - `linear`, `access`: signed in by Linear, or by Cloudflare Access
 */
export interface Person {
  kind: 'local' | 'password' | 'setup' | 'linear' | 'access';
  /** Names the person in the audit log: `linear-user:<id>`, `access:<email>`, `browser`. */
  key: string;
  /** Null: not known. */
  name: string | null;
  email: string | null;
  /** Sees and may do everything in this deployment. */
  isOwner: boolean;
  memberships: Membership[];
  /** When Linear last said who they are, in ms since the epoch; left out: it is not asked about them. */
  checkedAt?: number;
  /** The sign-in by which the person is here; null: it is none that is stored. */
  signInId: string | null;
  /** The token by which a program acts for the person, and its scope, beyond which it does nothing; left out: none. */
  token?: { id: string; scope: TokenScope };
}

/** The people of this deployment where there are no names: anyone who is there may do everything. */
export function nameless(kind: 'local' | 'password', key = 'browser'): Person {
  return { kind, key, name: null, email: null, isOwner: true, memberships: [], signInId: null };
}

/** Who may install, and nothing else. */
export function installer(key = 'browser'): Person {
  return { kind: 'setup', key, name: null, email: null, isOwner: false, memberships: [], signInId: null };
}

/** The person's membership of a workspace, or null. */
export function membershipIn({ memberships }: Person, workspaceId: string): Membership | null {
  return memberships.find((one) => one.workspaceId === workspaceId) ?? null;
}

/**
 * What a member may do in a workspace.
 * @param viewers who may only look on there: emails, Linear ids, or the word `guests`; compared without case
 */
export function roleOf(
  { isAdmin, isGuest, userId }: LinearMembership,
  email: string,
  viewers: readonly string[],
): Role {
  if (isAdmin) return 'admin';
  const words = [userId, email, ...(isGuest ? ['guests'] : [])].map((word) => word.toLowerCase());
  return viewers.some((one) => words.includes(one.toLowerCase())) ? 'viewer' : 'member';
}
