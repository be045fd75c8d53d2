/**
 * Signing in and staying signed in: what Linear says of a person is kept with a random token's hash, and asked for again each hour
 * (present-person.ts). The person's own token is not kept.
 */
import { toBase64Url } from '../lib/base64url.ts';
import {
  endSignIns,
  type FoundSignIn,
  findSignIn,
  hashOf,
  putSignIn,
  type StoredSignIn,
  updateSignIn,
} from '../store/people/sign-ins.ts';
import type { KnownPerson } from './linear-membership.ts';
import type { LinearMembership, Person } from './person.ts';
import { asked, isOwnerByEmail, lookUp, type People, presentPerson, RECHECK_MS, toPerson } from './present-person.ts';

/** A sign-in ends so long after it was last used. */
export const SIGN_IN_MS = 12 * 3_600_000;
/** And so long after it was made, however much it is used. */
const LONGEST_MS = 30 * 24 * 3_600_000;
/** How often its use is noted, and the cookie set again. */
const NOTED_EVERY_MS = 10 * 60_000;
const TOKEN_BYTES = 32;
const MAX_BROWSER = 200;

/** A person with their sign-in. `renewedUntil`: the cookie is to be set again, to end then; null: it need not. */
export interface SignedIn {
  person: Person;
  renewedUntil: number | null;
}

/**
 * Signs a person in whom Linear has just named.
 * @param browser the header User-Agent
 * @param now ms
 * @returns the cookie's token, which is kept nowhere else, and when it ends
 * @throws NotMigratedError, DatabaseError
 */
export async function signIn(
  { database }: People,
  { name, email, membership }: KnownPerson,
  browser: string | null,
  now: number,
): Promise<{ token: string; until: number; id: string }> {
  const token = toBase64Url(crypto.getRandomValues(new Uint8Array(TOKEN_BYTES)));
  const id = crypto.randomUUID();
  const until = now + SIGN_IN_MS;
  await putSignIn(database, {
    ...{ tokenHash: await hashOf(token), id, kind: 'linear', person: keyOf(membership), name, email },
    memberships: JSON.stringify([membership]),
    browser: browser?.slice(0, MAX_BROWSER) ?? null,
    ...{ createdAt: now, seenAt: now, expiresAt: until, checkedAt: now },
  });
  return { token, until, id };
}

/** Who the person is in the audit log. Linear's ids are unique over all workspaces. */
export function keyOf({ userId }: Pick<LinearMembership, 'userId'>): string {
  return `linear-user:${userId}`;
}

/**
 * Who has this token.
 * @returns null: nobody, or not any more; `unsure`: Linear has not said for so long who is a member that nobody is let in for now
 * @throws NotMigratedError, DatabaseError
 */
export async function personOfCookie(people: People, token: string, now: number): Promise<SignedIn | null | 'unsure'> {
  const found = await findSignIn(people.database, await hashOf(token), now);
  return found?.signIn.kind === 'linear' ? go(people, found, now) : null;
}

/**
 * Whose token it is, as far as that is needed to sign out: it holds while Linear does not say what they may see.
 * @throws NotMigratedError, DatabaseError
 */
export async function leaverOfCookie(people: People, token: string, now: number): Promise<Person | null> {
  const found = await findSignIn(people.database, await hashOf(token), now);
  if (found?.signIn.kind !== 'linear') return null;
  return { ...toPerson(people, found.signIn, [], []), signInId: found.signIn.id };
}

/**
 * Who has this email, which Cloudflare Access vouches for. What they may see is what Linear says of the one person with that email.
 * @returns `unsure` as for a token
 * @throws NotMigratedError, DatabaseError
 */
export async function personOfEmail(
  people: People,
  email: string,
  browser: string | null,
  now: number,
): Promise<Person | 'unsure'> {
  const tokenHash = await hashOf(`access:${email}`);
  const found = await findSignIn(people.database, tokenHash, now);
  if (found?.signIn.kind === 'access') {
    const signedIn = await go(people, found, now);
    if (signedIn === 'unsure') return signedIn;
    if (signedIn) return signedIn.person;
  }
  const isOwner = isOwnerByEmail(people, email);
  if (!isOwner && !asked.isDue(tokenHash, now)) return 'unsure';
  const { name, memberships, said } = await lookUp(people, email, [], now);
  if (said !== 'all') asked.note(tokenHash, now);
  if (said === 'nothing' && !isOwner) return 'unsure';
  const signIn: StoredSignIn = {
    ...{ tokenHash, id: crypto.randomUUID(), kind: 'access', person: `access:${email}`, name: name ?? email, email },
    memberships: JSON.stringify(memberships),
    browser: browser?.slice(0, MAX_BROWSER) ?? null,
    ...{ createdAt: now, seenAt: now, expiresAt: now + SIGN_IN_MS, checkedAt: said === 'all' ? now : now - RECHECK_MS },
  };
  await putSignIn(people.database, signIn);
  const again = await findSignIn(people.database, tokenHash, now);
  return { ...toPerson(people, signIn, memberships, again?.workspaces ?? []), signInId: signIn.id };
}

/** Checks a stored sign-in: asks Linear about the person again if an hour has passed, and notes that the sign-in was used. */
async function go(people: People, found: FoundSignIn, now: number): Promise<SignedIn | null | 'unsure'> {
  const { database } = people;
  const { signIn, workspaces } = found;
  const person = await presentPerson(people, signIn, workspaces, now, {
    update: (values) => updateSignIn(database, signIn.tokenHash, values),
    end: async () => void (await endSignIns(database, signIn.person, { id: signIn.id })),
  });
  if (person === null || person === 'unsure') return person;
  return {
    person: { ...person, signInId: signIn.id },
    renewedUntil: await renew(database, signIn, now),
  };
}

/** @returns when the sign-in ends from now on; null: as before */
async function renew(
  database: People['database'],
  { tokenHash, seenAt, createdAt }: StoredSignIn,
  now: number,
): Promise<number | null> {
  if (now - seenAt < NOTED_EVERY_MS && now >= seenAt) return null;
  const expiresAt = Math.min(now + SIGN_IN_MS, createdAt + LONGEST_MS);
  await updateSignIn(database, tokenHash, { seenAt: now, expiresAt });
  return expiresAt;
}
