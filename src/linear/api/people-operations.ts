/** The GraphQL operations by which Cyrus learns who people are and which teams they see. Tested as those of operations.ts are. */
import type { LinearDocument } from '@linear/sdk';
import * as z from 'zod';
import { query } from './operation.ts';

/** What is read of a person; of more than 250 memberships those beyond are not seen. */
const PERSON_FIELDS = /* GraphQL */ `
  id name email app active admin owner guest
  organization { id name }
  teamMemberships(first: 250) { nodes { team { id } } }
`;

const personSchema = z.object({
  id: z.string().min(1),
  name: z.string(),
  email: z.string(),
  app: z.boolean(),
  active: z.boolean(),
  admin: z.boolean(),
  owner: z.boolean(),
  guest: z.boolean(),
  organization: z.object({ id: z.string().min(1), name: z.string() }),
  teamMemberships: z.object({ nodes: z.array(z.object({ team: z.object({ id: z.string() }) })) }),
});
export type LinearPerson = z.infer<typeof personSchema>;

/** Whose token it is. */
export const SIGNED_IN_PERSON = query<Record<string, never>>()(
  /* GraphQL */ `
    query SignedInPerson { viewer { ${PERSON_FIELDS} } }
  `,
  z.object({ viewer: personSchema }),
);

/** A person of the workspace by Linear's id. */
export const PERSON_BY_ID = query<LinearDocument.QueryUserArgs>()(
  /* GraphQL */ `
    query PersonById($id: String!) { user(id: $id) { ${PERSON_FIELDS} } }
  `,
  z.object({ user: personSchema }),
);

/** People of the workspace with an email; the suspended are left out. */
export const PEOPLE_BY_EMAIL = query<{ email: string }>()(
  /* GraphQL */ `
    query PeopleByEmail($email: String!) {
      users(first: 2, filter: { email: { eqIgnoreCase: $email } }) { nodes { ${PERSON_FIELDS} } }
    }
  `,
  z.object({ users: z.object({ nodes: z.array(personSchema) }) }),
);

/** The teams that the token's holder sees, 250 at a time. `restricted`: within a private one. */
export const TEAMS_SEEN = query<{ after?: string }>()(
  /* GraphQL */ `
    query TeamsSeen($after: String) {
      teams(first: 250, after: $after) { nodes { id visibility } pageInfo { hasNextPage endCursor } }
    }
  `,
  z.object({
    teams: z.object({
      nodes: z.array(z.object({ id: z.string(), visibility: z.string() })),
      pageInfo: z.object({ hasNextPage: z.boolean(), endCursor: z.string().nullish() }),
    }),
  }),
);
