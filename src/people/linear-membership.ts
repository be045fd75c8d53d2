/** Asks Linear who somebody is in a workspace, and which teams they see there: with their own token, or with the app's. */

import type { Send } from '../linear/api/call.ts';
import { LinearError } from '../linear/api/errors.ts';
import { ask } from '../linear/api/operation.ts';
import {
  type LinearPerson,
  PEOPLE_BY_EMAIL,
  PERSON_BY_ID,
  SIGNED_IN_PERSON,
  TEAMS_SEEN,
} from '../linear/api/people-operations.ts';
import type { LinearMembership } from './person.ts';

/** Most teams of a workspace that are read: 250 a page. */
const MOST_PAGES = 8;

/** Somebody in a workspace, as Linear knows them. */
export interface KnownPerson {
  name: string;
  email: string;
  workspaceName: string;
  membership: LinearMembership;
}

/**
 * Whose token it is.
 * @returns null for one of an application or of a suspended person
 * @throws LinearError; ZodError if Linear answers something else
 */
export async function personOfToken(send: Send): Promise<KnownPerson | null> {
  const { viewer } = await ask(send, SIGNED_IN_PERSON, {});
  return known(send, viewer);
}

/**
 * A person of a workspace, asked for with the app's token.
 * @returns null: there is no such person any more, or they are suspended
 * @throws LinearError where Linear cannot say; ZodError if it answers something else
 */
export async function personById(send: Send, userId: string): Promise<KnownPerson | null> {
  try {
    const { user } = await ask(send, PERSON_BY_ID, { id: userId });
    return await known(send, user);
  } catch (error) {
    if (isNotFound(error)) return null;
    throw error;
  }
}

/** The same by email; null also if two people have it. */
export async function personByEmail(send: Send, email: string): Promise<KnownPerson | null> {
  const { users } = await ask(send, PEOPLE_BY_EMAIL, { email });
  const people = users.nodes.filter(({ app }) => !app);
  const [person] = people;
  return person && people.length === 1 ? known(send, person) : null;
}

/** Linear says so in words alone: an entity that is not there is as much an input error as a wrong argument. */
function isNotFound(error: unknown): boolean {
  return (
    error instanceof LinearError && error.kind === 'refused' && /entity not found|could not find/i.test(error.message)
  );
}

async function known(send: Send, person: LinearPerson): Promise<KnownPerson | null> {
  if (person.app || !person.active) return null;
  const own = person.teamMemberships.nodes.map(({ team }) => team.id);
  const open = person.guest ? [] : await publicTeams(send);
  return {
    name: person.name,
    email: person.email,
    workspaceName: person.organization.name,
    membership: {
      workspaceId: person.organization.id,
      userId: person.id,
      isAdmin: person.admin || person.owner,
      isGuest: person.guest,
      teamIds: [...new Set([...own, ...open])],
    },
  };
}

/** A team within a private one is seen by its members alone. */
async function publicTeams(send: Send): Promise<string[]> {
  const ids: string[] = [];
  let after: string | null | undefined;
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const { teams } = await ask(send, TEAMS_SEEN, after ? { after } : {});
    ids.push(...teams.nodes.filter(({ visibility }) => visibility === 'public').map(({ id }) => id));
    after = teams.pageInfo.endCursor;
    if (!teams.pageInfo.hasNextPage || !after) break;
  }
  return ids;
}
